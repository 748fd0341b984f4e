"""64 clients, each with an API key and a connection of its own: what they asked, and what they saw acknowledged."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from support.config import key_field
from support.wire import Answer, Connection

CLIENTS = 64
_HOT = 8
_OWN = 3
_REFUSED = (402, 429)
_BACK_OFF = 0.05


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request. `target` may name `{hot}`, which all ask for, `{own}`, its client's, and `{new}`.

    `price` is the most that it may cost; at 1 it is a plain lookup, else recorded one by one. `keyed`: a refresh that
    carries an Idempotency-Key.
    """

    weight: int
    method: str
    target: str
    price: int
    keyed: bool = False

    @property
    def plain(self) -> bool:
        """Whether the ledger counts it with others of its minute."""
        return self.price == 1


KINDS = (
    Kind(12, "GET", "/v1/products/{hot}", 1),
    Kind(6, "GET", "/v1/products/{hot}?include_offers=true", 6),
    Kind(5, "GET", "/v1/products/{new}", 1),
    Kind(5, "GET", "/v1/products/{new}?include_reviews=true", 6),
    Kind(4, "POST", "/v1/products/{own}/refresh", 9, keyed=True),
    Kind(2, "GET", "/v1/products/{own}?force_refresh=true", 4, keyed=True),
    Kind(2, "GET", "/v1/products/failing-{new}?include_offers=true", 6),
    Kind(1, "GET", "/streams/whole-{new}", 1),
    Kind(1, "GET", "/streams/whole-{new}?deep=true", 5),
    Kind(1, "GET", "/streams/broken-{new}", 1),
    Kind(1, "GET", "/streams/broken-{new}?deep=true", 5),
)
_WEIGHTS = tuple(kind.weight for kind in KINDS)


@dataclass(slots=True, eq=False)
class Asked:
    """One request, and what its client knows of it. `status` is None until its answer is there whole.

    `cut`: the head came, the content broke off. `outlived`: the gateway answered the same client after that, so that it
    was the answer that broke and not the gateway. `free`: it repeats what was charged before.
    """

    client: "Client"
    id: str
    kind: Kind
    target: str
    key: str | None
    status: int | None = None
    consumed: int = 0
    receipt: str | None = None
    cut: bool = False
    outlived: bool = False
    free: bool = False

    @property
    def plain(self) -> bool:
        return self.kind.plain

    @property
    def lost(self) -> bool:
        """Its client cannot tell what became of it."""
        return self.status is None and not self.outlived

    def send(self, connection: Connection) -> None:
        lines = [f"X-Request-Id: {self.id}"]
        if self.key is not None:
            lines.append(f"Idempotency-Key: {self.key}")
        self.client.send(connection, self.kind.method, self.target, *lines)

    def heard(self, answer: Answer) -> None:
        """Take a whole answer down."""
        self.status = answer.status
        self.consumed = int(answer.field("X-Tokens-Consumed") or 0)
        self.receipt = answer.field("X-Receipt-Id")


@dataclass(slots=True, eq=False)
class Client:
    """One account, which asks one thing at a time; `asked` is all since it was last taken."""

    account: str
    secret: str
    random: random.Random
    asked: list[Asked] = field(default_factory=list)
    _count: int = 0

    async def ask(self, address: tuple[str, int], progress: Callable[[], None]) -> None:
        """Ask for one thing after the other until the gateway is gone; `progress` is told of each whole answer."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                async with await Connection.open(address) as connection:
                    while await self._exchange(connection, asked := self.wish()):
                        progress()
                        await asyncio.sleep(_BACK_OFF if asked.status in _REFUSED else 0)

    async def repeat(self, address: tuple[str, int], lost: Asked, *, free: bool) -> Asked:
        """Send what was lost once more, as another request with the same Idempotency-Key."""
        again = Asked(self, self._next_id(), lost.kind, lost.target, lost.key, free=free)
        self.asked.append(again)
        async with await Connection.open(address) as connection:
            await self._exchange(connection, again)
        return again

    def send(self, connection: Connection, method: str, target: str, *lines: str) -> None:
        """One request, by bytes: who may have died already has no address to make a Host of."""
        authorized = [f"{name}: {value}" for name, value in key_field(self.secret).items()]
        head = [f"{method} {target} HTTP/1.1", "Host: gateway", *authorized, *lines, "", ""]
        connection.send("\r\n".join(head).encode("ascii"))

    def wish(self) -> Asked:
        """The next request of the mix."""
        (kind,) = self.random.choices(KINDS, _WEIGHTS)
        name = self._next_id()
        own = f"{self.account}-own-{self.random.randrange(_OWN)}"
        target = kind.target.format(hot=f"hot-{self.random.randrange(_HOT)}", own=own, new=name)
        asked = Asked(self, name, kind, target, f"key-{name}" if kind.keyed else None)
        self.asked.append(asked)
        return asked

    async def _exchange(self, connection: Connection, asked: Asked) -> bool:
        """Whether the connection is good for another request."""
        asked.send(connection)
        answer = await connection.answer()
        if not answer.complete:
            asked.cut = True
            return False
        asked.heard(answer)
        for earlier in reversed(self.asked[:-1]):
            if earlier.status is not None or earlier.outlived:
                break
            earlier.outlived = earlier.cut
        return answer.field("Connection") != "close"

    def _next_id(self) -> str:
        self._count += 1
        return f"{self.account}-{self._count}"


class Load:
    """All clients at once; `events` are called after so many whole answers, for which `done` counts."""

    def __init__(self, clients: Sequence[Client], events: Mapping[int, Callable[[], object]]) -> None:
        self.done = 0
        self._clients = clients
        self._events = events

    async def run(self, address: tuple[str, int]) -> None:
        """Return once every client has lost its connection for good. Raises TimeoutError for an answer overdue."""
        await asyncio.gather(*(client.ask(address, self._count) for client in self._clients))

    def _count(self) -> None:
        self.done += 1
        if (event := self._events.get(self.done)) is not None:
            event()
