"""Collapsed forwarding: any number of callers of one thing, one fetch.

A fetch belongs to the gateway. Who waits for it, its first caller included, holds a future of its own, so that nobody's
leaving touches the others. What turned out not to be shareable is remembered for a while: waiting for it would only
make callers queue.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gateway.errors import Problem
from gateway.messages import Stream
from gateway.rfc9111.stored import StoredResponse
from gateway.rfc9111.storing import Unstorable


class Unkept(Enum):
    """Why an answer was not kept although its fields allow it: `detail` words the Cache-Status, the name the metric."""

    outdated = "a refresh outdated the response while it was fetched"
    no_room = "the response is larger than the memory tier, or a newer one is stored"
    undelimited = "nothing but the connection's close tells the end of the response"

    @property
    def detail(self) -> str:
        """For Cache-Status."""
        return self.value


NotKept = Unstorable | Unkept


@dataclass(slots=True, frozen=True)
class Fetched:
    """The answer, good for every caller whose selecting header fields match.

    `kept` says whether it is stored now; if not, `reason` says why, and callers get it this once. `validated`: the
    upstream's 304 freshened what was stored.
    """

    stored: StoredResponse
    kept: bool
    reason: NotKept | None = None
    validated: bool = False


@dataclass(slots=True, frozen=True)
class Failed:
    """No usable answer; `answer` is what the upstream said, where that may be shown."""

    problem: Problem
    answer: StoredResponse | None = None


@dataclass(slots=True, frozen=True)
class Private:
    """An answer for its own caller alone, who finds it in `answer`; every other caller goes on by itself."""

    answer: StoredResponse | Stream | None = None
    reason: NotKept | None = None

    @property
    def unproven(self) -> bool:
        """Nothing tells whether the content is whole, so it must not be charged."""
        return self.reason is Unkept.undelimited


Outcome = Fetched | Failed | Private


class Flight:
    """One fetch under way, and those who wait for it."""

    __slots__ = ("_followers", "_leader", "alone", "forced", "key")

    def __init__(self, key: str, *, forced: bool, alone: bool) -> None:
        self.key = key
        self.forced = forced
        self.alone = alone
        self._leader: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._followers: list[asyncio.Future[Outcome]] = []

    async def lead(self) -> Outcome:
        """The outcome as the first caller gets it."""
        return await self._leader

    async def follow(self) -> Outcome:
        """The outcome as everybody else gets it."""
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._followers.append(waiter)
        return await waiter

    def release(self, outcome: Outcome) -> None:
        """Tell the followers; the leader may still wait for the rest of its own answer."""
        followers, self._followers = self._followers, []
        for waiter in followers:
            if not waiter.done():
                waiter.set_result(outcome)

    def land(self, outcome: Outcome) -> bool:
        """Tell everybody; False where the leader is gone and its private answer must be given up."""
        self.release(Private() if isinstance(outcome, Private) else outcome)
        if self._leader.done():
            return False
        self._leader.set_result(outcome)
        return True


class Collapse:
    """The flights under way by cache key, and the markers that stop collapsing.

    A forced flight serves ordinary callers too; an ordinary one never serves a force refresh. `memory` seconds and
    `most` entries bound the markers.
    """

    def __init__(self, now: Callable[[], float], *, memory: float = 60.0, most: int = 10_000) -> None:
        self._now = now
        self._memory = memory
        self._most = most
        self._flights: dict[tuple[str, bool], Flight] = {}
        self._private: OrderedDict[str, float] = OrderedDict()

    def find(self, key: str, *, forced: bool) -> Flight | None:
        """A flight that a caller may join."""
        return self._flights.get((key, True)) or (None if forced else self._flights.get((key, False)))

    def take_off(self, key: str, *, forced: bool, alone: bool) -> Flight:
        """A new flight; others find it unless it is `alone` or its key is known to be private."""
        alone = alone or self.is_private(key)
        flight = Flight(key, forced=forced, alone=alone)
        if not alone:
            self._flights[key, forced] = flight
        return flight

    def land(self, flight: Flight, outcome: Outcome) -> bool:
        """End a flight; see `Flight.land`."""
        self._forget(flight)
        if isinstance(outcome, Private):
            self.mark_private(flight.key)
        elif isinstance(outcome, Fetched) and outcome.kept and not outcome.stored.selecting:
            self._private.pop(flight.key, None)
        return flight.land(outcome)

    def part(self, flight: Flight) -> None:
        """Let the followers go on by themselves at once: the answer that is arriving is its leader's alone."""
        self.mark_private(flight.key)
        self._forget(flight)
        flight.release(Private())

    def mark_private(self, key: str) -> None:
        """Stop collapsing on `key` for a while."""
        self._private[key] = self._now() + self._memory
        self._private.move_to_end(key)
        if len(self._private) > self._most:
            self._private.popitem(last=False)

    def is_private(self, key: str) -> bool:
        """Whether a recent answer under `key` could not be shared."""
        until = self._private.get(key)
        return until is not None and self._now() < until

    def _forget(self, flight: Flight) -> None:
        if self._flights.get((flight.key, flight.forced)) is flight:
            del self._flights[flight.key, flight.forced]
