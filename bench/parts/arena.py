"""The servers of a run, side by side in front of one upstream."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bench.checks import check
from bench.load import CONNECTIONS, Asked, Measured, measure_hits
from bench.peers import PEERS, started
from bench.peers.own import charged
from bench.processes import Server
from bench.settings import BARE, GATEWAY, VARNISH, Settings

KEYS = 1_000
"""API keys that every peer knows."""


@dataclass(slots=True)
class Counted:
    """Hits of the gateway: how many wrk has counted, and the tokens that were charged meanwhile."""

    answers: int = 0
    tokens: int = 0

    def add(self, answers: int, tokens: int, connections: int) -> None:
        """One round; ends the run unless each answer was charged a token: of those at its end some are not counted."""
        if not answers <= tokens <= answers + connections:
            sys.exit(f"bench: {tokens:,} tokens were charged for {answers:,} answers")
        self.answers += answers
        self.tokens += tokens


@dataclass(frozen=True, slots=True)
class Arena:
    """The upstream, the peers that run, by name, the run's measure, and what the gateway's hits cost."""

    settings: Settings
    source: Server
    servers: dict[str, Server]
    counted: Counted = field(default_factory=Counted)

    def caching(self) -> list[Server]:
        """Those that store and fetch."""
        return [server for name, server in self.servers.items() if PEERS[name].caches]

    def fast(self) -> list[Server]:
        """Those that are in question for the first place."""
        return [server for name, server in self.servers.items() if name not in (VARNISH, BARE)]

    def hits(self, server: Server, asked: Asked, connections: int = CONNECTIONS) -> Measured:
        """One round in which each answer is a hit, and each of the gateway's is charged a token."""
        before = charged(server) if server.name == GATEWAY else 0
        measured = measure_hits(server, self.source, asked, self.settings.seconds, connections)
        if server.name == GATEWAY:
            self.counted.add(measured.answers, charged(server) - before, connections)
        return measured


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
