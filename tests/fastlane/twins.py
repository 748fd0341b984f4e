"""Two gateways in this process, alike but for `fast_lane`: one clock, and each an upstream that answers alike."""

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import structlog
import yaml
from crash.books import opened
from support.addresses import HOST, free_port
from support.clock import FakeClock
from support.config import Config
from support.embedded import ledger_of
from support.upstream import ScriptedUpstream
from support.wire import DEADLINE
from support.wire import Connection as Wire

from gateway import app
from gateway.app import Gateway
from gateway.config.fixed import Fixed
from gateway.config.load import load_apart
from gateway.config.load import loaded as read
from gateway.ledger.journal import Journal
from gateway.listener.connection import Connection
from gateway.logs import Logs

# Wide enough that they take the same room in both.
_FIRST_NUMBER = 1 << 40
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")
# What differs by how long this process takes, or by which of the two it is.
_EQUAL = re.compile(r"gateway_(?!loop_delay|ledger_bytes|stored_bytes|config_last_reload|\w+_(bucket|sum|created)\b)")
_TABLES = {
    "balances": "SELECT * FROM balances",
    "reservations": "SELECT account, tokens, request FROM reservations",
    "answers": "SELECT account, key, fingerprint, until FROM answers",
    "operations": "SELECT kind, account, holder, route, tokens, charged, outcomes, request, details FROM chain "
    "WHERE operation IS NOT NULL",
}
# When a minute is sealed, and what comes late goes to another one, is the book thread's own time.
_POSTED = """
WITH posted AS (
    SELECT kind, account, holder, organization, route, upstream, tokens, count, granted, charged, lapsed, outcomes
    FROM chain WHERE operation IS NULL
    UNION ALL
    SELECT kind, account, holder, organization, route, upstream, tokens, count, granted, charged, lapsed, outcomes
    FROM open
)
SELECT kind, account, holder, organization, route, upstream, tokens, outcome.key,
    sum(iif(outcome.key IS NULL, count, outcome.value)) FROM posted LEFT JOIN json_each(outcomes) AS outcome
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""


class Twin:
    """One of the two. `sent` are the messages that its fast lane sent, `declined` counts what it gave back."""

    def __init__(self, folder: Path, whole: Config, upstream: ScriptedUpstream, *, fast: bool, logs: Logs) -> None:
        self.upstream = upstream
        self.fast = fast
        self.address = HOST, free_port()
        self.admin = HOST, free_port()
        self.sent: list[bytes] = []
        self.declined = 0
        self.logged: list[dict[str, Any]] = []
        self.store = folder / "var"
        self.path = folder / "gateway.yaml"
        self.write(whole)
        self._logs = logs

    async def start(self) -> None:
        """Serve, in this event loop."""
        loaded = read(self.path)
        self.gateway = await Gateway.open(loaded, partial(load_apart, self.path, Fixed.of(loaded.config)), self._logs)
        self.gateway._watch._next = _FIRST_NUMBER
        await self.gateway.start()

    def write(self, whole: Config) -> None:
        """Make this the config that is read at the next reload."""
        doors = {"listen": "{}:{}".format(*self.address), "admin": {"listen": "{}:{}".format(*self.admin)}}
        self.path.write_text(yaml.safe_dump(whole | doors | {"fast_lane": self.fast}))

    async def reload(self, whole: Config) -> None:
        """Go by `whole` from now on."""
        self.write(_placed(whole, self.upstream))
        status = await self.gateway.reload()
        assert status.ok, status

    async def connect(self) -> Wire:
        return await Wire.open(self.address)

    def plain(self, raw: bytes) -> bytes:
        """The same bytes, whichever request id of the gateway's own they name."""
        return re.sub(rb"%b-[0-9a-f]+" % self.gateway._watch.prefix.encode(), b"own-id", raw)

    async def exchange(self, head: bytes, wire: Wire) -> bytes:
        """The answer to one whole request, as it came."""
        wire.send(head)
        return self.plain(await message(wire, bodiless=head.startswith(b"HEAD")))

    async def alone(self, head: bytes) -> bytes:
        """As `exchange`, on a connection of its own."""
        async with await self.connect() as wire:
            return await self.exchange(head, wire)

    async def metrics(self) -> list[object]:
        """What a scrape shows, without what differs by how long this process takes."""
        text = await asyncio.to_thread(self._scraped)
        return [line for line in text.splitlines() if _EQUAL.match(line)]

    def _scraped(self) -> str:
        with closing(HTTPConnection(*self.admin, timeout=DEADLINE)) as connection:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    async def told(self) -> dict[str, list[object]]:
        """All that can be told afterwards of what it was asked, by where that is told."""
        books = await self.books()
        return {**books, "metrics": await self.metrics(), "log": self.lines(), "upstream": self.asked()}

    async def books(self) -> dict[str, list[object]]:
        """The rows of the book's tables, once it holds all that was charged; but for running numbers."""
        await ledger_of(self.gateway).booked()
        return await asyncio.to_thread(self._rows)

    def _rows(self) -> dict[str, list[object]]:
        with closing(opened(self.store / "book.sqlite3")) as db:
            return {name: self._read(db, query) for name, query in {**_TABLES, "posted": _POSTED}.items()}

    def _read(self, db: sqlite3.Connection, query: str) -> list[object]:
        rows = [tuple(map(self._value, row)) for row in db.execute(query)]
        return sorted(rows, key=repr)

    def _value(self, value: object) -> object:
        own = isinstance(value, str) and value.startswith(f"{self.gateway._watch.prefix}-")
        return "own-id" if own else value

    def lines(self) -> list[object]:
        """What was logged of its requests, but for how long they took and ids of its own."""
        lines = [{**line, "ms": 0} for line in self.logged if line.get("event") == "request"]
        return [{**line, "request_id": self._value(line["request_id"])} for line in lines]

    def asked(self) -> list[object]:
        """What its upstream was asked, but for ids of its own and whom it was asked as."""
        own = {"host", "x-request-id"}
        return [
            (got.method, got.target, sorted((name, value) for name, value in got.fields if name.lower() not in own))
            for got in self.upstream.requests
        ]


class Twins:
    """Both, the one with the fast lane first; `clock` is both's, and stands still until it is moved.

    `complaints` are the loop's own of what went wrong with nobody there to be told.
    """

    def __init__(self, fast: Twin, full: Twin, clock: FakeClock) -> None:
        self.fast = fast
        self.full = full
        self.clock = clock
        self.present = fast
        self.complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.complaints.append(context))

    def __iter__(self) -> Iterator[Twin]:
        """One after the other; what is logged meanwhile is the one's that has its turn."""
        for twin in (self.fast, self.full):
            self.present = twin
            yield twin

    def script(self, path: str, *steps: Any) -> None:
        """What both upstreams answer for `path`."""
        for twin in self:
            twin.upstream.script(path, *steps)

    def then(self, path: str, *steps: Any) -> None:
        """What both upstreams answer for `path` once."""
        for twin in self:
            twin.upstream.then(path, *steps)

    async def exchange(self, head: bytes) -> tuple[bytes, bool]:
        """The answer that both give, each on a connection of its own, and whether the fast lane gave it."""
        before = len(self.fast.sent)
        answers = [await twin.alone(head) for twin in self]
        assert answers[0] == answers[1]
        return answers[0], len(self.fast.sent) > before

    async def settled(self) -> None:
        """Return once nothing goes on without a caller in either."""
        for twin in self:
            await twin.gateway._way.pipeline.finish()

    async def assert_equal(self) -> None:
        """Books and metrics, and since the last time log lines and what the upstream was asked, are the same."""
        await self.settled()
        fast, full = [await twin.told() for twin in self]
        # By its values alone, a failure would show all of both.
        unequal = {name: (_beyond(rows, full[name]), _beyond(full[name], rows)) for name, rows in fast.items()}
        assert not any(map(any, unequal.values())), unequal
        assert [await ledger_of(twin.gateway).drift() for twin in self] == [0, 0]
        assert self.complaints == []
        for twin in self:
            twin.logged.clear()
            twin.upstream.requests.clear()


def _beyond(some: list[object], others: list[object]) -> list[object]:
    """What `some` hold that `others` do not, in the place where they hold it."""
    left = list(others)
    beyond = []
    for one in some:
        if one in left:
            left.remove(one)
        else:
            beyond.append(one)
    return beyond


def _placed(whole: Config, upstream: ScriptedUpstream) -> Config:
    return whole | {"upstreams": {name: {**policy, "url": upstream.url} for name, policy in whole["upstreams"].items()}}


async def message(wire: Wire, *, bodiless: bool = False) -> bytes:
    """The next response's bytes."""
    async with asyncio.timeout(DEADLINE):
        head = await wire.reader.readuntil(_END)
        status, found = int(head.split(b" ", 2)[1]), _LENGTH.search(head)
        if bodiless or status in (204, 304) or status < 200:
            return head
        if found is not None:
            return head + await wire.reader.readexactly(int(found[1]))
        assert b"\r\nTransfer-Encoding: chunked\r\n" in head, head
        return head + await wire.reader.readuntil(b"0\r\n\r\n")


@asynccontextmanager
async def twins(folder: Path, whole: Config) -> AsyncIterator[Twins]:
    """Both, open; drained at the end. The URLs of the config's upstreams are replaced."""
    clock = FakeClock()
    with ExitStack() as stack:
        stack.enter_context(patch.object(app, "SystemClock", lambda: clock))
        logs = stack.enter_context(_logs())
        _log_to(lambda: both.present.logged)
        fast, full = [_made(stack, folder, whole, fast=fast, logs=logs) for fast in (True, False)]
        both = Twins(fast, full, clock)
        async with _open(fast, full):
            yield both


@asynccontextmanager
async def alone(folder: Path, whole: Config) -> AsyncIterator[tuple[Twin, FakeClock]]:
    """The one with the fast lane, and its clock."""
    clock = FakeClock()
    with ExitStack() as stack:
        stack.enter_context(patch.object(app, "SystemClock", lambda: clock))
        logs = stack.enter_context(_logs())
        _log_to(lambda: twin.logged)
        twin = _made(stack, folder, whole, fast=True, logs=logs)
        async with _open(twin):
            yield twin, clock


@contextmanager
def kept_open(runner: asyncio.Runner, folder: Path, whole: Config) -> Iterator[Twins]:
    """`twins` for many tests on one event loop."""
    opened = twins(folder, whole)
    yield runner.run(opened.__aenter__())
    runner.run(opened.__aexit__(None, None, None))


def _made(stack: ExitStack, folder: Path, whole: Config, *, fast: bool, logs: Logs) -> Twin:
    upstream = stack.enter_context(ScriptedUpstream())
    place = folder / ("fast" if fast else "full")
    place.mkdir()
    return Twin(place, _placed(whole, upstream), upstream, fast=fast, logs=logs)


@asynccontextmanager
async def _open(*twins: Twin) -> AsyncIterator[None]:
    with _counted(lambda connection: [twin for twin in twins if twin.gateway._listener is connection._listener]):
        for twin in twins:
            await twin.start()
        try:
            yield
        finally:
            for twin in twins:
                await twin.gateway.drain()


@contextmanager
def _logs() -> Iterator[Logs]:
    """The process's log, whose lines go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with Logs(nowhere) as logs:
            yield logs
    finally:
        os.close(nowhere)


def _log_to(logged: Callable[[], list[dict[str, Any]]]) -> None:
    """Loggers made from now on keep what they are told in `logged()` as well, until the process's log is closed."""
    settings = structlog.get_config()
    admit, dress = settings["processors"]

    def collect(_: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        logged().append({"level": name, **event})
        return event

    structlog.configure(**settings | {"processors": [admit, collect, dress]})


@contextmanager
def _counted(twins_of: Callable[[Connection], list[Twin]]) -> Iterator[None]:
    """Every connection tells its twin of what its fast lane does; it may be that of other ones that are open."""
    send, decline = Connection.send, Connection.decline

    def sent(self: Connection, message: bytes) -> None:
        for twin in twins_of(self):
            twin.sent.append(message)
        send(self, message)

    def declined(self: Connection, data: bytes) -> None:
        for twin in twins_of(self):
            twin.declined += 1
        decline(self, data)

    with patch.object(Connection, "send", sent), patch.object(Connection, "decline", declined):
        yield


@contextmanager
def journal_failing(twin: Twin) -> Iterator[None]:
    """The twin's journal takes nothing meanwhile."""

    def disk_full(self: Journal, payload: bytes) -> int:
        raise OSError(28, "No space left on device")

    journal = ledger_of(twin.gateway)._journal
    with patch.object(journal, "append", partial(disk_full, journal)):
        yield
