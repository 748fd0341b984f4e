"""What goes with one turn call: items asked of the ledger and entries for the fleet's log, and who waits for them."""

import asyncio
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Protocol

from gateway.errors import Overtaken, Problem, Reason

Reply = list[Any]
"""What the turn script says of one item: a status, and what goes with it."""


class Status(IntEnum):
    """What the turn script says of an item first."""

    done = 0
    stale = 1
    """The holder's term is another one; its columns follow."""
    throttled = 2
    """The throttle's level follows."""
    capped = 3
    """Microseconds until there is room follow."""
    short = 4
    """There are too few tokens."""
    gone = 5
    """The operation is not open, or there is nothing to be done any more."""
    overtaken = 6
    """The node lacked entries of the log, which it has by now."""
    beyond = 7
    """There would be more tokens than can be counted."""


class Item(Protocol):
    """One thing asked of the ledger. Exactly one of `done` and `failed` is called, once; neither may raise.

    `lasting`: it is asked until Redis has answered, whoever has been refused meanwhile.
    """

    lasting: bool

    def words(self) -> Sequence[bytes]:
        """What the turn script reads, as of now; nothing where nothing is to be asked.

        Raises TypeError for what the records cannot say (an integer over 64 bits): it fails.
        """

    def done(self, reply: Reply) -> None:
        """It was executed, or decided: the status says which."""

    def failed(self, problem: Problem) -> None:
        """It was not executed, as far as the caller need know: where that turns out otherwise it is `reversed`."""

    def late(self, reply: Reply) -> None:
        """It was answered after it had `failed`: what it did, if anything, is to be reversed by items submitted now."""


class Entry:
    """An entry for the fleet's log, with what it marks and the purge that it is."""

    __slots__ = ("waiter", "words")

    def __init__(self, words: tuple[bytes, bytes, bytes], waiter: asyncio.Future[int]) -> None:
        self.words = words
        self.waiter = waiter


class Call:
    """What goes with one call, under `key` by its `number`, `sent` at steady seconds; `gone`: nobody waits for it.

    `known` is the latest entry of the log that all of it was decided by: what came after the first of its items is for
    Redis to find.
    """

    __slots__ = ("entries", "gone", "items", "key", "known", "number", "sent")

    def __init__(self, known: int) -> None:
        self.known = known
        self.items: list[Item] = []
        self.entries: list[Entry] = []
        self.key = ""
        self.number = 0
        self.sent = 0.0
        self.gone = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to be sent."""
        return not self.items and not self.entries

    def fail(self) -> None:
        """Tell everybody who waits that nothing has come of it, as far as anyone knows."""
        for item in self.items:
            if not item.lasting:
                item.failed(unavailable())
        for entry in self.entries:
            if not entry.waiter.done():
                entry.waiter.set_exception(unavailable())


class Verify:
    """The version check by itself."""

    lasting = False

    def __init__(self, waiter: asyncio.Future[None]) -> None:
        self._waiter = waiter

    def words(self) -> Sequence[bytes]:
        """Its code says all."""
        return (b"\x09",)

    def done(self, reply: Reply) -> None:
        """Nothing was new, or it has been taken over by now."""
        if not self._waiter.done():
            if reply[0] == Status.overtaken:
                self._waiter.set_exception(Overtaken())
            else:
                self._waiter.set_result(None)

    def failed(self, problem: Problem) -> None:
        """Nobody knows."""
        if not self._waiter.done():
            self._waiter.set_exception(problem)

    def late(self, reply: Reply) -> None:
        """It has done nothing."""


def unavailable() -> Problem:
    """What anything is refused with that Redis does not answer."""
    return Problem(Reason.ledger_unavailable, retry_after=1)
