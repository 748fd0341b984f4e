"""All that this node asks of the ledger, one call at a time: what comes while one is under way goes with the next."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import structlog

from gateway.fleet import names
from gateway.fleet.call import Call, Entry, Item, Status, Verify, unavailable
from gateway.fleet.connection import Connection, Part, Refused, Unreachable
from gateway.fleet.script import Script
from gateway.fleet.told import Told, told
from gateway.ports import Clock

# Items of one call: of more, the rest is the next one's, so that Redis is never held for over some milliseconds.
_MOST = 128

# Seconds, at most, that something waits for more to go with it: a call costs much the same with many.
_GATHER = 0.001

_TURN, _RESOLVE = Script("turn"), Script("resolve")
_KEYS = (names.CLOCK, names.SEQUENCE, names.LOG, names.MARKS, names.PURGES, names.FLOOR)


class News(Protocol):
    """The fleet's log at this node."""

    known: int

    def apply(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """Take over entries in their order, those up to `known` left out."""

    def appended(self, number: int, content: bytes) -> None:
        """An entry of this node's has this number."""


class Link:
    """Submits items in their order, and hands each its reply; from `open` to `close`.

    A caller waits at most twice `timeout` seconds: behind the call under way, and for its own. Where no answer comes,
    what was asked is not executed any more, or it is reversed as soon as Redis has said that it was.

    Where several went with a call, the next one waits until a turn of the loop has brought no more.
    """

    def __init__(self, connection: Connection, news: News, clock: Clock, timeout: float) -> None:
        self._connection = connection
        self._news = news
        self._clock = clock
        self._timeout = timeout
        self._gathered = Call(news.known)
        self._under_way: Call | None = None
        self._number = 0
        self._sent = self._heard = self._latest = 0.0
        self._expiry: asyncio.TimerHandle | None = None
        self._ill = self._closed = self._open = False
        self._reachable, self._idle = asyncio.Event(), asyncio.Event()
        self._finding: asyncio.Task[None] | None = None
        self._looking = self._crowded = False
        self._asked = self._seen = 0
        self._log = structlog.get_logger("gateway.fleet")

    def open(self) -> None:
        """Begin to send."""
        self._open = True
        self._connection.listen(self._changed)
        self._changed(self._connection.up)
        self._look_soon()

    async def close(self) -> None:
        """Send what has been submitted, if Redis takes it in time, and end."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * self._timeout):
                # Who was told last may bring more.
                while not self._idle.is_set():
                    await self._idle.wait()
        self._open = False
        if self._finding is not None:
            self._finding.cancel()
            await asyncio.wait([self._finding])
        self._expire()

    @property
    def known(self) -> int:
        """The latest entry of the fleet's log that has been applied here."""
        return self._news.known

    def submit(self, item: Item, decided: int | None = None) -> None:
        """Have `item` go with this turn's call, `decided` by the log up to this entry, or by all that is known."""
        self.gather(item)
        if decided is not None:
            self._gathered.known = min(self._gathered.known, decided)
        self._look_soon()

    def gather(self, item: Item) -> None:
        """Have `item` go with whatever goes next; `flush` when the turn asks no more."""
        if self._closed and not item.lasting:
            asyncio.get_running_loop().call_soon(item.failed, unavailable())
            return
        self._begin()
        self._gathered.items.append(item)

    def joined(self) -> None:
        """Somebody else asks by an item that was gathered, and has not gone yet."""
        self._asked += 1

    def flush(self) -> None:
        """Have what is gathered go, at once if it need not wait for more."""
        if self._crowded:
            self._look_soon()
        else:
            self._send()

    def append(self, entry: bytes, marks: bytes = b"", purge: bytes = b"") -> asyncio.Future[int]:
        """Have an entry added to the fleet's log by this turn's call, before its items; its number.

        `marks` are digests of the groups it outdates, 16 bytes each, and `purge` the purge that it is. It stays on the
        way until Redis has it: the future fails with Problem(ledger_unavailable) once that has taken too long.
        """
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._begin()
        self._gathered.entries.append(Entry((entry, marks, purge), waiter))
        self._look_soon()
        return waiter

    def verify(self) -> asyncio.Future[None]:
        """Whether this node knows all that is in the fleet's log by the time of the call.

        Fails with Overtaken where it did not, and does by now; with Problem(ledger_unavailable) where nobody knows.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submit(Verify(waiter))
        return waiter

    def _begin(self) -> None:
        self._asked += 1
        if self._gathered.empty:
            self._gathered.known = self._news.known
            self._latest = asyncio.get_running_loop().time() + _GATHER
            self._idle.clear()
        if self._ill and self._expiry is None:
            self._expire_in(self._timeout)

    def _look_soon(self) -> None:
        if not self._looking and self._under_way is None:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Whether what has gathered may go."""
        self._looking = False
        if self._crowded and self._asked != self._seen and asyncio.get_running_loop().time() < self._latest:
            self._seen = self._asked
            self._look_soon()
        else:
            self._send()

    def _send(self) -> None:
        if self._under_way is not None or not self._open:
            return
        if self._gathered.empty:
            self._idle.set()
            return
        self._crowded, self._asked, self._seen = self._asked > 1, 0, 0
        call = self._under_way = self._next()
        keys, arguments = (names.EPOCH, call.key, *_KEYS), self._arguments(call)
        try:
            self._connection.start(_TURN, keys, arguments, partial(self._answered, call))
        except Unreachable as error:
            self._answered(call, error)

    def _answered(self, call: Call, reply: Any) -> None:
        if isinstance(reply, Unreachable | Refused):
            self._finding = asyncio.create_task(self._find_out(call, reply))
        else:
            self._end(call, reply)

    def _next(self) -> Call:
        """The call that is to be sent now; the others' turn comes with the next one."""
        call, self._gathered = self._gathered, Call(self._gathered.known)
        self._gathered.items = call.items[_MOST:]
        del call.items[_MOST:]
        self._number += 1
        call.number, call.key = self._number, names.call(self._connection.incarnation)
        return call

    async def _find_out(self, call: Call, error: Unreachable | Refused) -> None:
        """What became of a call that has no answer, or that Redis would not have."""
        if isinstance(error, Refused) and not str(error).startswith(("EPOCH", "PAST")):
            # A bug of ours must not be in everybody's way for good.
            self._log.error("the ledger refuses a call", why=str(error))
            call.fail()
            call.items = []
        self._end(call, await self._outcome(call))

    def _end(self, call: Call, reply: Any) -> None:
        """It was executed, or will not be any more: then there is no reply."""
        self._under_way = None
        if reply is None:
            self._again(call)
            self._rest()
        else:
            self._sent, self._heard = call.sent, self._clock.steady()
            answer = told(reply)
            self._learn(call, answer)
            if call.gone:
                # Whoever asks once more for what he was refused must know by then that it was done.
                self._deliver(call, answer)
            else:
                # What has gathered is sent first: Redis is at work while answers go out here.
                asyncio.get_running_loop().call_soon(self._deliver, call, answer)
        if not self._gathered.empty and not self._looking:
            self._look()

    def _arguments(self, call: Call) -> list[Part]:
        """What the turn script reads; items that ask for nothing any more have ended."""
        words, asked = list[bytes](), list[Item]()
        for item in call.items:
            try:
                said = item.words()
            except TypeError:  # what JSON cannot hold must not be in the way of all others
                item.failed(unavailable())
                continue
            if said:
                words += said
                asked.append(item)
            else:
                item.done([Status.gone])
        call.items = asked
        call.sent = self._clock.steady()
        passed = [max(0, round((call.sent - last) * 1_000_000)) for last in (self._heard, self._sent)]
        added = [word for entry in call.entries for word in entry.words]
        return [self._connection.server, call.number, *passed, call.known, len(call.entries), *added, *words]

    async def _outcome(self, call: Call) -> Any:
        """What became of a call without an answer, once Redis says; None where it was not executed, nor will be."""
        self._ill = True
        self._expire_in(self._timeout - (self._clock.steady() - call.sent))
        while True:
            await self._reachable.wait()
            try:
                found = await self._connection.run(
                    _RESOLVE, (names.EPOCH, call.key), (self._connection.server, call.number)
                )
            except (Unreachable, Refused):
                await asyncio.sleep(self._timeout)
                continue
            break
        self._ill = False
        self._expire_in(None)
        return found[0] if found else None

    def _learn(self, call: Call, answer: Told) -> None:
        """What the log has that this node had not; what its own entries say holds here since before they were made."""
        if answer.lacking:
            self._news.apply(answer.lacking)
        for number, entry in enumerate(call.entries, answer.first):
            self._news.appended(number, entry.words[0])
            if self._gathered.known == number - 1:
                self._gathered.known = number
            if not entry.waiter.done():
                entry.waiter.set_result(number)

    def _deliver(self, call: Call, answer: Told) -> None:
        for item, said in zip(call.items, answer.replies, strict=True):
            if call.gone and not item.lasting:
                item.late(said)
            else:
                item.done(said)
        # Not before: what was done for nobody is to be reversed by items submitted just now.
        self._rest()

    def _rest(self) -> None:
        """All that was asked is answered, where nothing is left."""
        if self._gathered.empty and self._under_way is None:
            self._idle.set()

    def _again(self, call: Call) -> None:
        """Ask once more for what somebody still waits for, before all else."""
        self._gathered.known = min(self._gathered.known, call.known)
        items = [item for item in call.items if item.lasting or not call.gone]
        self._gathered.items[:0] = items
        self._gathered.entries[:0] = call.entries

    def _expire(self) -> None:
        """Whoever waits has waited long enough."""
        self._expire_in(None)
        if self._under_way is not None and not self._under_way.gone:
            self._under_way.gone = True
            self._under_way.fail()
        self._gathered.fail()
        self._gathered.items = [item for item in self._gathered.items if item.lasting]

    def _expire_in(self, seconds: float | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        loop = asyncio.get_running_loop()
        self._expiry = None if seconds is None else loop.call_later(max(0.0, seconds), self._expire)

    def _changed(self, up: bool) -> None:
        if up:
            self._reachable.set()
        else:
            self._reachable.clear()
