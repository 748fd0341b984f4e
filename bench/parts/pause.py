"""The longest pause: what one more client sees while others load the server and its metrics are scraped."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event
from time import monotonic, sleep

from bench.client import Client
from bench.load import Asked, key, measure, target, untouched
from bench.parts.full import Full
from bench.peers import PEERS, started
from bench.processes import Server
from bench.report import Table, at_most
from bench.settings import GATEWAY, LUA, Settings

_ALLOWED = 20
_SCRAPE = 1.0
_BREATH = 0.001
# Large enough to fill the room that is left, so that stored responses are put out.
_LARGE = "?size=16000"


def pause(settings: Settings, source: Server, full: Full) -> Table:
    """The longest answer of the full gateway, and for a quarter of the time nginx + Lua's: the machine has its own."""
    hits = replace(full.asked, kind="same")
    evicted = full.server.metric("gateway_evictions_total")
    rows = [_row(full.server, hits, settings.pause)]
    evicted = full.server.metric("gateway_evictions_total") - evicted
    if LUA in settings.peers and not PEERS[LUA].missing():
        with started(PEERS[LUA], source, 1) as server:
            server.get(f"{target(hits.first)}{hits.query}", key(0))
            rows.append(_row(server, hits, max(2, settings.pause // 4)))
    note = (
        f"Hits over 30 connections, misses of 16 KB over 2, a scrape a second; {full.stored:,} stored responses, "
        f"{evicted:,.0f} put out meanwhile. One more client asks every millisecond."
    )
    goal = at_most("longest pause in ms", float(rows[0][-1]), _ALLOWED, ".1f")
    return Table("Pause", note, ("", "seconds", "answers", "99.9 % ms", "longest ms"), rows, [goal])


def _row(server: Server, hits: Asked, seconds: int) -> tuple[str, ...]:
    misses = Asked("sequence", urls=10_000_000, first=untouched(), query=_LARGE)
    times = sorted(_times(server, hits, misses, seconds))
    late = times[len(times) * 999 // 1000]
    return (server.name, f"{seconds}", f"{len(times):,}", f"{late:.1f}", f"{times[-1]:.1f}")


def _times(server: Server, hits: Asked, misses: Asked, seconds: int) -> Sequence[float]:
    """Milliseconds of each answer to one more client."""
    over = Event()
    with ThreadPoolExecutor() as pool, Client(server, f"{target(hits.first)}{hits.query}") as client:
        loads = [pool.submit(measure, server, hits, seconds, 30), pool.submit(measure, server, misses, seconds, 2)]
        scrapes = pool.submit(_scrape, server, over)
        try:
            with preferred():
                return list(_asked(client, monotonic() + seconds))
        finally:
            over.set()
            scrapes.result()
            for load in loads:
                load.result()


def _asked(client: Client, until: float) -> Iterator[float]:
    while monotonic() < until:
        yield client.ask()
        sleep(_BREATH)


def _scrape(server: Server, over: Event) -> None:
    while server.name == GATEWAY and not over.wait(_SCRAPE):
        server.metric("gateway_stored_responses")


@contextmanager
def preferred() -> Iterator[None]:
    """Before everything else on this core, where that is allowed: the load must not pass for a pause."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
