"""A node's register kept as all others are: what is asked of it in one turn is one call, one after the other.

A change is a command in the fleet's next round. It is performed here as everywhere, once the rounds before it are, and
that tells what came of it. Who only looks does so at the end of the rounds that there are.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from gateway.errors import Problem
from gateway.fleet.connection import Refused, Unreachable
from gateway.jobs import commands
from gateway.jobs.copies import Copies
from gateway.jobs.replica import Failed, Halt, Performed, Replica, Round
from gateway.jobs.rounds import Apart, Asked, Rounds, Told
from gateway.jobs.transactions import translated, unavailable

T = TypeVar("T")

OFTEN = 10_000
"""Rounds after which a copy is worth its cost, however light they are."""

# Commands of one round at most: the first waits for the last. Bytes of them from which packing is left to a thread.
_MOST, _LONG = 256, 64 * 1024


class Deposed(Exception):
    """Another node leads: nothing has changed."""


@dataclass(slots=True, frozen=True)
class Change:
    """`led`: only a leader may ask for it. `undo` takes it back, for a caller who was told that nothing has changed.

    It is given what came of the change, None where nobody knows any more.
    """

    command: str
    led: bool = False
    undo: "Callable[[Any], Change] | None" = None


@dataclass(slots=True, eq=False)
class _Call:
    """One caller's: a change, or what is looked for. Nobody waits for what takes another back."""

    wanted: Change | Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any] | None = None

    def answer(self, outcome: Any) -> None:
        if self.future is None or self.future.done():
            return
        match outcome:
            case Failed(error=error):
                self.future.set_exception(translated(error))
            case BaseException():
                self.future.set_exception(outcome)
            case _:
                self.future.set_result(outcome)


@dataclass(slots=True, eq=False)
class _Sent:
    """The round that was sent last. Once it is `given_up`, its callers believe that nothing has changed."""

    asked: Asked
    free: Sequence[_Call]
    led: Sequence[_Call]
    given_up: bool = False

    def performed(self, free: Sequence[Any], led: Sequence[Any]) -> list[_Call]:
        """What takes back what nobody knows of; the other callers are told."""
        outcomes = [*zip(self.free, free, strict=True), *zip(self.led, led, strict=True)]
        if self.given_up:
            return [_Call(undo) for call, outcome in outcomes if (undo := _undone(call, outcome)) is not None]
        for call, outcome in outcomes:
            call.answer(outcome)
        return []

    def unheard(self) -> list[_Call]:
        """It was never performed, and never will be: what was to take something back still has to."""
        return [call for call in (*self.free, *self.led) if call.future is None]


class Replication:
    """`token` is the leader's that this node has; `news` hears of each round of another's."""

    def __init__(
        self, node: str, rounds: Rounds, copies: Copies, token: Callable[[], str], news: Callable[[Performed], None]
    ) -> None:
        self._node = node
        self._rounds = rounds
        self._copies = copies
        self._token = token
        self._news = news
        self._log = structlog.get_logger("gateway.jobs")
        self.replica = Replica()
        self._waiting: list[_Call] = []
        self._undoing: list[_Call] = []
        self._sent: _Sent | None = None
        self._number = 0
        self._turn = asyncio.Lock()
        self._working: asyncio.Task[None] | None = None
        self._closed = False
        self._at_a_loss = False
        self.wants_copy = False
        """Whether so much has happened since the latest copy that another one is worth its cost."""

    async def begin(self) -> None:
        """From the latest copy on. Raises Unreachable, Problem(jobs_unavailable)."""
        async with self._turn:
            await self._begin_anew()
        await self.look(lambda _: None)

    async def change(self, change: Change) -> Any:
        """What the command's method returns, once it is performed here.

        Raises Problem(jobs_unavailable), and then it is performed nowhere or is taken back; and Deposed.
        """
        return await self._ask_for(change)

    async def look(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """What `action` finds behind all that has been asked for up to now. Raises Problem(jobs_unavailable)."""
        found: T = await self._ask_for(action)
        return found

    async def follow(self, seconds: float) -> None:
        """Perform others' rounds as they come, for so long at most. Raises Unreachable, Problem(jobs_unavailable)."""
        if self._undoing or (self._sent is not None and self._sent.given_up):
            await self.look(lambda _: None)
        rounds = await self._rounds.follow(self.replica.standing.number, seconds)
        async with self._turn:
            apart = await self._perform(rounds) is Halt.apart
        if apart:
            await self.look(lambda _: None)

    async def put_back(self) -> None:
        """Give Redis what it has lost, before the fleet agrees on it. Raises Unreachable."""
        async with self._turn:
            with suppress(Problem):
                await self._copies.put_back(self.replica)

    async def copy(self) -> None:
        """Put a new copy in Redis. Raises Unreachable, Problem(jobs_unavailable)."""
        self.wants_copy = False
        await self._copies.save(self.replica)

    async def close(self) -> None:
        """Answer what is asked for already."""
        self._closed = True
        if self._working is not None:
            await asyncio.wait([self._working])
        await self.replica.close()

    async def _ask_for(self, wanted: Change | Callable[[sqlite3.Connection], Any]) -> Any:
        if self._closed:
            raise unavailable()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(wanted, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            try:
                async with self._turn:
                    await self._serve(calls)
            except Exception as error:  # noqa: BLE001 - each caller hears of it, which tells a bug from the rest
                calls += self._waiting
                self._waiting = []
                self._give_up(calls, unavailable() if isinstance(error, Unreachable | Refused | Apart) else error)
        self._working = None

    def _give_up(self, calls: Sequence[_Call], error: Exception) -> None:
        if self._sent is not None:
            self._sent.given_up = True
        for call in calls:
            call.answer(error)

    async def _serve(self, calls: Sequence[_Call]) -> None:
        await self._clear_up()
        changes = [call for call in calls if isinstance(call.wanted, Change)]
        if changes:
            await self._send([*self._taken_back(), *changes])
        else:
            await self._reach(await self._ask(Asked()))
        while self._undoing:
            await self._send(self._taken_back())
        looks = [call for call in calls if call not in changes]
        found = [self.replica.read(call.wanted) for call in looks if not isinstance(call.wanted, Change)]
        for call, outcome in zip(looks, await asyncio.gather(*found, return_exceptions=True), strict=True):
            call.answer(outcome)

    def _taken_back(self) -> list[_Call]:
        undoing, self._undoing = self._undoing, []
        return undoing

    async def _clear_up(self) -> None:
        """Nobody knows whether the round before was taken: after a call with a later number it never will be."""
        if self._sent is None:
            return
        await self._reach(await self._ask(self._next(b"", b"")))
        if self._sent is not None:
            self._undoing += self._sent.unheard()
            self._sent = None

    async def _send(self, calls: Sequence[_Call]) -> None:
        """One round. Raises Unreachable, Problem(jobs_unavailable), with the round given up."""
        free = [call for call in calls if not _change(call).led]
        led = [call for call in calls if _change(call).led]
        batches = [await _packed([_change(call).command for call in batch]) for batch in (free, led)]
        sent = self._sent = _Sent(self._next(*batches), free, led)
        told = await self._ask(sent.asked)
        if led and not free and not told.taken and self._sent is sent:
            self._sent = None
            sent.performed((), [Deposed()] * len(led))
        await self._reach(told)

    def _next(self, free: bytes, led: bytes) -> Asked:
        self._number += 1
        return Asked(self._number, f"{self._node}-{self._number}", free, led)

    async def _ask(self, asked: Asked) -> Told:
        try:
            return await self._rounds.ask(self.replica.standing, asked, self._token())
        except Apart:
            await self._begin_anew()
            return await self._rounds.ask(self.replica.standing, asked, self._token())

    async def _reach(self, told: Told) -> None:
        """Perform all rounds up to the latest that Redis has told of."""
        rounds, anew = told.rounds, False
        self.wants_copy = told.since >= OFTEN or told.heavier
        while await self._perform(rounds) is Halt.apart or self.replica.standing.number < told.number:
            if not rounds or rounds[-1].number > self.replica.standing.number:
                if anew:
                    raise Apart
                await self._begin_anew()
                anew = True
            rounds = (await self._ask(Asked())).rounds

    async def _perform(self, rounds: Sequence[Round]) -> Halt | None:
        if not rounds:
            return None
        advance = await self.replica.apply(rounds)
        for performed in advance.performed:
            self._hear(performed)
        if advance.halt is Halt.unknown:
            if not self._at_a_loss:
                self._log.error("refreshes not understood: a newer gateway's, or damaged")
            self._at_a_loss = True
            raise unavailable()
        return advance.halt

    def _hear(self, performed: Performed) -> None:
        sent = self._sent
        if sent is None or performed.id != sent.asked.id:
            self._news(performed)
            return
        self._sent = None
        self._undoing += sent.performed(performed.free, performed.led or [Deposed()] * len(sent.led))

    async def _begin_anew(self) -> None:
        """The fleet's register takes the place of this one."""
        replica = await self._copies.load()
        former, self.replica = self.replica, replica
        await former.close()
        sent = self._sent
        if sent is not None and await replica.among({sent.asked.id}):
            self._sent, sent.given_up = None, True
            self._give_up((*sent.free, *sent.led), unavailable())
            self._undoing += sent.performed([None] * len(sent.free), [None] * len(sent.led))


def _change(call: _Call) -> Change:
    if not isinstance(call.wanted, Change):
        raise TypeError("a look is no part of a round")
    return call.wanted


def _undone(call: _Call, outcome: Any) -> Change | None:
    if isinstance(outcome, Failed | Deposed) or not isinstance(call.wanted, Change) or call.wanted.undo is None:
        return None
    return call.wanted.undo(outcome)


async def _packed(batch: Sequence[str]) -> bytes:
    if sum(map(len, batch)) < _LONG:
        return commands.packed(batch)
    return await asyncio.to_thread(commands.packed, batch)
