"""Configs from text, and what is wrong with them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from config.texts import ENVIRON, Errors, Read

from gateway.config.errors import ConfigInvalid
from gateway.config.load import load
from gateway.config.schema import Config


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str, environ: Mapping[str, str] = ENVIRON) -> Config:
        path = tmp_path / "gateway.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, environ)

    return read


@pytest.fixture
def errors(read: Read, tmp_path: Path) -> Errors:
    def errors(text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
        try:
            read(text, environ)
        except ConfigInvalid as invalid:
            prefix = f"{tmp_path / 'gateway.yaml'}:"
            return [str(error).removeprefix(prefix) for error in invalid.errors]
        return []

    return errors
