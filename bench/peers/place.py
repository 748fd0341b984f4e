"""Where a peer runs: folders of its own, fresh for each."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import HOST, Server

STORE = "4GiB"
"""The gateway's memory for stored responses where a part says nothing else."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder on disk and one in memory, the upstream, how many API keys are known, and the gateway's memory."""

    folder: Path
    memory: Path
    upstream: str
    keys: int
    store: str = STORE


@contextmanager
def placed(source: Server, keys: int, store: str = STORE) -> Iterator[Place]:
    """A place in front of `source`, whose folders go with it."""
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir=shared) as memory:
        for path in (folder, memory):
            Path(path).chmod(0o755)  # nginx's worker and Varnish are other users where root runs this
        yield Place(Path(folder), Path(memory), f"{HOST}:{source.port}", keys, store)
