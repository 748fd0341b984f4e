"""Reloads: how long a large config takes to be in operation, and what one client sees meanwhile."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any, TypeVar

import yaml

from bench.client import Client
from bench.load import key, target
from bench.parts.pause import preferred
from bench.processes import HOST, SERVER_CORE, Server, free_port, pinned, running
from bench.report import Table, at_most
from bench.settings import GATEWAY, Settings

ROUTES = KEYS = 1_000
_SECONDS, _WAIT = 2.0, 50
_BREATH = 0.001
_PATIENCE = 120

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Configured:
    """A gateway, its config's file, and the configs to put there one after the other."""

    server: Server
    path: Path
    texts: list[str]


def reloads(settings: Settings, source: Server) -> Table:
    """Seconds of each reload, and the longest answer while they happen beside the longest before."""
    with _configured(source, settings.rounds) as configured:
        configured.server.get(target(0), key(0))
        _, alone = _asked_while(configured.server, lambda: sleep(settings.pause / 4))
        taken, meanwhile = _asked_while(configured.server, lambda: [_reload(configured, n) for n in configured.texts])
    rows = [_row("nothing else", alone, []), _row("reloads", meanwhile, taken)]
    note = (
        f"{ROUTES:,} routes and {KEYS:,} keys in one file, changed and loaded {len(taken)} times. One client asks for "
        "what is stored every millisecond; the gateway, and the process that reads for it, have one core."
    )
    added = max(meanwhile) - max(alone)
    goals = [at_most("seconds of a reload", max(taken), _SECONDS), at_most("ms waited for it", added, _WAIT, ".1f")]
    return Table("Reloads", note, ("", "answers", "median s", "longest s", "99.9 % ms", "longest ms"), rows, goals)


def _row(name: str, times: list[float], taken: list[float]) -> tuple[str, ...]:
    seconds = (f"{median(taken):.2f}", f"{max(taken):.2f}") if taken else ("", "")
    late = sorted(times)[len(times) * 999 // 1000]
    return (name, f"{len(times):,}", *seconds, f"{late:.1f}", f"{max(times):.1f}")


def _asked_while(server: Server, work: Callable[[], T]) -> tuple[T, list[float]]:
    """What `work` comes to, and the milliseconds of each answer until then."""
    times = []
    with ThreadPoolExecutor(1) as pool, Client(server, target(0)) as client:
        working = pool.submit(work)
        with preferred():
            while not working.done():
                times.append(client.ask())
                sleep(_BREATH)
        return working.result(), times


def _reload(configured: Configured, text: str) -> float:
    """Seconds from the save until the config is in operation."""
    began = perf_counter()
    configured.path.write_text(text)
    connection = HTTPConnection(HOST, configured.server.admin_port, timeout=_PATIENCE)
    try:
        connection.request("POST", "/-/config/reload")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
    finally:
        connection.close()
    return perf_counter() - began


@contextmanager
def _configured(source: Server, times: int) -> Iterator[Configured]:
    port, admin = free_port(), free_port()
    texts = [yaml.dump(_config(port, admin, source, price), Dumper=yaml.CSafeDumper) for price in range(times + 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(texts[0])
        command = pinned(SERVER_CORE, sys.executable, "-m", "gateway", "serve", "--config", str(path))
        with running(command, port) as process:
            yield Configured(Server(GATEWAY, port, process.pid, admin), path, texts[1:])


def _config(port: int, admin: int, source: Server, price: int) -> dict[str, Any]:
    """As many routes and keys as are measured; the last route is what the client asks for."""
    others = [
        {"name": f"route-{number}", "match": f"/v2/{number}/{{id}}", "cache": "1h", "price": price}
        for number in range(ROUTES - 1)
    ]
    return {
        "listen": f"{HOST}:{port}",
        "admin": {"listen": f"{HOST}:{admin}"},
        "log": {"level": "warning"},
        "upstreams": {"retailer": {"url": f"http://{HOST}:{source.port}"}},
        "plans": {"bench": {"tokens": {"grant": 10**12, "every": "month"}}},
        "organizations": {"bench": {"plan": "bench"}},
        "keys": [{"id": key(number), "organization": "bench", "key": key(number)} for number in range(KEYS)],
        "routes": [*others, {"name": "product", "match": "/v1/products/{id}", "cache": "1h", "price": price}],
    }
