"""Clients that order refreshes, in the background and single ones, cancel some, and look at what is refreshed."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from crash.job_origin import BASE, ORDERS, PAGES, PER_SUBJECT, REFRESH, SUBJECTS
from support.config import key_field
from support.wire import Answer, Connection

SINGLE_PRICE = 9
_ACKNOWLEDGED = (200, 202)
_CANCELLED = 0.1
_SINCE = ("2024-03-10 02:30:00", "2020-05-29 15:05:02", "2020-02-29", "2012-01-01")
_LISTED = 3
# Seconds between orders: the background comes behind all that clients wait for.
_PAUSE = 0.15


@dataclass(slots=True, eq=False)
class Ordered:
    """One order, and what its client knows of it. `subject` None: all of them, or a single refresh's.

    `status` is None until its answer is there whole; `job` is the one that it names, and `how` what it says of it.
    `cancelled`: its client has asked for that, and may not have heard.
    """

    account: str
    id: str
    target: str
    price: int
    subject: str | None = None
    since: str | None = None
    single: bool = False
    status: int | None = None
    consumed: int = 0
    job: str | None = None
    how: str | None = None
    cancelled: bool = False

    @property
    def acknowledged(self) -> bool:
        return self.status in _ACKNOWLEDGED

    def heard(self, answer: Answer) -> None:
        """Take a whole answer down."""
        self.status = answer.status
        self.consumed = int(answer.field("X-Tokens-Consumed") or 0)
        self.job = (answer.field("Location") or "").rpartition("/")[2] or None
        self.how = (answer.field("X-Background-Refresh") or "").partition(";")[0] or None


@dataclass(slots=True, eq=False)
class Shopper:
    """One account, which does one thing at a time; `ordered` is all that it ever did."""

    account: str
    secret: str
    random: random.Random
    ordered: list[Ordered] = field(default_factory=list)

    async def go_on(self, address: tuple[str, int], progress: Callable[[], None]) -> None:
        """Until the gateway is gone; `progress` is told of each order that is answered."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                async with await Connection.open(address) as connection:
                    await self._visit(connection, progress)
                await asyncio.sleep(self.random.uniform(0, _PAUSE))

    async def _visit(self, connection: Connection, progress: Callable[[], None]) -> None:
        for _ in range(_LISTED):
            subject, page = self.random.choice(SUBJECTS), self.random.randint(1, PAGES)
            await self._exchange(connection, "GET", f"{ORDERS}?storeId={subject}&page={page}")
        ordered = self.wish()
        answer = await self._order(connection, ordered)
        if answer.complete:
            ordered.heard(answer)
            progress()
        if ordered.job is not None and self.random.random() < _CANCELLED:
            ordered.cancelled = True
            await self._exchange(connection, "DELETE", f"/-/refreshes/{ordered.job}")

    def wish(self) -> Ordered:
        """The next order of the mix: mostly one store, now and then all, or one response."""
        id_, chance = f"{self.account}-{len(self.ordered)}", self.random.random()
        since = self.random.choice((None, *_SINCE))
        subject = self.random.choice(SUBJECTS)
        if chance < 0.15:
            target = f"/v1/products/{subject}/refresh"
            ordered = Ordered(self.account, id_, target, SINGLE_PRICE, single=True)
        elif chance < 0.17:
            price = BASE + PER_SUBJECT * len(SUBJECTS)
            ordered = Ordered(self.account, id_, f"{REFRESH}?request={id_}", price, since=since)
        else:
            price = BASE + PER_SUBJECT
            ordered = Ordered(self.account, id_, f"{REFRESH}?request={id_}", price, subject, since)
        self.ordered.append(ordered)
        return ordered

    async def _order(self, connection: Connection, ordered: Ordered) -> Answer:
        lines = [f"X-Request-Id: {ordered.id}", f"Idempotency-Key: {ordered.id}"]
        if ordered.single:
            return await self._exchange(connection, "POST", ordered.target, *lines, "Prefer: respond-async")
        asked: dict[str, object] = {}
        if ordered.subject is not None:
            asked["storeId"] = int(ordered.subject)
        if ordered.since is not None:
            asked["refreshDate"] = ordered.since
        return await self._exchange(connection, "POST", ordered.target, *lines, content=json.dumps(asked).encode())

    async def _exchange(
        self, connection: Connection, method: str, target: str, *lines: str, content: bytes = b""
    ) -> Answer:
        authorized = [f"{name}: {value}" for name, value in key_field(self.secret).items()]
        head = [f"{method} {target} HTTP/1.1", "Host: gateway", *authorized, *lines, f"Content-Length: {len(content)}"]
        connection.send("\r\n".join([*head, "", ""]).encode("ascii") + content)
        return await connection.answer()


class Shopping:
    """All shoppers at once; `end` is called after so many orders were answered."""

    def __init__(self, shoppers: Sequence[Shopper], count: int, end: Callable[[], object]) -> None:
        self.done = 0
        self._shoppers = shoppers
        self._count_of_end = count
        self._end = end

    async def run(self, address: tuple[str, int]) -> None:
        """Return once everybody has lost the gateway for good. Raises TimeoutError for an answer overdue."""
        await asyncio.gather(*(shopper.go_on(address, self._count) for shopper in self._shoppers))

    def _count(self) -> None:
        self.done += 1
        if self.done == self._count_of_end:
            self._end()
