"""Programs of the system that some tests run as real clients."""

import os
import shutil

import pytest


def skip_unless_tool(name: str) -> str:
    """The path of the program `name`; without it the test is skipped, under CI=true it fails."""
    path = shutil.which(name)
    if path is not None:
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed, and CI runs every test")
    pytest.skip(f"{name} is not installed")
