"""Crash points wrap what is there: a name that the gateway no longer has fails here, and not in silence."""

import subprocess
import sys

from crash.points import POINTS
from support.gateway import ROOT

ARMED = "from crash.points import POINTS, arm; print([arm(name, 1) or name for name in POINTS])"


def test_every_point_can_be_armed() -> None:
    environ = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    ended = subprocess.run([sys.executable, "-c", ARMED], env=environ, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout.decode().strip()) == (0, str(list(POINTS))), ended.stderr.decode()
