"""`python -m support.preloaded LINE`: it loads the gateway's libraries once and forks each process that is asked for.

LINE is the descriptor of a socket. A fork runs its module as `python -m` would, in a folder and environment of its own;
what a library reads of the environment while it is loaded is from this process's.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

LIBRARIES = ("gateway.cli", "gateway.serving", "encodings.idna", "uvloop.loop")

LONGEST = 1 << 17
"""Bytes of a message, of which an environment is the most."""


class Job(NamedTuple):
    """A process to fork: its module, that one's arguments, its working folder and its whole environment."""

    module: str
    arguments: list[str]
    folder: str
    environ: dict[str, str]


def jobs(line: socket.socket) -> Job | None:
    """Does as it is asked until nobody can ask any more. Returns a job in the process that is forked for it alone.

    A message with the descriptors of two files is a job whose output goes to the first and whose errors to the second;
    the answer is the new process's id.
    One without is the id of a process that has ended, whose wait status is the answer; until then the id is kept.
    """
    while True:
        message, descriptors, *_ = socket.recv_fds(line, LONGEST, 2)
        if not message:
            return None
        if not descriptors:
            line.send(b"%d" % os.waitpid(int(message), 0)[1])
        elif child := _forked(*descriptors):
            line.send(b"%d" % child)
        else:
            return Job(*json.loads(message))


def _forked(output: int, errors: int) -> int:
    """The child's id; 0 in the child, which prints to the files."""
    # A lock that another thread holds would never be released in the child.
    assert len([*Path("/proc/self/task").iterdir()]) == 1
    if not (child := os.fork()):
        os.dup2(output, 1)
        os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    return child


def become(job: Job, found_by_python: list[str]) -> None:
    """Run the job's module as `python -m` does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(job.folder)
    os.environ.clear()
    os.environ.update(job.environ)
    time.tzset()
    sys.path[:] = [job.folder, *filter(None, job.environ.get("PYTHONPATH", "").split(os.pathsep)), *found_by_python]
    sys.argv[1:] = job.arguments
    runpy.run_module(job.module, run_name="__main__", alter_sys=True)


def serve(number: int) -> None:
    """Load the libraries, and fork until the other end of the socket is closed."""
    # Ctrl-C is for those who ask, and for the forks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in LIBRARIES:
        importlib.import_module(name)
    given = {str(Path.cwd()), *os.environ["PYTHONPATH"].split(os.pathsep)}
    found_by_python = [place for place in sys.path if place not in given]
    # What is loaded stays shared: no collection of a fork's writes to it.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=number) as line:
        job = jobs(line)
    if job:
        become(job, found_by_python)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
