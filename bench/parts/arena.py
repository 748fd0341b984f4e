"""The servers of a run, side by side in front of one upstream."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.checks import check
from bench.peers import PEERS, started
from bench.processes import Server
from bench.settings import BARE, VARNISH, Settings

KEYS = 1_000
"""API keys that every peer knows."""


@dataclass(frozen=True, slots=True)
class Arena:
    """The upstream, the peers that run, by name, and the run's measure."""

    settings: Settings
    source: Server
    servers: dict[str, Server]

    def caching(self) -> list[Server]:
        """Those that store and fetch."""
        return [server for name, server in self.servers.items() if PEERS[name].caches]

    def fast(self) -> list[Server]:
        """Those that are in question for the first place."""
        return [server for name, server in self.servers.items() if name not in (VARNISH, BARE)]


@contextmanager
def arena(settings: Settings, source: Server) -> Iterator[Arena]:
    """Start and check every peer that is installed; say aloud which is not."""
    servers = {}
    with ExitStack() as stack:
        for name in settings.peers:
            if missing := PEERS[name].missing():
                print(f"bench: WITHOUT {name}: {missing}", file=sys.stderr)
                continue
            servers[name] = stack.enter_context(started(PEERS[name], source, KEYS))
            check(PEERS[name], servers[name], source)
        yield Arena(settings, source, servers)
