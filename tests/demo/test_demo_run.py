"""The demo as its user has it: two processes behind one, which a signal ends whole."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.addresses import HOST, free_port
from support.polling import PATIENCE, eventually

from gateway.demo.run import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MAIN = """
import pathlib, sys
from gateway.demo.run import main
sys.exit(main(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])))
"""


def _hears_all() -> None:
    """Whoever runs the tests may have said that a hangup is not to matter."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Demo:
    """The demo as a process in a session of its own, as a terminal starts it."""

    def __init__(self, config: Path) -> None:
        self.ports = [free_port() for _ in range(3)]
        self._log = config.with_name("log")
        command = [sys.executable, "-c", MAIN, str(config), *map(str, self.ports)]
        environ = os.environ | {"PYTHONPATH": str(ROOT)}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=environ, stdout=log, stderr=log, start_new_session=True, preexec_fn=_hears_all
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait(self) -> int:
        """Its exit status, once it and everything it started has ended."""
        status = self.process.wait(PATIENCE)
        assert [port for port in self.ports if _listens(port)] == []
        return status

    def wait_until_ready(self) -> None:
        eventually(lambda: "Ctrl-C" in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output

    def child(self, module: str) -> int:
        """The process id of the child that runs `module`."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return next(int(pid) for pid in children if module in _arguments(pid))


def _arguments(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def _running(config: Path) -> Iterator[Demo]:
    demo = Demo(config)
    try:
        yield demo
    finally:
        demo.process.terminate()
        demo.process.wait(PATIENCE)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The repository's config in a folder of its own, for the store lies beside it."""
    return Path(shutil.copy(ROOT / "config.yaml", tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_terminals_group_ends_all_of_it(config: Path, number: signal.Signals) -> None:
    with _running(config) as demo:
        demo.wait_until_ready()
        assert [port for port in demo.ports if not _listens(port)] == []
        os.killpg(demo.process.pid, number)
        assert demo.wait() == 0
        assert "Traceback" not in demo.output


def test_a_signal_while_it_starts_ends_all_of_it(config: Path) -> None:
    with _running(config) as demo:
        eventually(lambda: _listens(demo.ports[2]))
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait() == 0
        assert "Traceback" not in demo.output


@pytest.mark.parametrize(("module", "name"), [("gateway.demo.upstream", "upstream"), ("gateway", "gateway")])
def test_a_child_that_dies_ends_the_demo_with_its_name(config: Path, module: str, name: str) -> None:
    with _running(config) as demo:
        demo.wait_until_ready()
        os.kill(demo.child(module), signal.SIGKILL)
        assert demo.wait() == 1
        assert f"the {name} ended with exit code -9" in demo.output


def test_a_gateway_that_cannot_start_is_a_bad_start(config: Path) -> None:
    config.write_text("routes: [{nonsense: 1}]\n")
    with _running(config) as demo:
        assert demo.wait() == 2
        assert "the gateway ended with exit code 2" in demo.output
        assert "nonsense" in demo.output
        assert "Ctrl-C" not in demo.output


@pytest.mark.parametrize(("place", "fix"), [(0, "PORT"), (1, "ADMIN_PORT"), (2, "UPSTREAM_PORT")])
def test_a_taken_port_names_the_fix_before_anything_starts(
    config: Path, capsys: pytest.CaptureFixture[str], place: int, fix: str
) -> None:
    ports = [free_port() for _ in range(3)]
    with socket.create_server((HOST, 0)) as taken:
        ports[place] = taken.getsockname()[1]
        assert main(config, *ports) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"port {ports[place]} on {HOST} cannot be had (taken)" in printed.err
    assert f"make run {fix}=<port>" in printed.err


def test_one_port_for_two_is_taken(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(config, port, port, free_port()) == 2
    assert "make run ADMIN_PORT=<port>" in capsys.readouterr().err
