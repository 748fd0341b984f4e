"""What nodes that are dead by now had reserved is given back, once, by whoever notices first."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import orjson

from gateway.admission.outcomes import Outcome
from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.fleet.link import Link
from gateway.ledger import encoding
from gateway.ledger.records import Reserve
from gateway.ports import Clock
from gateway.till import items
from gateway.till.asked import Owed
from gateway.till.holder import Holder

_SCANNED = 200

# Milliseconds for which the last call of a dead node is still known: it may only have been frozen.
_KNOWN = 86_400_000


class Abandoned:
    """Open operations of the `dead`, which are told by incarnation; an operation's id begins with its node's."""

    def __init__(
        self,
        link: Link,
        connection: Connection,
        clock: Clock,
        dead: Callable[[], Awaitable[set[int]]],
    ) -> None:
        self._link = link
        self._connection = connection
        self._clock = clock
        self._dead = dead

    async def release(self) -> set[int]:
        """Has what they left open given back by the next calls; those of the dead who had left nothing.

        To be called every few seconds. Raises Unreachable.
        """
        dead = await self._dead()
        left = set[int]()
        for number in range(names.SHARDS) if dead else ():
            async for reserve in self._open(number):
                if reserve.id >> 32 in dead:
                    left.add(reserve.id >> 32)
                    self._give_back(number, reserve)
        clean = dead - left
        if clean:
            await self._connection.pipeline(*(("PEXPIRE", names.call(one), _KNOWN) for one in clean))
        return clean

    async def _open(self, number: int) -> AsyncIterator[Reserve]:
        cursor, key = b"0", names.open_operations(number)
        while True:
            cursor, found = await self._connection.ask("HSCAN", key, cursor, "COUNT", _SCANNED)
            for kept in found[1::2]:
                yield encoding.reserve_of(orjson.loads(kept.partition(b"\n")[2]))
            if cursor == b"0":
                return

    def _give_back(self, number: int, reserve: Reserve) -> None:
        holder = Holder(reserve.holder)
        holder.prefix = names.prefix(number)
        outcome, wall = Outcome.abandoned.name, self._clock.wall()
        words = partial(items.release, holder, None, reserve, outcome, wall)
        self._link.submit(Owed(self._link, holder, words))
