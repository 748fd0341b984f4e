"""A gateway with much in it: is it as fast as one with nearly nothing, and what does a stored response take?"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bench.checks import ask, check_hit
from bench.load import Asked, calls, measure_hits, untouched, warm
from bench.parts.hits import GZIP
from bench.peers import PEERS, started
from bench.peers.own import configured, launched
from bench.peers.place import Place, placed
from bench.processes import Server
from bench.report import Table, at_least, at_most
from bench.rounds import Rounds, alternate
from bench.settings import GATEWAY, Settings

BODY = 1_024
_LEAST, _OVERHEAD = 0.85, 700
# Bytes of room for each response: more than it takes, so that nothing is put out before the pause part says so.
_ROOM = 2_500
_PATIENCE = 400.0
# So many are fetched besides. By what part of it the count for one of them may differ from that for what was put in.
_SOME, _ALIKE = 100, 0.03


@dataclass(frozen=True, slots=True)
class Full:
    """A gateway that stores what `asked` is about and one that stores but the first, both in front of `source`.

    Storing took `taken` bytes of memory. For one that came through its door the first counts `fetched` bytes, and
    `packed` once that was asked for as gzip.
    """

    settings: Settings
    source: Server
    server: Server
    empty: Server
    asked: Asked
    taken: int
    fetched: float
    packed: float


@contextmanager
def filled(settings: Settings, source: Server) -> Iterator[Full]:
    """The first has as many responses and keys as `settings` says; fails unless all of them are as if fetched."""
    asked = Asked("drawn", settings.keys, settings.stored, untouched(), f"?size={BODY}")
    with (
        started(PEERS[GATEWAY], source, 1) as empty,
        placed(source, settings.keys, f"{settings.stored * _ROOM}B") as place,
        _stocked(place, asked) as (server, taken),
    ):
        ask(empty, asked)
        _check(server, source, asked)
        fetched, packed = _counted(server, asked)
        yield Full(settings, source, server, empty, asked, taken, fetched, packed)


@contextmanager
def _stocked(place: Place, asked: Asked) -> Iterator[tuple[Server, int]]:
    """A gateway with all that `asked` is about, and the bytes of memory that storing took."""
    server, report = configured(place), place.folder / "stocked.json"
    words = map(str, (server.config, asked.first, asked.urls, asked.query, report))
    with launched(server, "-m", "bench.stocked", *words, patience=_PATIENCE) as running:
        yield running, json.loads(report.read_text())["taken"]


def _check(server: Server, source: Server, asked: Asked) -> None:
    """That everything is there, and answered as if it had been fetched."""
    before = calls(source)
    for number in (0, asked.urls // 2, asked.urls - 1):
        check_hit(ask(server, replace(asked, first=asked.first + number)))
    assert calls(source) == before, "what was put in is not found"
    stored = server.metric("gateway_stored_responses")
    assert stored == asked.urls, f"{stored:,.0f} of {asked.urls:,} are stored"


def _counted(server: Server, asked: Asked) -> tuple[float, float]:
    """Bytes counted for each of some that are fetched now, and then asked for as gzip; as many as for the others."""
    each = server.metric("gateway_stored_bytes") / asked.urls
    further = replace(asked, first=untouched())
    fetched = _more(server, further)
    assert abs(each - fetched) <= _ALIKE * fetched, f"{each:.0f} bytes each, {fetched:.0f} if fetched"
    return fetched, fetched + _more(server, replace(further, further=GZIP))


def _more(server: Server, asked: Asked) -> float:
    """By how many bytes more is counted for each of the next some."""
    before = server.metric("gateway_stored_bytes")
    for number in range(_SOME):
        ask(server, replace(asked, first=asked.first + number))
    return (server.metric("gateway_stored_bytes") - before) / _SOME


def flatness(full: Full) -> Table:
    """Hits a second of a gateway that stores one response and knows one key, beside those of the full one."""
    much, one = full.asked, replace(full.asked, keys=1, urls=1)
    same = replace(one, kind="same")
    loads = {"the same head": (same, same), "any response, any key": (one, much)}
    found = {name: _rates(full, *asked) for name, asked in loads.items()}
    ratios = {name: many.rate / few.rate for name, (few, many) in found.items()}
    rows = [_row(name, *rounds, ratios[name]) for name, rounds in found.items()]
    note = (
        f"One stored response of {BODY:,} bytes and one key (empty), against {much.urls:,} and {much.keys:,} (full). "
        "The empty one gets the same head each time in both."
    )
    each = ("hits/s", "slowest–fastest", "CPU µs")
    columns = ("", *(f"{name}: {what}" for name in ("empty", "full") for what in each), "full ÷ empty")
    goals = [at_least(f"{name}: full ÷ empty", ratio, _LEAST) for name, ratio in ratios.items()]
    return Table("Flatness", note, columns, rows, goals)


def _row(name: str, few: Rounds, many: Rounds, ratio: float) -> tuple[str, ...]:
    cells = [text for one in (few, many) for text in (f"{one.rate:,.0f}", one.spread, f"{one.work:.1f}")]
    return (name, *cells, f"{ratio:.2f}")


def _rates(full: Full, few: Asked, many: Asked) -> tuple[Rounds, Rounds]:
    """What the empty one does with `few`, the full one with `many`."""
    asked = {"empty": few, "full": many}
    servers = [replace(full.empty, name="empty"), replace(full.server, name="full")]
    warm(full.server, many)
    found = alternate(
        servers,
        full.settings.rounds,
        lambda server: measure_hits(server, full.source, asked[server.name], full.settings.seconds),
    )
    return found["empty"], found["full"]


def memory(full: Full) -> Table:
    """What the process grew by for each response that it stored, and what it counts for one."""
    each = full.taken / full.asked.urls
    note = (
        f"What the process grew by as {full.asked.urls:,} responses were stored, tokens in the body, and what it "
        "counts against store.memory for each; packed as well once somebody has asked for it as gzip."
    )
    columns = ("bytes for each", "resident", "besides the body", "counted")
    rows = [
        ("as it came", f"{each:,.0f}", f"{each - BODY:,.0f}", f"{full.fetched:,.0f}"),
        ("packed as well", "", "", f"{full.packed:,.0f}"),
    ]
    goal = at_most("bytes besides the body", each - BODY, _OVERHEAD, ",.0f")
    return Table("Memory", note, columns, rows, [goal])
