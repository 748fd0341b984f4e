"""A fleet: a gateway on Redis beside an embedded one, what Redis is asked, and two workers beside one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench.client import Client
from bench.load import CONNECTIONS, Asked, Measured, fill, measure, measure_hits, target, untouched
from bench.peers.own import configured, launched
from bench.peers.place import placed
from bench.processes import LOAD_CORE, SERVER_CORE, Server
from bench.redis_server import RedisServer, redis_server
from bench.report import Table, at_least, at_most
from bench.settings import Settings

_EMBEDDED, _SHARED = "embedded", "on Redis"
_PART, _ADDED, _TWICE = 0.5, 0.3, 1.6
_REFRESHES = 30  # three rounds and what is asked before them are within the cap of the config
_KEYS = 100
_PATIENCE = 60
_COLUMNS = ("", "hits/s", "slowest–fastest", "÷ embedded", "p50 ms", "p99 ms", "gateway CPU µs", "Redis CPU µs")


class Taken(NamedTuple):
    """What a round took: answers a second, their times (ms), and for each answer what it cost.

    `gateway`, `redis` and `load` are processor time (µs); calls to Redis, the bytes that it got and those that it sent.
    """

    rate: float
    p50: float
    p99: float
    gateway: float
    redis: float
    load: float
    calls: float
    received: float
    sent: float


Turns = Mapping[str, list[Taken]]
"""The rounds of each server."""


def fleet(settings: Settings, source: Server) -> Iterator[Table]:
    """A table for each of these."""
    with redis_server() as redis:
        with ExitStack() as stack:
            servers = [
                stack.enter_context(_gateway(source, _EMBEDDED)),
                stack.enter_context(_gateway(source, _SHARED, redis)),
            ]
            for server in servers:
                fill(server, Asked(), _PATIENCE)
            yield _hits(settings, source, redis, servers)
            yield _one_connection(settings, source, redis, servers)
            yield _asked(settings, source, redis, servers[1])
        yield _workers(settings, source, redis)


def _hits(settings: Settings, source: Server, redis: RedisServer, servers: list[Server]) -> Table:
    turns = _turns(settings.rounds, redis, servers, lambda one: _same(one, source, settings, CONNECTIONS))
    found = _medians(turns)
    goal = at_least("hits ÷ embedded", found[_SHARED].rate / found[_EMBEDDED].rate, _PART)
    note = (
        f"One key, one URL, {CONNECTIONS} connections. A gateway has one core, the load, the upstream and Redis (AOF, "
        "everysec) the other; the process that brings records from Redis to the book is the gateway's."
    )
    return Table("Fleet: hits", note, _COLUMNS, _rows(turns), [goal])


def _one_connection(settings: Settings, source: Server, redis: RedisServer, servers: list[Server]) -> Table:
    turns = _turns(settings.rounds, redis, servers, lambda one: _same(one, source, settings, 1))
    found = _medians(turns)
    goal = at_most("added ms at p50", found[_SHARED].p50 - found[_EMBEDDED].p50, _ADDED)
    return Table("Fleet: one connection", "The same over one connection.", _COLUMNS, _rows(turns), [goal])


def _rows(turns: Turns) -> list[tuple[str, ...]]:
    found = _medians(turns)
    return [_row(name, one, turns[name], one.rate / found[_EMBEDDED].rate) for name, one in found.items()]


def _row(name: str, taken: Taken, turns: list[Taken], ratio: float) -> tuple[str, ...]:
    times = (f"{taken.p50:.3f}", f"{taken.p99:.2f}", f"{taken.gateway:.1f}", f"{taken.redis:.1f}")
    return (name, f"{taken.rate:,.0f}", _spread(turns), f"{ratio:.2f}", *times)


def _asked(settings: Settings, source: Server, redis: RedisServer, server: Server) -> Table:
    """What one gateway asks of Redis for each kind of request, its reading of the records included."""
    kinds: dict[str, Callable[[], Measured]] = {
        "hits, one connection": lambda: _same(server, source, settings, 1),
        f"hits, {CONNECTIONS} connections": lambda: _same(server, source, settings, CONNECTIONS),
        f"hits, {CONNECTIONS} connections, {_KEYS} keys": lambda: _mixed(server, settings),
        "misses, one connection": lambda: _missed(server, settings, 1),
        f"misses, {CONNECTIONS} connections": lambda: _missed(server, settings, CONNECTIONS),
        "force refreshes, one connection": lambda: _refreshed(server),
    }
    rows = []
    for kind, once in kinds.items():
        taken = _median([_taken(redis, once) for _ in range(settings.few)])
        told = (f"{taken.calls:.2f}", f"{taken.received:,.0f}", f"{taken.sent:,.0f}", f"{taken.redis:.1f}")
        rows.append((kind, f"{taken.rate:,.0f}", *told, f"{1e6 / taken.redis:,.0f}"))
    columns = (
        "",
        "a second",
        "calls",
        "bytes to Redis",
        "bytes from it",
        "Redis CPU µs",
        "one Redis carries, a second",
    )
    note = "For each request, by what Redis counts; what one Redis carries is a second of a core by its processor time."
    return Table("Fleet: asked of Redis", note, columns, rows)


def _workers(settings: Settings, source: Server, redis: RedisServer) -> Table:
    """Two cores for everything: what the processes took is what counts, not what came out of them together.

    Each worker has as many connections as one has alone: who adds workers has more clients, not fewer for each.
    """
    with ExitStack() as stack:
        servers = [stack.enter_context(_gateway(source, f"{n} worker{'s' * (n > 1)}", redis, n)) for n in (1, 2)]
        for server in servers:
            fill(server, Asked(), _PATIENCE)
        number = {server.name: workers for workers, server in enumerate(servers, 1)}
        turns = _turns(
            settings.rounds, redis, servers, lambda one: _same(one, source, settings, number[one.name] * CONNECTIONS)
        )
    found = _medians(turns)
    carried = [_carried(one, number) for number, one in enumerate(found.values(), 1)]
    rows = [
        (
            name,
            f"{one.rate:,.0f}",
            _spread(turns[name]),
            *(f"{part:.1f}" for part in (one.gateway, one.redis, one.load)),
            f"{most:,.0f}",
        )
        for (name, one), most in zip(found.items(), carried, strict=True)
    ]
    columns = (
        "",
        "hits/s here",
        "slowest–fastest",
        "gateway CPU µs",
        "Redis CPU µs",
        "load CPU µs",
        "carried",
    )
    note = (
        f"{CONNECTIONS} connections for each worker. Workers, Redis and the load share two cores: their rate is no "
        "measure. What is carried is by processor time: a core for each worker, at what a hit took of them, one for "
        "Redis, and what the load needs."
    )
    return Table(
        "Fleet: workers", note, columns, rows, [at_least("two workers ÷ one", carried[1] / carried[0], _TWICE)]
    )


def _carried(taken: Taken, workers: int) -> float:
    """Hits a second where each worker has a core of its own, and so have Redis and the load."""
    return min(workers * 1e6 / taken.gateway, 1e6 / taken.redis)


def _turns(rounds: int, redis: RedisServer, servers: list[Server], once: Callable[[Server], Measured]) -> Turns:
    """In turn, so that whatever disturbs the machine disturbs all."""
    turns = [[_taken(redis, partial(once, server)) for server in servers] for _ in range(rounds)]
    return {server.name: list(each) for server, each in zip(servers, zip(*turns, strict=True), strict=True)}


def _taken(redis: RedisServer, once: Callable[[], Measured]) -> Taken:
    before, worked, load = redis.told(), redis.server.worked(), _load()
    measured = once()
    spent = [redis.server.worked() - worked, _load() - load]
    told = [after - earlier for after, earlier in zip(redis.told(), before, strict=True)]
    work = [seconds / measured.answers * 1e6 for seconds in spent]
    return Taken(
        measured.rate, measured.p50, measured.p99, measured.work, *work, *(number / measured.answers for number in told)
    )


def _load() -> float:
    """Seconds of processor time that wrk has taken in all rounds so far."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _same(server: Server, source: Server, settings: Settings, connections: int) -> Measured:
    return measure_hits(server, source, Asked(), settings.seconds, connections)


def _mixed(server: Server, settings: Settings) -> Measured:
    return measure(server, Asked("mixed", _KEYS, _KEYS), settings.seconds)


def _missed(server: Server, settings: Settings, connections: int) -> Measured:
    return measure(server, Asked("sequence", urls=10_000_000, first=untouched()), settings.seconds, connections)


def _refreshed(server: Server) -> Measured:
    """One after the other: there are only so many of them a minute."""
    worked, began = server.worked(), perf_counter()
    with Client(server, f"{target(0)}?include_force_refresh=true") as client:
        times = sorted(client.ask() for _ in range(_REFRESHES))
    rate = _REFRESHES / (perf_counter() - began)
    work = (server.worked() - worked) / _REFRESHES * 1e6
    return Measured(_REFRESHES, 0.0, rate, median(times), times[-1], work)


@contextmanager
def _gateway(source: Server, name: str, redis: RedisServer | None = None, workers: int = 0) -> Iterator[Server]:
    """One with a store of its own, one on Redis, or workers on both cores; its name in the tables."""
    with placed(source, _KEYS) as place:
        server = replace(configured(place, "" if redis is None else redis.url), name=name)
        if not workers:
            with launched(server) as started:
                yield started
            return
        command = ("-m", "gateway", "serve", "--workers", str(workers), "--config", str(server.config))
        with launched(server, *command, cores=f"{SERVER_CORE},{LOAD_CORE}") as started:
            yield started


def _medians(turns: Turns) -> dict[str, Taken]:
    return {name: _median(rounds) for name, rounds in turns.items()}


def _median(rounds: list[Taken]) -> Taken:
    return Taken(*map(median, zip(*rounds, strict=True)))


def _spread(turns: list[Taken]) -> str:
    rates = [one.rate for one in turns]
    return f"{min(rates):,.0f}–{max(rates):,.0f}"
