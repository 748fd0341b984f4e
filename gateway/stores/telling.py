"""What this node has outdated, on its way into the fleet's log: held against what is loaded until it is there."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import orjson
import structlog

from gateway.errors import Overtaken, Problem, Reason
from gateway.rfc9111.stored import Selecting, StoredResponse
from gateway.stores.encoding import plain
from gateway.stores.selection import Broad, Everything
from gateway.tasks import Tasks

UNTOLD = 2_000
"""Entries at most that wait to be in the log; beyond, one that outdates everything stands for all further ones."""

AGAIN, SELDOM = 0.05, 1.0
"""Seconds before it is asked again whether what took too long is there: at first, and at most."""

_DIGEST = 16


class Appending(Protocol):
    """Who brings entries into the fleet's log, in their order and for as long as it takes: `fleet.link.Link`."""

    def append(self, entry: bytes, marks: bytes = b"", purge: bytes = b"") -> asyncio.Future[int]:
        """The number that the entry has got; Problem where that takes too long, and it goes on trying."""

    def verify(self) -> asyncio.Future[None]:
        """An answer, None or Overtaken, means that all entries before are there; Problem where none comes."""


@dataclass(slots=True, eq=False)
class Untold:
    """An entry that may not be in the log yet, and what it outdates; `told` is its number, or why it takes long."""

    groups: tuple[str, ...]
    purge: Broad | None
    told: asyncio.Future[int]

    def outdates(self, stored: StoredResponse, groups: tuple[str, ...]) -> bool:
        """Whether it does that to `stored`, which belongs to `groups`."""
        return not set(self.groups).isdisjoint(groups) or (self.purge is not None and self.purge.takes(stored))

    @property
    def failed(self) -> bool:
        """Whether it has taken too long."""
        return self.told.done() and (self.told.cancelled() or self.told.exception() is not None)


class Telling:
    """The entries that `waiting` holds are not known to be in the log; `heard` is called with each once it is.

    `everything` makes the entry that outdates everything.
    """

    def __init__(self, link: Appending, heard: Callable[[Untold], None], everything: Callable[[], bytes]) -> None:
        self._link = link
        self._heard = heard
        self._everything = everything
        self._untold: dict[Untold, None] = {}
        self._rest: Untold | None = None
        self._asking = False
        self._tasks = Tasks()
        self._log = structlog.get_logger("gateway.fleet")

    @property
    def waiting(self) -> tuple[Untold, ...]:
        """Those that may not be there yet."""
        return tuple(self._untold)

    def tell(self, entry: bytes, groups: tuple[str, ...], purge: Broad | None = None) -> Untold:
        """Bring it there, with this turn's call."""
        if self._rest is not None:
            return self._rest
        if len(self._untold) >= UNTOLD:
            self._rest = Untold((), Everything(), _failed())
            self._untold[self._rest] = None
            self._ask_soon()
            return self._rest
        written = b"" if purge is None else orjson.dumps(plain(purge.written))
        untold = Untold(groups, purge, self._link.append(entry, marked(groups), written))
        self._untold[untold] = None
        untold.told.add_done_callback(lambda _: self._ended(untold))
        return untold

    async def told(self) -> None:
        """Return once all that waits now is there. Raises the Problem for which it may not be."""
        for untold in self.waiting:
            await asyncio.shield(untold.told)

    async def close(self) -> None:
        """Wait for what is under way; what is not there by then is lost, which is logged."""
        with suppress(Problem):
            await self.told()
        if self._untold:
            self._log.warning("other nodes will not hear what was outdated here", entries=len(self._untold))
            self._untold.clear()
        await self._tasks.finish()

    def _ended(self, untold: Untold) -> None:
        if not untold.failed:
            self._is_there(untold)
        else:
            self._ask_soon()

    def _ask_soon(self) -> None:
        if not self._asking:
            self._asking = True
            self._tasks.start(self._ask())

    async def _ask(self) -> None:
        """Find out when what took too long is there."""
        pause = AGAIN
        while failed := [untold for untold in self._untold if untold.failed]:
            await asyncio.sleep(pause)
            pause = min(2 * pause, SELDOM)
            if await self._is_answered():
                for untold in failed:
                    self._is_there(untold)
        self._asking = False

    async def _is_answered(self) -> bool:
        try:
            await self._link.verify()
        except Overtaken:
            return True
        except Problem:
            return False
        return True

    def _is_there(self, untold: Untold) -> None:
        if untold not in self._untold:
            return
        del self._untold[untold]
        if untold is self._rest:
            # In its place, as it has never been sent.
            self._rest = None
            self.tell(self._everything(), (), Everything())
        else:
            self._heard(untold)


def _failed() -> asyncio.Future[int]:
    failed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    failed.set_exception(Problem(Reason.ledger_unavailable))
    failed.exception()
    return failed


def place(key: str, selecting: Selecting) -> str:
    """The name of a group of one: where the stored response is that has this key and these selecting header fields."""
    return "\0".join(("", key, *[part for pair in selecting for part in pair]))


def marked(groups: Iterable[str]) -> bytes:
    """The digests of groups, 16 bytes each, one after the other."""
    return b"".join([blake2b(plain(name).encode(), digest_size=_DIGEST).digest() for name in dict.fromkeys(groups)])
