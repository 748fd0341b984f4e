"""The fleet's log: what makes untrue what its nodes hold in memory, in one order for all of them.

Entries have consecutive numbers. A node that cannot read one of them has to believe that it outdates everything.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson
import structlog

from gateway.fleet import names
from gateway.fleet.connection import Part, Unreachable
from gateway.fleet.following import Followed
from gateway.fleet.script import Script

MOST = 256
"""Entries that are read at once, at most."""

BLOCK = 5.0
"""Seconds for which a read waits for an entry."""

AGAIN = 0.5
"""Seconds, at most, before what could not be read is tried again."""

_FIELD = b"e"
_REJOIN = Script("rejoin")

Entry = tuple[int, bytes]
"""Number and content: a JSON array of its kind, the incarnation that made it, and what its kind needs besides."""

Applier = Callable[[list[Any]], None]


class Door(Protocol):
    """As much of `fleet.connection.Connection` as the log needs."""

    @property
    def incarnation(self) -> int:
        """This node's number in the fleet."""

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Any:
        """What the script gives. Raises Unreachable."""

    async def follow(self, streams: Mapping[str, str], most: int, block: float) -> Followed:
        """What comes in streams after an id each, or nothing after `block` seconds. Raises Unreachable."""


class Log:
    """What this node knows of the log: every entry up to number `known` has been applied here.

    Entries of its own count as applied: who makes one applies it first.
    """

    def __init__(self, door: Door) -> None:
        self.known = 0
        self._latest = b""
        self._door = door
        self._joined = False
        self._appliers: dict[str, Applier] = {}
        self._gaps: list[Callable[[], None]] = []
        self._joins: list[Callable[[], None]] = []
        self._log = structlog.get_logger("gateway.fleet")

    def on(self, kind: str, applier: Applier) -> None:
        """Let `applier` have what follows kind and incarnation in each entry of that kind that another node made."""
        self._appliers[kind] = applier

    def on_gap(self, listener: Callable[[], None]) -> None:
        """Call `listener` where entries are lost: it has to believe anything of them."""
        self._gaps.append(listener)

    def on_join(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the node has come (back) to where the log is."""
        self._joins.append(listener)

    def entry(self, kind: str, *rest: object) -> bytes:
        """The content of a new entry of this node's; `rest` is what JSON can hold."""
        return orjson.dumps([kind, self._door.incarnation, *rest])

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply those that are new, in their order."""
        for number, content in entries:
            if number <= self.known:
                continue
            missing = number > self.known + 1
            self.known, self._latest = number, content
            if missing:
                self._miss(number, "missing")
            else:
                self._apply(number, content)

    def appended(self, number: int, content: bytes) -> None:
        """An entry of this node's has this number."""
        if number == self.known + 1:
            self.known, self._latest = number, content

    async def rejoin(self) -> None:
        """Find out, on every (re)connect and before anything else, where the log stands; raises Unreachable.

        Where Redis has lost entries that this node knows of, or has others in their place, all are made to see a gap.
        """
        keys = (names.SEQUENCE, names.LOG, names.FLOOR)
        sequence, latest = await self._door.run(_REJOIN, keys, (self.known, self._latest))
        if not self._joined:
            self.known, self._latest, self._joined = sequence, latest, True
        for listener in self._joins:
            listener()

    async def follow(self) -> None:
        """Apply entries as they come, for ever; to be run as a task."""
        while True:
            try:
                read = await self._door.follow({names.LOG: f"{self.known}-0"}, MOST, BLOCK)
            except Unreachable:
                # Not all nodes at the same moment.
                await asyncio.sleep(random.uniform(0.1, 1) * AGAIN)  # noqa: S311 - no secret
                continue
            self.apply([(_number(id_), fields[_FIELD]) for _, entries in read for id_, fields in entries])

    def _apply(self, number: int, content: bytes) -> None:
        try:
            kind, incarnation, *rest = orjson.loads(content)
            if incarnation != self._door.incarnation:
                self._appliers[kind](rest)
        except (KeyError, TypeError, ValueError):
            # A node of a later version may have made it.
            self._miss(number, "unreadable")

    def _miss(self, number: int, why: str) -> None:
        self._log.warning("everything stored is outdated: an entry of the fleet's log is lost", entry=number, why=why)
        for listener in self._gaps:
            listener()


def _number(id_: str) -> int:
    return int(id_.partition("-")[0])
