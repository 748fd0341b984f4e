"""`make install` on machines of every kind: Pythons and uv are small scripts on an otherwise bare PATH."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("basename", "cat", "chmod", "cksum", "cp", "dirname", "mkdir", "rm", "sh")

PYTHON = """#!/bin/sh
[ "$1" = -c ] || echo "$(basename "$0")" "$@" >>"$LOG"
case "$*" in
--version) echo "Python {version}" ;;
*version_info*) exit {too_old} ;;
*ensurepip*) exit {no_venv} ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip install"*) exit {no_index} ;;
esac
"""
UV = """#!/bin/sh
echo uv "$@" >>"$LOG"
case "$1" in
venv) mkdir -p .venv/bin && printf '#!/bin/sh\\n[ "$1" = -c ]\\n' >.venv/bin/python && chmod +x .venv/bin/python ;;
esac
"""
PIP_INSTALL = "python -m pip install --quiet --disable-pip-version-check --prefer-binary -e"
UV_INSTALL = "uv pip install --quiet --python .venv/bin/python -e"


class Machine:
    """A checkout and a PATH with nothing but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self._bin = folder / "bin"
        self._log = folder / "log"
        (self.checkout / "scripts").mkdir(parents=True)
        self._bin.mkdir()
        shutil.copy(ROOT / "scripts/bootstrap.sh", self.checkout / "scripts")
        (self.checkout / "pyproject.toml").write_text("[project]\n")
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self._bin / tool).symlink_to(found)

    def python(self, name: str = "python3", version: str = "3.11.9", *, venv: bool = True, index: bool = True) -> None:
        """Put a Python on the PATH."""
        too_old = tuple(map(int, version.split("."))) < (3, 11)
        self._put(
            name, PYTHON.format(version=version, too_old=int(too_old), no_venv=int(not venv), no_index=int(not index))
        )

    def uv(self) -> None:
        """Put uv on the PATH."""
        self._put("uv", UV)

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script; `did` tells what it started since the call before."""
        self._log.write_text("")
        return subprocess.run(
            [self.checkout / "scripts/bootstrap.sh", *arguments],
            env={"PATH": str(self._bin), "LOG": str(self._log)},
            capture_output=True,
            text=True,
        )

    @property
    def did(self) -> list[str]:
        """The commands that were started to make or to fill the virtual environment, in order."""
        return [line for line in self._log.read_text().splitlines() if "--version" not in line]

    def _put(self, name: str, text: str) -> None:
        path = self._bin / name
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_venv_and_pip_where_python_is_whole(machine: Machine) -> None:
    machine.python()
    assert machine.install().returncode == 0
    assert machine.did == ["python3 -m venv .venv", f"{PIP_INSTALL} ."]


def test_a_newer_python_beside_an_old_one_is_found(machine: Machine) -> None:
    machine.python("python3", "3.9.2")
    machine.python("python3.12", "3.12.1")
    assert machine.install().returncode == 0
    assert machine.did[0] == "python3.12 -m venv .venv"


def test_uv_stands_in_for_a_missing_venv_module(machine: Machine) -> None:
    machine.python(venv=False)
    machine.uv()
    assert machine.install().returncode == 0
    assert machine.did == ["uv venv --quiet --python python3 .venv", f"{UV_INSTALL} ."]


@pytest.mark.parametrize("version", [None, "3.10.4"])
def test_uv_brings_a_python_where_there_is_none_new_enough(machine: Machine, version: str | None) -> None:
    if version is not None:
        machine.python(version=version)
    machine.uv()
    assert machine.install().returncode == 0
    assert machine.did == ["uv venv --quiet --python >=3.11 .venv", f"{UV_INSTALL} ."]


@pytest.mark.parametrize(
    ("version", "venv", "words"),
    [
        pytest.param("3.9.2", True, ("Python 3.11 or newer", "Python 3.9.2", "uv"), id="too-old"),
        pytest.param("3.11.2", False, ("python3 has no venv module", "apt install python3-venv", "uv"), id="no-venv"),
        pytest.param(None, True, ("Python 3.11 or newer", "no python3", "apt install python3", "uv"), id="no-python"),
    ],
)
def test_what_cannot_be_names_the_fix_in_one_line(
    machine: Machine, version: str | None, venv: bool, words: tuple[str, ...]
) -> None:
    if version is not None:
        machine.python(version=version, venv=venv)
    ended = machine.install()
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("make install: ")
    assert [word for word in words if word not in ended.stderr] == []
    assert machine.did == []


def test_the_second_time_nothing_is_done(machine: Machine) -> None:
    machine.python()
    machine.install()
    again = machine.install()
    assert (again.returncode, again.stdout, machine.did) == (0, "", [])


def test_what_tests_need_includes_what_a_run_needs(machine: Machine) -> None:
    machine.python()
    machine.install("dev")
    assert machine.did == ["python3 -m venv .venv", f"{PIP_INSTALL} .[dev]"]
    machine.install()
    assert machine.did == []


def test_the_tests_needs_are_added_to_a_run_only_installation(machine: Machine) -> None:
    machine.python()
    machine.install()
    machine.install("dev")
    assert machine.did == [f"{PIP_INSTALL} .[dev]"]


def test_changed_dependencies_are_installed_into_the_same_environment(machine: Machine) -> None:
    machine.python()
    machine.install()
    (machine.checkout / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    machine.install()
    assert machine.did == [f"{PIP_INSTALL} ."]


def test_a_moved_checkout_gets_a_new_environment(machine: Machine) -> None:
    machine.python()
    machine.install()
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("elsewhere"))
    machine.install()
    assert machine.did == ["python3 -m venv .venv", f"{PIP_INSTALL} ."]


def test_a_failed_installation_fails_and_is_tried_again(machine: Machine) -> None:
    machine.python(index=False)
    assert machine.install().returncode != 0
    machine.install()
    assert machine.did == [f"{PIP_INSTALL} ."]
