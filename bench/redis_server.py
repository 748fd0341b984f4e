"""A Redis beside the gateways that are measured, on the load's core, and what it says it was asked."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from redis import Redis

from bench.processes import HOST, LOAD_CORE, Server, free_port, pinned, running

_KEPT = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
"""As docs/redis.md recommends it, without a replica."""


class Told(NamedTuple):
    """Since its start: calls that came in (reads of its sockets), their bytes, and those of the answers."""

    calls: int
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running Redis: its process, and a connection to ask it by."""

    server: Server
    client: Redis

    @property
    def url(self) -> str:
        """What a gateway's `store.url` is."""
        return f"redis://{HOST}:{self.server.port}/0"

    def told(self) -> Told:
        """What it counts, this call among it."""
        found = self.client.info("stats")
        return Told(*(found[f"total_{name}"] for name in ("reads_processed", "net_input_bytes", "net_output_bytes")))

    def memory(self) -> int:
        """Bytes that its data takes."""
        return int(self.client.info("memory")["used_memory"])


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """An empty one, which is gone afterwards."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        place = ("--bind", HOST, "--port", str(port), "--dir", folder)
        with (
            running(pinned(LOAD_CORE, "redis-server", *place, *_KEPT), port) as process,
            Redis(host=HOST, port=port) as client,
        ):
            yield RedisServer(Server("redis", port, process.pid), client)
