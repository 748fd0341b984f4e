"""The unit, as systemd itself judges it, and what its numbers must be to the gateway's."""

import subprocess
from pathlib import Path

import pytest
from support.gateway import ROOT
from support.tools import skip_unless_tool

from gateway.config.schema import Limits
from gateway.config.units import parse_duration

UNIT = ROOT / "deploy" / "gateway.service"
LINES = [line.partition("=") for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
SETTINGS = [(name, value) for name, _, value in LINES]
# Of 10; what is left is what a server on the network cannot do without.
EXPOSED = 1.5


def said(name: str) -> list[str]:
    """What the unit has for a setting, in order."""
    return [value for found, value in SETTINGS if found == name]


def analyzed(*arguments: str) -> str:
    """What systemd-analyze prints, on the first stream or the second."""
    command = [skip_unless_tool("systemd-analyze"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    """With a program that is there in place of what is not installed here."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/gateway/bin/gateway", "/bin/true"))
    assert analyzed("verify", "--man=no", str(unit)) == ""


@pytest.mark.slow
def test_systemd_knows_every_setting_of_it(tmp_path: Path) -> None:
    """The test above would notice: a setting with another name is told."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/gateway/bin/gateway", "/bin/true").replace("UMask", "UMasque"))
    assert "UMasque" in analyzed("verify", "--man=no", str(unit))


@pytest.mark.slow
def test_it_may_do_little() -> None:
    found = analyzed("security", "--offline=yes", f"--threshold={int(EXPOSED * 10)}", str(UNIT))
    assert "Overall exposure level" in found


def test_it_checks_the_config_before_a_start_and_a_reload() -> None:
    check = "/opt/gateway/bin/gateway check --config /etc/gateway/config.yaml"
    assert said("ExecStartPre") == [check]
    assert said("ExecStart") == [check.replace("check", "serve", 1)]
    assert said("ExecReload") == [check, "/bin/kill -HUP $MAINPID"]


def test_it_waits_for_the_drain_and_lets_in_as_many_as_the_config_does() -> None:
    (patience,), (files,) = said("TimeoutStopSec"), said("LimitNOFILE")
    assert parse_duration(patience) > 60
    assert int(files) > 2 * Limits().connections


def test_its_store_is_the_only_place_that_it_writes_to() -> None:
    assert said("ProtectSystem") == ["strict"]
    assert said("StateDirectory") == said("User") == ["gateway"]
    assert said("ReadWritePaths") == []
