"""Collapsed forwarding: any number of callers of one thing, one fetch.

A fetch belongs to the gateway. Who waits for it, its first caller included, holds a future of its own, so that nobody's
leaving touches the others. What turned out not to be shareable is remembered for a while: waiting for it would only
make callers queue.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum

from gateway.errors import Problem
from gateway.exchange import Exchange
from gateway.messages import Stream
from gateway.ports import Lease
from gateway.rfc9111.stored import StoredResponse
from gateway.rfc9111.storing import Unstorable


class Unkept(Enum):
    """Why an answer was not kept although its fields allow it: `detail` words the Cache-Status, the name the metric."""

    outdated = "a refresh outdated the response while it was fetched"
    deposed = "another node was to fetch it by then, and may have brought something later"
    no_room = "the response is larger than the memory tier, or a newer one is stored"
    undelimited = "nothing but the connection's close tells the end of the response"

    @property
    def detail(self) -> str:
        """For Cache-Status."""
        return self.value


NotKept = Unstorable | Unkept


@dataclass(slots=True)
class Fetched:
    """The answer, good for every caller whose selecting header fields match.

    `kept` says whether it is stored now; if not, `reason` says why, and callers get it this once. `validated`: the
    upstream's 304 freshened what was stored. `own` is what its first caller gets instead, where fields of the answer
    may go to nobody else. `found`: nothing was fetched, as another node had stored it meanwhile; callers decide again.
    """

    stored: StoredResponse
    kept: bool
    reason: NotKept | None = None
    validated: bool = False
    own: StoredResponse | None = None
    found: bool = False


@dataclass(slots=True)
class Failed:
    """No usable answer; `answer` is what the upstream said, where that may be shown."""

    problem: Problem
    answer: StoredResponse | None = None


@dataclass(slots=True)
class Private:
    """An answer for its own caller alone, who finds it in `answer`; every other caller goes on by itself.

    `validated`: it is what was stored, and the upstream's 304 made it private.
    """

    answer: StoredResponse | Stream | None = None
    reason: NotKept | None = None
    validated: bool = False

    @property
    def unproven(self) -> bool:
        """Nothing tells whether the content is whole, so it must not be charged."""
        return self.reason is Unkept.undelimited


Outcome = Fetched | Failed | Private


class Rank(IntEnum):
    """What a fetch does for its callers: one of a higher rank does for those of a lower one too.

    A `demanded` one was forced by a request's own directives, a `forced` one is a force refresh.
    """

    ordinary = 0
    demanded = 1
    forced = 2


# By a caller's rank: those of the flights that it may join, the highest first.
_ENOUGH = tuple([tuple(other for other in reversed(Rank) if other >= rank) for rank in Rank])


def _never() -> bool:
    return False


class Flight:
    """One fetch under way, and those who wait for it.

    `is_outdated`: a refresh or an unsafe method has overtaken it, so that whoever asks now must not get its answer.
    `exchange` tells how long the upstream takes, None until it is asked. `shared`: others may find it; then it has the
    `lease` of the fleet where there is one. `elsewhere`: another node's fetch brought what it lands with, which was
    `waited` for so many seconds.
    """

    __slots__ = (
        "_followers",
        "_leader",
        "elsewhere",
        "exchange",
        "is_outdated",
        "key",
        "lease",
        "rank",
        "shared",
        "waited",
    )

    def __init__(self, key: str, rank: Rank) -> None:
        self.key = key
        self.rank = rank
        self.is_outdated: Callable[[], bool] = _never
        self.exchange: Exchange | None = None
        self.shared = False
        self.lease: Lease | None = None
        self.elsewhere = False
        self.waited = 0.0
        self._leader: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._followers: list[asyncio.Future[Outcome]] = []

    def lead(self) -> asyncio.Future[Outcome]:
        """The outcome as the first caller gets it."""
        return self._leader

    def follow(self) -> asyncio.Future[Outcome]:
        """The outcome as everybody else gets it."""
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._followers.append(waiter)
        return waiter

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

    `memory` seconds and `most` entries bound the markers.
    """

    def __init__(self, now: Callable[[], float], *, memory: float = 60.0, most: int = 10_000) -> None:
        self._now = now
        self._memory = memory
        self._most = most
        self._flights: dict[tuple[str, Rank], Flight] = {}
        # By hash: a key is as long as its client likes, and two that share one are only not collapsed.
        self._private: OrderedDict[int, float] = OrderedDict()

    def find(self, key: str, rank: Rank = Rank.ordinary) -> Flight | None:
        """A flight that a caller of this rank may join."""
        for enough in _ENOUGH[rank] if self._flights else ():
            flight = self._flights.get((key, enough))
            if flight is not None and not flight.is_outdated():
                return flight
        return None

    def take_off(self, key: str, rank: Rank = Rank.ordinary, *, alone: bool = False) -> Flight:
        """A new flight; others find it unless it is `alone` or its key is known to be private."""
        flight = Flight(key, rank)
        if not alone and not self.is_private(key):
            self._flights[key, rank] = flight
            flight.shared = True
        return flight

    def land(self, flight: Flight, outcome: Outcome) -> bool:
        """End a flight; see `Flight.land`."""
        self._forget(flight)
        if isinstance(outcome, Private):
            self.mark_private(flight.key)
        elif isinstance(outcome, Fetched) and outcome.kept and not outcome.stored.selecting:
            self._private.pop(hash(flight.key), None)
        return flight.land(outcome)

    def part(self, flight: Flight) -> None:
        """Let the followers go on by themselves at once: the answer that is arriving is its leader's alone."""
        self.mark_private(flight.key)
        self._forget(flight)
        flight.release(Private())

    def mark_private(self, key: str) -> None:
        """Stop collapsing on `key` for a while."""
        self._private[hash(key)] = self._now() + self._memory
        self._private.move_to_end(hash(key))
        if len(self._private) > self._most:
            self._private.popitem(last=False)

    def is_private(self, key: str) -> bool:
        """Whether a recent answer under `key` could not be shared."""
        until = self._private.get(hash(key))
        return until is not None and self._now() < until

    def _forget(self, flight: Flight) -> None:
        if self._flights.get((flight.key, flight.rank)) is flight:
            del self._flights[flight.key, flight.rank]
