"""One fetch for a fleet: leases with fencing tokens on Redis, and the inbox that tells a node when to ask again."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol, assert_never

from gateway.fleet import names
from gateway.fleet.connection import Connection, Part, Unreachable
from gateway.fleet.script import Script
from gateway.ports import Landed, Landing, Lease
from gateway.tasks import forever

LEASE = 2.0
"""Seconds for which nobody takes the place of a node that is not heard of."""

KEPT = 10.0
"""Seconds that what a fetch brought is kept for those who wait for it: several times as long as they sleep."""

APART = 60.0
"""Seconds that no fetch of a key is shared after one that could not be."""

FENCE = 3600.0
"""Seconds that a fence stays after its lease: without it what the fetch brings is no longer kept."""

RANKS = 3
"""Ranks of fetches, from 0; one does for callers of its own rank and of lower ones."""

_RENEWALS = 256
_READS = 1000
_BLOCK = 5.0
_UNREAD = 60.0
# A lease that is asked for just as it runs out is still there.
_AFTER = 0.005

_ASK, _LAND, _RENEW = Script("lease_ask"), Script("lease_land"), Script("lease_renew")


class News(Protocol):
    """The fleet's log as far as this node has heard it: `fleet.log.Log`."""

    known: int


class Held:
    """`ports.Lease`, of the fetch that was asked for."""

    def __init__(self, leases: "Leases", asking: "_Asking", token: int) -> None:
        self.token = token
        self.asking = asking
        self.until = math.inf
        self._leases = leases

    @property
    def lapsed(self) -> bool:
        """See `ports.Lease`."""
        return self._leases.has_lapsed(self)

    async def arrive(self) -> None:
        """See `ports.Lease`."""
        await self._leases.arrive(self)

    async def land(self, landing: Callable[[], Awaitable[Landing]]) -> None:
        """See `ports.Lease`."""
        await self._leases.land(self, landing)

    async def part(self) -> None:
        """See `ports.Lease`."""
        await self._leases.part(self)


@dataclass(slots=True)
class _Asking:
    """One fetch that is asked for. `number` is how far this node's log went, `followed` the token of who makes it."""

    asker: str
    key: str
    rank: int
    marks: bytes
    number: int
    woken: asyncio.Event
    followed: str = "0"

    @property
    def lease(self) -> str:
        return names.lease(self.key, self.rank)

    @property
    def fence(self) -> str:
        return names.fence(self.key)


class Leases:
    """`ports.Guard` for one node of a fleet. Between `start` and `close` it renews its leases and reads its inbox.

    A lease ends `lease` seconds after its node was last heard of, which is four times within that while it lives.
    """

    def __init__(self, connection: Connection, news: News, *, lease: float = LEASE) -> None:
        self._connection = connection
        self._news = news
        self._lease = lease
        self._serials = count(1)
        self._waiting: dict[str, _Asking] = {}
        self._held: dict[str, Held] = {}
        self._running: tuple[asyncio.Task[None], ...] = ()

    def start(self) -> None:
        """Begin to renew and to listen."""
        turns = {"leases": self._renew, "inbox": self._listen}
        self._running = tuple([asyncio.create_task(forever(name, turn)) for name, turn in turns.items()])

    async def close(self) -> None:
        """Stop; what is still held runs out."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def ask(self, key: str, rank: int, marks: bytes) -> Lease | Landed | None:
        """See `ports.Guard`."""
        serial = str(next(self._serials))
        asker = f"{self._connection.incarnation}:{serial}"
        asking = _Asking(asker, names.digest(key), rank, marks, self._news.known, asyncio.Event())
        self._waiting[serial] = asking
        try:
            return await self._granted(asking)
        except Unreachable:
            # Perhaps it was granted, and only the answer was lost: the first renewal tells.
            return self._hold(asking, 0, asyncio.get_running_loop().time())
        finally:
            del self._waiting[serial]

    async def arrive(self, held: Held) -> None:
        """See `ports.Lease`."""
        with suppress(Unreachable):
            await self._end(held, "arrive")

    async def land(self, held: Held, landing: Callable[[], Awaitable[Landing]]) -> None:
        """See `ports.Lease`."""
        with suppress(Unreachable):
            if self._forget(held) and await self._end(held, "look") > 0:
                # Asked first: whatever it does not know of yet the one who waits is told.
                number = self._news.known
                value, marks = await landing()
                await self._end(held, "land", value, number, marks)

    async def part(self, held: Held) -> None:
        """See `ports.Lease`."""
        with suppress(Unreachable):
            if self._forget(held):
                await self._end(held, "part")

    async def _granted(self, asking: _Asking) -> Lease | Landed | None:
        while True:
            asking.woken.clear()
            asked = asyncio.get_running_loop().time()
            match await self._asked(asking):
                case [b"landed", value, left, outdated]:
                    return Landed(value, max(0.0, KEPT - left / 1000), bool(outdated))
                case [b"apart"]:
                    return None
                case [b"led", token]:
                    return self._hold(asking, int(token), asked)
                case [b"held", token, left]:
                    asking.followed = token.decode()
                    await _sleep(asking.woken, left / 1000)
                case unknown:
                    assert_never(unknown)

    async def _asked(self, asking: _Asking) -> Any:
        keys = [
            *(names.MARKS, names.PURGES, names.FLOOR, names.apart(asking.key), names.TOKENS, asking.fence),
            names.landed(asking.key, asking.followed),
            *[names.lease(asking.key, rank) for rank in range(RANKS - 1, asking.rank - 1, -1)],
        ]
        times = [_milliseconds(seconds) for seconds in (self._lease, FENCE, _UNREAD)]
        words: list[Part] = [asking.asker, asking.number, asking.marks, *times, names.inbox("")]
        return await self._connection.run(_ASK, keys, words)

    def has_lapsed(self, held: Held) -> bool:
        """Whether another node may have been given it by now, as far as this one can tell by its own clock."""
        return self._connection.up and asyncio.get_running_loop().time() > held.until

    def _hold(self, asking: _Asking, token: int, asked: float) -> Held:
        held = self._held[asking.asker] = Held(self, asking, token)
        held.until = asked + self._lease
        return held

    def _forget(self, held: Held) -> bool:
        """Renew it no longer; False where it was lost or has ended already."""
        return self._held.pop(held.asking.asker, None) is not None

    async def _end(self, held: Held, way: str, *landing: bytes | int) -> int:
        """How many wait for the fetch, -1 where the lease is lost. To `look` where any wait ends nothing."""
        asking = held.asking
        keys = [asking.lease, names.apart(asking.key)]
        times = [_milliseconds(seconds) for seconds in (KEPT, APART, _UNREAD)]
        words: list[Part] = [asking.asker, way, *times, names.landed(asking.key, ""), names.inbox(""), *landing]
        return int(await self._connection.run(_LAND, keys, words))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 4)
            held = list(self._held.values())
            with suppress(Unreachable):
                for first in range(0, len(held), _RENEWALS):
                    await self._renewed(held[first : first + _RENEWALS])

    async def _renewed(self, held: list[Held]) -> None:
        keys = [key for one in held for key in (one.asking.lease, one.asking.fence)]
        words: list[Part] = [_milliseconds(self._lease), _milliseconds(FENCE), *[one.asking.asker for one in held]]
        asked = asyncio.get_running_loop().time()
        for one, token in zip(held, await self._connection.run(_RENEW, keys, words), strict=True):
            if int(token):
                one.token, one.until = int(token), asked + self._lease
            else:
                one.until = -math.inf
                self._forget(one)

    async def _listen(self) -> None:
        """Read this node's inbox for ever. Who waits asks again by himself as well: a message lost costs time only."""
        incarnation, last = -1, "0"
        while True:
            if incarnation != self._connection.incarnation:
                incarnation, last = self._connection.incarnation, "0"
            inbox = names.inbox(str(incarnation))
            with suppress(Unreachable):
                for _, entries in await self._connection.follow({inbox: last}, _READS, _BLOCK):
                    for _, fields in entries:
                        self._wake(fields[b"w"].decode())
                    last = entries[-1][0]

    def _wake(self, serial: str) -> None:
        if (asking := self._waiting.get(serial)) is not None:
            asking.woken.set()


async def _sleep(woken: asyncio.Event, seconds: float) -> None:
    """Until there is reason to ask again; a lease that nobody renews is one when it has run out."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds) + _AFTER):
            await woken.wait()


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
