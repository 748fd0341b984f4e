"""What `make test` needs besides Python, on machines where it is there, may be installed, or neither."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support.gateway import ROOT

TOOLS = ("curl", "node", "git", "prometheus", "promtool")
APT = """#!/bin/sh
echo "$@" >>"$LOG"
case $* in
install*{refused}*) exit 1 ;;
install*prometheus*) for tool in prometheus promtool; do cp "$0" "$BIN/$tool"; done ;;
install*nodejs*) cp "$0" "$BIN/node" ;;
esac
"""


class Machine:
    """A PATH with nothing but what a test puts there; `log` is what the package manager was asked for."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "bin"
        self._log = folder / "log"
        self._bin.mkdir()
        self._log.touch()
        self._script = folder / "test-tools.sh"
        # The real one would hold the services of the machine that the test runs on.
        self._policy = folder / "policy"
        text = (ROOT / "scripts" / "test-tools.sh").read_text()
        self._script.write_text(text.replace("/usr/sbin/policy-rc.d", str(self._policy)))
        for tool in ("sh", "cp", "rm", "chmod"):
            found = shutil.which(tool)
            assert found is not None
            (self._bin / tool).symlink_to(found)
        self.put("id", "#!/bin/sh\necho 1000\n")

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    @property
    def holds_services(self) -> bool:
        return self._policy.exists()

    def put(self, name: str, text: str = "#!/bin/sh\n") -> None:
        (self._bin / name).write_text(text)
        (self._bin / name).chmod(0o755)

    def root(self, refused: str = "none") -> None:
        """From now on packages may be installed, all but `refused`."""
        self.put("id", "#!/bin/sh\necho 0\n")
        self.put("apt-get", APT.format(refused=refused))

    def run(self, **environ: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self._bin), "BIN": str(self._bin), "LOG": str(self._log), **environ}
        return subprocess.run([self._bin / "sh", self._script], env=environment, capture_output=True, text=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_where_all_is_there_nothing_is_done(machine: Machine) -> None:
    machine.root()
    for tool in TOOLS:
        machine.put(tool)
    done = machine.run(CI="true")
    assert (done.returncode, done.stderr, machine.log) == (0, "", [])


def test_what_is_missing_is_installed_without_what_it_recommends(machine: Machine) -> None:
    machine.root()
    for tool in ("curl", "git"):
        machine.put(tool)
    done = machine.run(CI="true")
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.log[0] == "update -qq"
    assert {line.split()[-1] for line in machine.log[1:]} == {"nodejs", "prometheus"}
    assert all("--no-install-recommends" in line for line in machine.log[1:])
    assert not machine.holds_services


@pytest.mark.parametrize(("ci", "status"), [("false", 0), ("true", 1)])
def test_where_nothing_may_be_installed_it_says_so(machine: Machine, ci: str, status: int) -> None:
    for tool in ("curl", "git", "node"):
        machine.put(tool)
    done = machine.run(CI=ci)
    assert done.returncode == status
    assert "make test: promtool is missing (apt install prometheus)" in done.stderr
    assert ("will be skipped" in done.stderr) == (ci == "false")


def test_what_cannot_be_installed_is_named(machine: Machine) -> None:
    machine.root(refused="prometheus")
    for tool in ("curl", "git", "node"):
        machine.put(tool)
    done = machine.run(CI="true")
    assert done.returncode == 1
    assert "prometheus is missing" in done.stderr
    assert not machine.holds_services


def test_no_service_starts_while_it_is_installed(machine: Machine, tmp_path: Path) -> None:
    machine.root()
    for tool in ("curl", "git", "node"):
        machine.put(tool)
    machine.put("apt-get", f'#!/bin/sh\n"{tmp_path}/policy"\necho "$? $1" >>"$LOG"\n')
    machine.run()
    assert [line for line in machine.log if "install" in line] == ["101 install", "101 install"]
