"""The demo as a process of its own, for the tests that drive all of it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.addresses import HOST, free_port
from support.polling import PATIENCE, eventually

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
        self.folder = config.parent
        self.ports = [free_port() for _ in range(4)]
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
        assert [port for port in self.ports if listens(port)] == []
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


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def running(config: Path) -> Iterator[Demo]:
    demo = Demo(config)
    try:
        yield demo
    finally:
        demo.process.terminate()
        demo.process.wait(PATIENCE)
