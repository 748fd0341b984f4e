"""Server processes on cores of their own, and plain requests to them."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep

HOST = "127.0.0.1"
SERVER_CORE, LOAD_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
_START = 120.0
_STOP = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `fields` has lower-case names."""

    status: int
    fields: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its clients' port, its process, and the port of its metrics where it is the gateway."""

    name: str
    port: int
    pid: int
    admin_port: int = 0

    def get(self, target: str, key: str = "", port: int = 0) -> Answer:
        """One GET over a connection of its own; `port` instead of the clients' one."""
        connection = HTTPConnection(HOST, port or self.port, timeout=60)
        try:
            connection.request("GET", target, headers={"Authorization": f"Bearer {key}"} if key else {})
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields, response.read())
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """One number of the gateway's metrics."""
        text = self.get("/metrics", port=self.admin_port).body.decode()
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found, f"{name} is not among the metrics"
        return float(found[1])

    def resident(self) -> int:
        """Bytes of memory that the process holds."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def worked(self) -> float:
        """Seconds of processor time that the process and all below it have used."""
        return sum(_worked(pid) for pid in _family(self.pid))


def _family(pid: int) -> Iterator[int]:
    """A process, its children, theirs, and so on."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _family(int(child))


def _worked(pid: int) -> float:
    # What follows the name in brackets begins with field 3; user and system time are fields 14 and 15.
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def pinned(core: int, *command: str) -> list[str]:
    """`command`, kept on one core."""
    return ["taskset", "-c", str(core), *command]


@contextmanager
def running(
    command: list[str], port: int, *, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, fed `stdin`, once its port accepts; SIGTERM on leaving, SIGKILL where that is not enough."""
    with TemporaryFile() as log:
        environment = os.environ | dict(env or {})
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        try:
            assert process.stdin is not None
            with process.stdin as pipe:
                pipe.write(stdin)
            if not _accepts(port, process):
                log.seek(0)
                sys.exit(f"bench: {' '.join(command)} does not listen on port {port}:\n{log.read().decode()}")
            yield process
        finally:
            _stop(process)


def _accepts(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until `port` accepts; False when the process ends first, or takes too long."""
    until = monotonic() + _START
    while monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return True
        sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
