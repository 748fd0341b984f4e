"""The longest pause: what one more client sees while others load the server and operators do what they do."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
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
from bench.settings import LUA

_ALLOWED = 20
_SCRAPE = 1.0
_BREATH = 0.001
# Large enough to fill the room that is left, so that stored responses are put out.
_LARGE = "?size=16000"
_LEFT = 64 << 10
_RELOADS = 3
_PATIENCE = 300.0
_LOADED = "gateway_config_last_reload_success_timestamp_seconds"


def pause(full: Full) -> Table:
    """The longest answer of the full gateway, and for a quarter of the time nginx + Lua's: the machine has its own."""
    settings, hits = full.settings, replace(full.asked, kind="same")
    _tight(full.server)
    evicted = full.server.metric("gateway_evictions_total")
    reloads: list[float] = []
    rows = [_row(full.server, hits, settings.pause, lambda over: _operate(full.server, settings.pause, over, reloads))]
    evicted = full.server.metric("gateway_evictions_total") - evicted
    assert evicted, "nothing was put out"
    if LUA in settings.peers and not PEERS[LUA].missing():
        with started(PEERS[LUA], full.source, 1) as server:
            server.get(f"{target(hits.first)}{hits.query}", key(0))
            rows.append(_row(server, hits, max(2, settings.pause // 4), lambda _: None))
    note = (
        f"Hits over 30 connections, misses of 16 KB over 2, a scrape a second; {full.asked.urls:,} stored responses, "
        f"{evicted:,.0f} put out meanwhile, {full.asked.keys:,} keys, and {len(reloads)} reloads of them all. One more "
        "client asks every millisecond."
    )
    goal = at_most("longest pause in ms", float(rows[0][-1]), _ALLOWED, ".1f")
    return Table("Pause", note, ("", "seconds", "answers", "99.9 % ms", "longest ms"), rows, [goal])


def _row(server: Server, hits: Asked, seconds: int, operate: Callable[[Event], None]) -> tuple[str, ...]:
    misses = Asked("sequence", urls=10_000_000, first=untouched(), query=_LARGE)
    times = sorted(_times(server, hits, misses, seconds, operate))
    late = times[len(times) * 999 // 1000]
    return (server.name, f"{seconds}", f"{len(times):,}", f"{late:.1f}", f"{times[-1]:.1f}")


def _times(
    server: Server, hits: Asked, misses: Asked, seconds: int, operate: Callable[[Event], None]
) -> Sequence[float]:
    """Milliseconds of each answer to one more client, while `operate` does what it does until the event is set."""
    over = Event()
    with ThreadPoolExecutor() as pool, Client(server, f"{target(hits.first)}{hits.query}") as client:
        loads = [pool.submit(measure, server, hits, seconds, 30), pool.submit(measure, server, misses, seconds, 2)]
        operating = pool.submit(operate, over)
        try:
            with preferred():
                return list(_asked(client, monotonic() + seconds))
        finally:
            over.set()
            operating.result()
            for load in loads:
                load.result()


def _asked(client: Client, until: float) -> Iterator[float]:
    while monotonic() < until:
        yield client.ask()
        sleep(_BREATH)


def _operate(server: Server, seconds: int, over: Event, reloads: list[float]) -> None:
    """Scrape every second, and save a config now and then: `reloads` gets the moments when one was in operation."""
    due, began = [seconds * turn / _RELOADS for turn in range(_RELOADS)], monotonic()
    known = server.metric(_LOADED)
    while not over.wait(_SCRAPE):
        if due and monotonic() >= began + due[0]:
            due.pop(0)
            _make_tight(server)
        if (loaded := server.metric(_LOADED)) != known:
            known = loaded
            reloads.append(loaded)


def _tight(server: Server) -> None:
    """From now on something is put out for all that is stored."""
    known, until = server.metric(_LOADED), monotonic() + _PATIENCE
    _make_tight(server)
    while server.metric(_LOADED) == known:
        assert monotonic() < until, "the config is not loaded"
        sleep(_SCRAPE)


def _make_tight(server: Server) -> None:
    """Save another config, which is reloaded for that: there is room for what is stored now and hardly more."""
    config = json.loads(server.config.read_text())
    config["store"]["memory"] = f"{int(server.metric('gateway_stored_bytes')) + _LEFT}B"
    server.config.write_text(json.dumps(config))


@contextmanager
def preferred() -> Iterator[None]:
    """Before everything else on this core, where that is allowed: the load must not pass for a pause."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
