"""Crash points wrap what is there: a name that the gateway no longer has fails here, and not in silence."""

import subprocess
import sys

import pytest
from crash.job_points import JOB_POINTS
from crash.points import POINTS
from support.gateway import ROOT

pytestmark = pytest.mark.slow

ARMED = """
from crash.points import arm
from crash.{} import {} as armed

print([arm(point, "1") or name for name, point in armed.items()])
"""
TABLES = {"points": ("POINTS", POINTS), "job_points": ("JOB_POINTS", JOB_POINTS)}


@pytest.mark.parametrize("module", TABLES)
def test_every_point_can_be_armed(module: str) -> None:
    name, points = TABLES[module]
    environ = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    ended = subprocess.run(
        [sys.executable, "-c", ARMED.format(module, name)], env=environ, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout.decode().strip()) == (0, str(list(points))), ended.stderr.decode()
