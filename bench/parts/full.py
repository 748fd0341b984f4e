"""A gateway with much in it: is it as fast as an empty one, and what does a stored response take?"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bench.load import Asked, fill, key, measure_hits, target, untouched
from bench.peers import PEERS, started
from bench.processes import Server
from bench.report import Table, at_least, at_most
from bench.rounds import alternate
from bench.settings import GATEWAY, Settings

BODY = 1_024
_LEAST, _OVERHEAD = 0.85, 700
_ROUNDS = 3
# Bytes of room for each response: somewhat more than it takes, so that nothing is put out before the pause part.
_ROOM = 6_000


@dataclass(frozen=True, slots=True)
class Full:
    """A gateway, requests for all that is stored in it, and the bytes of memory that storing took."""

    server: Server
    asked: Asked
    stored: int
    taken: int


@contextmanager
def filled(settings: Settings, source: Server) -> Iterator[Full]:
    """A gateway with as many keys as `settings` says, and as many stored responses as the time allows."""
    asked = Asked("fresh", settings.keys, settings.stored, untouched(), f"?size={BODY}")
    with started(PEERS[GATEWAY], source, settings.keys, f"{settings.stored * _ROOM}B") as server:
        _store_one(server, asked)
        before = server.resident()
        done = fill(server, asked, settings.fill)
        stored = int(server.metric("gateway_stored_responses"))
        yield Full(server, replace(asked, urls=done), stored, server.resident() - before)


def flatness(settings: Settings, source: Server, full: Full) -> Table:
    """Hits a second of a gateway that stores one response and knows one key, beside those of the full one."""
    with started(PEERS[GATEWAY], source, 1) as server:
        one = replace(full.asked, keys=1, urls=1)
        _store_one(server, one)
        empty, much = replace(server, name="empty"), replace(full.server, name="full")
        same = {server.name: replace(one, kind="same") for server in (empty, much)}
        loads = {"the same head": same, "new heads": {"empty": one, "full": full.asked}}
        rates = {name: _rates(settings, source, (empty, much), load) for name, load in loads.items()}
    rows = [(name, f"{few:,.0f}", f"{many:,.0f}", f"{many / few:.2f}") for name, (few, many) in rates.items()]
    note = (
        f"One stored response of {BODY:,} bytes and one key, against {full.stored:,} and {settings.keys:,}. "
        "New heads are for any response with any key."
    )
    goals = [at_least(f"{name}: full ÷ empty", many / few, _LEAST) for name, (few, many) in rates.items()]
    return Table("Flatness", note, ("", "empty", "full", "full ÷ empty"), rows, goals)


def _rates(
    settings: Settings, source: Server, servers: tuple[Server, Server], load: Mapping[str, Asked]
) -> tuple[float, float]:
    """Hits a second of both."""
    found = alternate(
        servers,
        min(_ROUNDS, settings.rounds),
        lambda server: measure_hits(server, source, load[server.name], settings.seconds),
    )
    return found["empty"].rate, found["full"].rate


def memory(full: Full) -> Table:
    """What the process grew by for each response that it stored."""
    each = full.taken / max(1, full.stored)
    note = f"{full.stored:,} stored responses with bodies of {BODY:,} bytes, tokens in the body."
    row = (GATEWAY, f"{each:,.0f}", f"{each - BODY:,.0f}")
    goal = at_most("bytes besides the body", each - BODY, _OVERHEAD, ",.0f")
    return Table("Memory", note, ("", "bytes for each", "besides the body"), [row], [goal])


def _store_one(server: Server, asked: Asked) -> None:
    assert server.get(target(asked.first) + asked.query, key(0)).status == 200
