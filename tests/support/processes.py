"""Processes under test: Python modules run by themselves, or forked from one that has loaded the gateway already."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Protocol

from support.preloaded import Job

_TESTS = Path(__file__).resolve().parents[1]


class Process(Protocol):
    """What tests ask of a process; `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Printing:
    """Where a process prints."""

    output: IO[bytes]
    errors: IO[bytes]


def run_alone(module: str, arguments: list[str], folder: Path, environ: Mapping[str, str], to: Printing) -> Process:
    """`python -m module …` as on a command line."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=to.output, stderr=to.errors
    )


def run_preloaded(module: str, arguments: list[str], folder: Path, environ: Mapping[str, str], to: Printing) -> Process:
    """The same, in a fork of a process that has loaded the gateway's libraries: a tenth of a start's work."""
    return _loader().fork(Job(module, arguments, str(folder), dict(environ)), to)


def command(
    *arguments: str, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """`gateway …` to its end, in a fork; `environ` is set besides. Raises subprocess.TimeoutExpired."""
    whole = {**os.environ, "PYTHONPATH": str(_TESTS.parent), **(environ or {})}
    with TemporaryFile() as output, TemporaryFile() as errors:
        process = run_preloaded("gateway", [*arguments], folder or Path.cwd(), whole, Printing(output, errors))
        try:
            status = process.wait(60)
        finally:
            process.kill()
        texts = [(file.seek(0), file.read().decode())[1] for file in (output, errors)]
    return subprocess.CompletedProcess(arguments, status, *texts)


class Forked:
    """A process that the loader has forked; as `subprocess.Popen`. Its id stays its own until its end was asked for."""

    def __init__(self, loader: "Loader", pid: int) -> None:
        self.pid = pid
        self._loader = loader
        self._handle = os.pidfd_open(pid)
        self._over = select.poll()
        self._over.register(self._handle, select.POLLIN)
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it lives."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, as `poll`. Raises subprocess.TimeoutExpired."""
        if (status := self._ended(timeout)) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def send_signal(self, sig: int, /) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, within: float | None) -> int | None:
        if self._status is None and self._over.poll(None if within is None else within * 1000):
            self._status = self._loader.reap(self.pid)
            os.close(self._handle)
        return self._status


class Loader:
    """The process that is forked; it ends with this one."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)])}
        command = [sys.executable, "-m", "support.preloaded", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def fork(self, job: Job, to: Printing) -> Forked:
        """A process for the job."""
        with self._turn:
            socket.send_fds(self._line, [json.dumps(job).encode()], [to.output.fileno(), to.errors.fileno()])
            return Forked(self, int(self._line.recv(16)))

    def reap(self, pid: int) -> int:
        """The exit status of a process that has ended, for the first who asks."""
        with self._turn:
            self._line.send(b"%d" % pid)
            return os.waitstatus_to_exitcode(int(self._line.recv(16)))

    def close(self) -> None:
        """End it; what it has forked goes on."""
        self._line.close()
        self._process.wait()


_loader = cache(Loader)
