"""Background refreshes: what a job for every subject there is costs those who are served meanwhile, and the machine."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from http.client import HTTPConnection
from itertools import count, cycle
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

from bench.client import request
from bench.load import calls, key
from bench.orders import FIRST, PAGES
from bench.parts.pause import preferred
from bench.processes import HOST, LOAD_CORE, SERVER_CORE, Server, free_port, pinned, running
from bench.report import Goal, Table, at_most
from bench.settings import GATEWAY, Settings
from bench.steady import Load, Times

_ALLOWED = 1.5
_GROWTH = 1.1
_RATE, _MISSES = 500, 0.2
_FILLING = 2_000
_BREATH = 0.1
_PATIENCE = 600.0
_FAST, _DEFAULT = "200/s", "5/s"
_PACES: dict[str, dict[str, Any]] = {
    "usual": {},
    "fast": {"pace": {"concurrency": 4, "rate": _FAST}},
}
_NOBODY, _WHOLE = "no job", f"at {_FAST}, to its end"
_JOBS = {f"at {_DEFAULT}, the default": "usual", f"at {_FAST}": "fast"}

Answers = dict[str, Times]
"""By kind: a hit, a miss."""


@dataclass(frozen=True, slots=True)
class Yard:
    """A gateway that stores every page of every store's orders, its folder, and the upstream."""

    server: Server
    source: Server
    folder: Path
    stores: int

    def told(self, method: str, target: str) -> tuple[int, dict[str, Any], str]:
        """Status, JSON content and Location of what the gateway answers."""
        connection = HTTPConnection(HOST, self.server.port, timeout=_PATIENCE)
        try:
            connection.request(method, target, headers={"Authorization": f"Bearer {key(0)}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers["Location"] or ""
        finally:
            connection.close()

    def begin(self, pace: str) -> str:
        """Where the job for all stores is to be looked at."""
        status, told, location = self.told("POST", f"/{pace}/refreshstore")
        assert status == 200, told
        return location

    @property
    def register(self) -> int:
        """Bytes of the register's files."""
        return sum(path.stat().st_size for path in self.folder.rglob("jobs.sqlite3*"))


@dataclass(slots=True)
class Whole:
    """What a job has taken, from its request to its end: seconds, and bytes of memory before, at most, and after.

    `stored` bytes of them are what the misses have brought meanwhile.
    """

    accepted: float = 0.0
    seconds: float = 0.0
    before: int = 0
    most: int = 0
    after: int = 0
    stored: int = 0
    register: int = 0


def background(settings: Settings) -> Iterator[Table]:
    """The times of hits and misses without and with a job, in turn; then one job to its end."""
    with _yard(settings) as yard:
        _fill(yard)
        found = _rounds(yard, settings)
        whole = Whole()
        found[_WHOLE] = _answered_while(yard, partial(_to_its_end, yard, whole))
        yield _times(yard, found)
        yield _taken(yard, whole)


def _rounds(yard: Yard, settings: Settings) -> dict[str, Answers]:
    seconds = settings.seconds * 3
    turns: dict[str, list[Answers]] = {name: [] for name in (_NOBODY, *_JOBS)}
    for _ in range(settings.rounds):
        turns[_NOBODY].append(_answered_while(yard, partial(sleep, seconds)))
        for name, pace in _JOBS.items():
            turns[name].append(_answered_while(yard, partial(_for_a_while, yard, pace, seconds)))
    return {name: reduce(_together, answers) for name, answers in turns.items()}


def _together(some: Answers, others: Answers) -> Answers:
    return {kind: times.together(others[kind]) for kind, times in some.items()}


def _answered_while(yard: Yard, work: Callable[[], object]) -> Answers:
    """The times of a steady load until `work` is done."""
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        with preferred():
            answers = Load(yard.server, _requests(yard), _RATE).run(working.done)
        working.result()
    return answers


_orders = count(1)


def _requests(yard: Yard) -> Iterator[tuple[str, bytes]]:
    """Pages that are stored, and now and then an order that nobody has asked for."""
    draw = Random(0)
    while True:
        if draw.random() < _MISSES:
            yield "miss", request(f"/orders/{next(_orders)}")
        else:
            yield "hit", request(_page(draw.randrange(yard.stores), draw.randrange(PAGES)))


def _page(store: int, page: int) -> str:
    return f"/orders?storeId={FIRST + store}&page={page + 1}"


def _for_a_while(yard: Yard, pace: str, seconds: float) -> None:
    until = monotonic() + seconds
    job = yard.begin(pace)
    sleep(max(0.0, until - monotonic()))
    status, told, _ = yard.told("DELETE", job)
    assert status == 200, told


def _to_its_end(yard: Yard, whole: Whole) -> None:
    whole.before, stored = yard.server.resident(), yard.server.metric("gateway_stored_bytes")
    imports, began = calls(yard.source), monotonic()
    job = yard.begin("fast")
    whole.accepted = monotonic() - began
    told = {"state": "pending"}
    while told["state"] in ("pending", "running"):
        sleep(_BREATH)
        whole.most = max(whole.most, yard.server.resident())
        whole.register = max(whole.register, yard.register)
        _, told, _ = yard.told("GET", job)
    whole.seconds, whole.after = monotonic() - began, yard.server.resident()
    whole.stored = int(yard.server.metric("gateway_stored_bytes") - stored)
    assert told["state"] == "done", told
    assert calls(yard.source) == imports + 1, "the trigger was sent more than once"


def _times(yard: Yard, found: dict[str, Answers]) -> Table:
    alone = found[_NOBODY]
    rows = [_row(name, answers, alone) for name, answers in found.items()]
    columns = ("", *(f"{kind} {what}" for kind in alone for what in ("p50 ms", "p99 ms", "÷ no job", "longest ms")))
    note = (
        f"{_RATE:,} requests a second at moments drawn by chance, {_MISSES:.0%} of them misses, each timed from when "
        f"it was to be sent. Meanwhile a background refresh of {yard.stores:,} stores; {yard.stores * PAGES:,} pages "
        "of them are stored, and fetched anew."
    )
    return Table("Background refreshes", note, columns, rows, list(_goals(found)))


def _row(name: str, answers: Answers, alone: Answers) -> tuple[str, ...]:
    cells = [
        (f"{times.at(0.5):.2f}", f"{times.at(0.99):.2f}", f"{_ratio(times, alone[kind]):.2f}", f"{times.at(1):.1f}")
        for kind, times in sorted(answers.items())
    ]
    return (name, *(text for each in cells for text in each))


def _ratio(times: Times, alone: Times) -> float:
    return times.at(0.99) / alone.at(0.99)


def _goals(found: dict[str, Answers]) -> Iterator[Goal]:
    alone = found[_NOBODY]
    for name, answers in found.items():
        for kind, times in sorted(answers.items()):
            if name != _NOBODY:
                yield at_most(f"p99 of a {kind} with a job {name} ÷ without", _ratio(times, alone[kind]), _ALLOWED)


def _taken(yard: Yard, whole: Whole) -> Table:
    memory = [f"{bytes_ / 2**20:,.0f}" for bytes_ in (whole.before, whole.most, whole.after, whole.stored)]
    row = (
        f"{yard.stores:,}",
        f"{whole.accepted:.2f}",
        f"{whole.seconds:.0f}",
        f"{yard.stores / whole.seconds:,.0f}",
        *memory,
        f"{whole.register / 2**20:.1f}",
    )
    columns = (
        "stores",
        "accepted s",
        "done s",
        "stores/s",
        "MiB before",
        "most",
        "after",
        "of it misses",
        "register MiB",
    )
    grown = (whole.most - whole.stored) / whole.before
    goal = at_most("memory at most, misses left out ÷ before", grown, _GROWTH)
    return Table("A background refresh of all", f"At {_FAST}, while others are served.", columns, [row], [goal])


def _fill(yard: Yard) -> None:
    """Ask for every page once, and for some twice: how many are asked for in a while is drawn by chance."""
    pages = [(store, page) for store in range(yard.stores) for page in range(PAGES)]
    asked = cycle([("page", request(_page(*page))) for page in pages])
    until = monotonic() + len(pages) / _FILLING + 1.0
    Load(yard.server, asked, _FILLING).run(lambda: monotonic() > until)
    stored = yard.server.metric("gateway_stored_responses")
    assert stored == len(pages), f"{stored:,.0f} of {len(pages):,} pages are stored"


@contextmanager
def _yard(settings: Settings) -> Iterator[Yard]:
    upstream, port, admin = free_port(), free_port(), free_port()
    source = pinned(LOAD_CORE, sys.executable, "-m", "bench.orders", str(upstream), str(settings.stores))
    with tempfile.TemporaryDirectory() as name, running(source, upstream) as orders:
        path = Path(name, "config.yaml")
        path.write_text(json.dumps(_config(port, admin, upstream)))
        command = pinned(SERVER_CORE, sys.executable, "-m", "gateway", "serve", "--config", str(path))
        with running(command, port) as process:
            server = Server(GATEWAY, port, process.pid, admin)
            yield Yard(server, Server("orders", upstream, orders.pid), Path(name), settings.stores)


def _config(port: int, admin: int, upstream: int) -> dict[str, Any]:
    """JSON, which is YAML."""
    return {
        "listen": f"{HOST}:{port}",
        "admin": {"listen": f"{HOST}:{admin}"},
        "log": {"level": "warning"},
        "upstreams": {"orders": {"url": f"http://{HOST}:{upstream}"}},
        "plans": {"bench": {"tokens": {"grant": 10**12, "every": "month"}}},
        "organizations": {"bench": {"plan": "bench"}},
        "keys": [{"id": "bench", "organization": "bench", "key": key(0)}],
        "background_refreshes": [_refresh(name, pace) for name, pace in _PACES.items()],
        "routes": [
            {"match": "/orders", "cache": {"ttl": "1h", "tags": ["store:{query.storeId}"]}, "price": 1},
            {"match": "/orders/{id}", "cache": "1h", "price": 1},
        ],
    }


def _refresh(name: str, pace: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "match": f"/{name}/refreshstore",
        "subject": "storeId",
        "subjects": {"get": "/stores", "id": "storeId", "refreshable": {"active": True}},
        "tags": ["store:{subject}"],
        **pace,
    }
