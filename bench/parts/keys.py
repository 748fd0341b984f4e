"""What many accounts and many receipts cost: hits of 1,000 keys, and priced options, beside one key's plain lookups."""

from collections import defaultdict
from dataclasses import dataclass, replace
from statistics import median
from time import monotonic, sleep

from bench.load import CONNECTIONS, Asked, Measured, fill, key, measure_hits, target
from bench.parts.arena import KEYS, Arena
from bench.processes import Server
from bench.report import Table, at_least
from bench.rounds import Rounds, alternate
from bench.settings import GATEWAY

_LEAST = 0.8
_PATIENCE = 60
_MANY, _FEW = 1_000, 10
_PRICED = "?include_offers=true"
_NO_RECEIPT = "/-/receipts/rcpt_7fffffffffff"
_BREATH = 0.05
_COLUMNS = ("", "hits/s", "slowest–fastest", "÷ one key", "p99 ms", "CPU µs", "behind s")


@dataclass(frozen=True, slots=True)
class Mix:
    """Who asks for what; `least` is the part of the first mix's rate that it should keep."""

    name: str
    keys: int
    urls: int
    query: str = ""
    least: float = 0.0

    @property
    def asked(self) -> Asked:
        """Its requests."""
        return Asked("mixed", self.keys, self.urls, query=self.query)


MIXES = (
    Mix("one key", 1, _FEW),
    Mix(f"{KEYS:,} keys, the same URLs", KEYS, _FEW, least=_LEAST),
    Mix(f"{KEYS:,} keys, {_MANY:,} URLs", KEYS, _MANY, least=_LEAST),
    Mix("one key, a receipt each", 1, _FEW, _PRICED),
)
"""The first is what the others are held against."""


def keys(arena: Arena) -> Table:
    """The mixes in turn on the gateway, each once the book has all of the one before."""
    server = arena.servers[GATEWAY]
    _store(server)
    lags = defaultdict[str, list[float]](list)
    mixes = {mix.name: mix for mix in MIXES}

    def once(turn: Server) -> Measured:
        measured = measure_hits(turn, arena.source, mixes[turn.name].asked, arena.settings.seconds)
        lags[turn.name].append(_until_booked(turn))
        return measured

    found = alternate([replace(server, name=name) for name in mixes], arena.settings.rounds, once)
    base = found[MIXES[0].name].rate
    rows = [_row(name, rounds, base, median(lags[name])) for name, rounds in found.items()]
    goals = [at_least(f"{mix.name} ÷ one key", found[mix.name].rate / base, mix.least) for mix in MIXES if mix.least]
    note = (
        f"The gateway alone, {CONNECTIONS} connections, the mixes in turn. Each key asks for ten URLs over and over. "
        "Behind: seconds until the book held all of a round."
    )
    return Table("Keys", note, _COLUMNS, rows, goals)


def _store(server: Server) -> None:
    """All that the mixes ask for, and everything so far in the book."""
    fill(server, Asked(urls=_MANY), _PATIENCE)
    for number in range(_FEW):
        server.get(target(number) + _PRICED, key(0))
    _until_booked(server)


def _until_booked(server: Server) -> float:
    """Seconds until a receipt is looked up: that waits until the book holds all charges, and gives up with 503."""
    began = monotonic()
    while (status := server.get(_NO_RECEIPT, key(0)).status) == 503:
        assert monotonic() < began + _PATIENCE, f"{server.name}: the book does not get there"
        sleep(_BREATH)
    assert status == 404, f"{server.name} answers {status} for a receipt that nobody has"
    return monotonic() - began


def _row(name: str, rounds: Rounds, base: float, lag: float) -> tuple[str, ...]:
    rate = (f"{rounds.rate:,.0f}", rounds.spread, f"{rounds.rate / base:.2f}")
    return (name, *rate, f"{rounds.p99:.2f}", f"{rounds.work:.1f}", f"{lag:.2f}")
