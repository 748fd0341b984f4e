"""An `Idempotency` on a book and a clock of the test's, and requests that repeat themselves."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import pytest
from admission.snapshots import ACCOUNT, make_request, prepare, seed_route
from support.clock import FakeClock

from gateway.admission.charge import Charge
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import Route
from gateway.answered import Booked
from gateway.errors import Problem, Reason
from gateway.idempotency import Claim, Idempotency, Replay
from gateway.ledger.encoding import decode, encode
from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Kept
from gateway.ledger.schema import SCHEMA
from gateway.rfc9111.stored import StoredResponse

T = TypeVar("T")

REFRESH = "/v1/products/1?force_refresh=1"
ROUTE = seed_route()
CHARGE = Charge(9, 1991, operation=31)
DAY = 86_400.0


@dataclass
class Book:
    """A ledger's reading side over the book's own tables; `held` holds every read back until it is set."""

    db: sqlite3.Connection
    held: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Problem | None = None
    reading: int = 0
    peak: int = 0
    entries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def keep(self, kept: Kept) -> None:
        """As the journal's group reaches the book."""
        ((record, _),) = decode(encode([(kept, 1)]))
        self.db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", cast("Kept", record))

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        if self.failure is not None:
            raise self.failure
        self.reading += 1
        self.peak = max(self.peak, self.reading)
        self.entries.release()
        await self.held.wait()
        self.reading -= 1
        return query(self.db)

    async def entered(self, count: int = 1) -> None:
        """Return once so many more reads have begun."""
        async with asyncio.timeout(20):
            for _ in range(count):
                await self.entries.acquire()


@dataclass
class Desk:
    """An `Idempotency` on a book and a clock of the test's."""

    book: Book
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.idempotency = Idempotency(Booked(cast("Ledger", self.book)), self.clock)

    def claim(self, key: str = "k", target: str = REFRESH, method: str = "GET", **changes: Any) -> Claim:
        claim = self.idempotency.claim(refresh(key, target, method, **changes))
        assert claim is not None
        return claim

    def answered(self, stored: StoredResponse | None, charge: Charge = CHARGE, key: str = "k") -> None:
        """A request with this key comes, is charged and leaves."""
        claim = self.claim(key)
        self.book.keep(claim.kept(charge, stored))
        claim.end()

    async def repeated(self, **again: str) -> Replay | None:
        claim = self.claim(**again)
        try:
            return await self.idempotency.earlier(claim)
        finally:
            claim.end()


@contextmanager
def desk_on_a_book() -> Iterator[Desk]:
    """A desk whose book is empty and answers at once."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        desk = Desk(Book(db))
        desk.book.held.set()
        yield desk


def refresh(
    key: str | None = "k", target: str = REFRESH, method: str = "GET", *, account: str = "ci", route: Route = ROUTE
) -> Prepared:
    fields = {} if key is None else {"Idempotency-Key": key}
    prepared = prepare(route, make_request(target, method, fields))
    return replace(prepared, account=replace(ACCOUNT, id=account))


async def refused(desk: Desk, **again: str) -> Problem:
    with pytest.raises(Problem) as caught:
        await desk.repeated(**again)
    return caught.value


def reason(desk: Desk, prepared: Prepared) -> Reason | None:
    """Why the claim is refused, None where it is not."""
    try:
        desk.idempotency.claim(prepared)
    except Problem as problem:
        return problem.reason
    return None
