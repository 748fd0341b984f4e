"""Server processes on cores of their own, and plain requests to them."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import IO, Literal

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
    size: int = 0
    """Bytes of all of it, the head as it came."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its clients' port and its process; where it is the gateway its metrics' port and its config."""

    name: str
    port: int
    pid: int
    admin_port: int = 0
    config: Path = Path()

    def get(self, target: str, key: str = "", port: int = 0, fields: Mapping[str, str] | None = None) -> Answer:
        """One GET over a connection of its own, with further `fields`; `port` instead of the clients' one."""
        connection = HTTPConnection(HOST, port or self.port, timeout=60)
        try:
            connection.putrequest("GET", target, skip_accept_encoding=True)
            for pair in {**({"Authorization": f"Bearer {key}"} if key else {}), **(fields or {})}.items():
                connection.putheader(*pair)
            connection.endheaders()
            return _whole(connection.getresponse())
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """One number of the gateway's metrics, or the sum of those that differ in labels."""
        text = self.get("/metrics", port=self.admin_port).body.decode()
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        assert found, f"{name} is not among the metrics"
        return sum(map(float, found))

    def resident(self) -> int:
        """Bytes of memory that the process holds."""
        return resident(self.pid)

    def kill(self) -> None:
        """End it by SIGKILL, whatever it is at."""
        os.kill(self.pid, signal.SIGKILL)
        # Its threads may outlive the first of them, and with them its sockets.
        while _stat(self.pid)[0] not in "ZX" or len([*Path(f"/proc/{self.pid}/task").iterdir()]) > 1:
            sleep(0.01)

    def worked(self) -> float:
        """Seconds of processor time that the process and all below it have used."""
        return sum(_worked(pid) for pid in _family(self.pid))


def resident(pid: int | Literal["self"] = "self") -> int:
    """Bytes of memory that a process holds, or this one."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _whole(response: HTTPResponse) -> Answer:
    pairs = response.getheaders()
    head = f"HTTP/1.1 {response.status} {response.reason}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in pairs) + "\r\n"
    body = response.read()
    return Answer(response.status, {n.lower(): v for n, v in pairs}, body, len(head) + len(body))


def _family(pid: int) -> Iterator[int]:
    """A process, its children, theirs, and so on."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _family(int(child))


def _worked(pid: int) -> float:
    # User and system time are fields 14 and 15.
    found = _stat(pid)
    return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """What follows the name in brackets: the fields from the third on, which is the state."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def pinned(core: int | str, *command: str) -> list[str]:
    """`command`, kept on one core, or on those of a list."""
    return ["taskset", "-c", str(core), *command]


@contextmanager
def running(
    command: list[str],
    port: int,
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    patience: float = _START,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, fed `stdin`, once its port accepts, for which it has `patience` seconds.

    SIGTERM on leaving, SIGKILL where that is not enough.
    """
    with TemporaryFile() as log:
        environment = os.environ | dict(env or {})
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        try:
            assert process.stdin is not None
            with process.stdin as pipe:
                pipe.write(stdin)
            if not _accepts(port, process, patience):
                sys.exit(f"bench: {' '.join(command)} does not listen on port {port}:\n{_said(log)}")
            try:
                yield process
            finally:
                if process.poll() not in (None, -signal.SIGKILL):
                    print(f"bench: {' '.join(command)} has ended by itself:\n{_said(log)}", file=sys.stderr)
        finally:
            _stop(process)


def _said(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode()


def _accepts(port: int, process: subprocess.Popen[bytes], patience: float) -> bool:
    """Wait until `port` accepts; False when the process ends first, or takes too long."""
    until = monotonic() + patience
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
