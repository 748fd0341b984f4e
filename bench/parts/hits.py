"""Hits a second: the same request again and again, many keys and URLs, and heads that nobody has sent before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.checks import ask, check_hit, check_sizes
from bench.load import CONNECTIONS, Asked, fill, warm
from bench.parts.arena import KEYS, Arena
from bench.processes import Server
from bench.report import Goal, Table, at_least, at_most
from bench.rounds import Rounds, alternate
from bench.settings import GATEWAY, HAPROXY, LUA

_PATIENCE = 120
_COLUMNS = ("", "hits/s", "slowest–fastest", "gateway ÷ it", "p50 ms", "p99 ms", "CPU µs", "bytes")
GZIP = (("Accept-Encoding", "gzip, deflate"), ("Connection", "keep-alive"))
"""What most libraries send of themselves."""


@dataclass(frozen=True, slots=True)
class Load:
    """One table: `rates` are the least ratios to other peers wanted, `slow` the most of nginx + Lua's p99."""

    title: str
    note: str
    asked: Asked
    connections: int = CONNECTIONS
    everybody: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    slow: float = 0.0


def loads(urls: int) -> tuple[Load, ...]:
    """What is asked for; the last is for any of `urls`."""
    return (
        Load(
            "Hits: one",
            f"One key, one URL, the same head each time, {CONNECTIONS} connections.",
            Asked(),
            everybody=True,
            rates={LUA: 1.3, HAPROXY: 1.0},
            slow=2.0,
        ),
        Load(
            "Hits: gzip",
            "The same from a client that accepts gzip, as most do. Only the gateway packs; the others do not.",
            Asked(further=GZIP),
            rates={LUA: 1.3, HAPROXY: 1.0},
            slow=2.0,
        ),
        Load("Hits: one connection", "The same over one connection.", Asked(), connections=1),
        Load(
            "Hits: mixed",
            f"{KEYS:,} keys and 1,000 URLs: each key asks for ten of them over and over.",
            Asked("mixed", KEYS, 1_000),
            rates={LUA: 1.3, HAPROXY: 1.0},
        ),
        Load(
            "Hits: new heads",
            "One key, one URL, a fresh traceparent and X-Request-Id in each request.",
            Asked("fresh"),
            rates={LUA: 0.7},
        ),
        Load(
            "Hits: new pairs",
            f"Any of {KEYS:,} keys for any of {urls:,} URLs: hardly a head comes twice.",
            Asked("drawn", KEYS, urls),
            rates={LUA: 0.7},
        ),
    )


def hits(arena: Arena) -> Iterator[Table]:
    """A table for each load."""
    urls = arena.settings.urls
    for server in arena.caching():
        fill(server, Asked(urls=urls), _PATIENCE)
    for load in loads(urls):
        yield _hits(arena, load)


def _hits(arena: Arena, load: Load) -> Table:
    servers = list(arena.servers.values()) if load.everybody else arena.fast()
    for server in servers:
        warm(server, load.asked)
    found = alternate(servers, arena.settings.rounds, lambda server: arena.hits(server, load.asked, load.connections))
    for server in servers:
        _check(server, load, found[server.name])
    rows = [_row(name, rounds, found[GATEWAY].rate / rounds.rate) for name, rounds in found.items()]
    return Table(load.title, load.note, _COLUMNS, rows, [*_goals(load, found)])


def _check(server: Server, load: Load, found: Rounds) -> None:
    """What was measured were whole answers."""
    answer = ask(server, load.asked)
    check_sizes(server, answer.size, found.measured, load.connections)
    if server.name == GATEWAY:
        check_hit(answer)


def _row(name: str, rounds: Rounds, ratio: float) -> tuple[str, ...]:
    times = (f"{rounds.p50:.2f}", f"{rounds.p99:.2f}", f"{rounds.work:.1f}")
    return (name, f"{rounds.rate:,.0f}", rounds.spread, f"{ratio:.2f}", *times, f"{rounds.size:,.0f}")


def _goals(load: Load, found: Mapping[str, Rounds]) -> Iterator[Goal]:
    gateway = found[GATEWAY]
    for name, least in load.rates.items():
        if name in found:
            yield at_least(f"hits ÷ {name}", gateway.rate / found[name].rate, least)
    if load.slow and LUA in found:
        yield at_most(f"p99 ÷ {LUA}", gateway.p99 / found[LUA].p99, load.slow)
