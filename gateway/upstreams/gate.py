"""How many exchanges an upstream gets at once and how many may wait: a queue with bounds of its own.

aiohttp's connection pool queues without bound, so it is given no limit and this gate stands before it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf

from gateway.admission.snapshot import UpstreamPolicy
from gateway.admission.throttle import TokenBucket
from gateway.errors import Problem, Reason
from gateway.ports import Clock

# Who is turned away in one turn of the loop.
_SENT_OFF = 100

# One in so many of the places, and of what the rate allows at once, is left free for the foreground.
_FREE_PLACES, _FREE_RATE = 10, 5


class Gate:
    """First come, first served; each `enter` that gets a place goes with one `leave`.

    A background call takes a place only where that keeps nobody else waiting: `pause` says when, `take` takes it.
    `background` are those under way. `freed` is called whenever there may be room for one.
    """

    def __init__(self, policy: UpstreamPolicy, bucket: TokenBucket | None, clock: Clock) -> None:
        self._free = policy.connections
        self.background = 0
        self.freed: Callable[[], None] = _nobody
        self._most_background = max(1, policy.connections // 2)
        self._kept_free = _kept(policy.connections, _FREE_PLACES)
        self._kept_rate = 0 if bucket is None else _kept(bucket.policy.burst, _FREE_RATE)
        # In the foreground, with a place, waiting for the rate.
        self._pacing = 0
        self._queue = policy.queue
        self._wait = policy.wait
        # Each becomes True with a place, False where there will be none.
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._shut = asyncio.Event()
        self._bucket = bucket
        self._clock = clock

    async def enter(self) -> bool:
        """Take a place, waiting at most the policy's `wait`; raises Problem(upstream_queue_full).

        False, without a place, where all who wait are turned away meanwhile.
        """
        if self._free and not self._waiting:
            self._free -= 1
        elif not await self._queue_up():
            return False
        return self._bucket is None or await self._keep_pace(self._bucket)

    @property
    def stands_open(self) -> bool:
        """Whether `enter` would return at once, so that `walk_in` does as well."""
        return self._free > 0 and not self._waiting and self._bucket is None

    def walk_in(self) -> None:
        """Take a place where the gate stands open."""
        self._free -= 1

    def leave(self) -> None:
        """Give the place to whoever waits longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(True)
                return
        self._free += 1
        self.freed()

    def pause(self) -> float:
        """Seconds until the rate has room for a background call, 0 for now; infinity while there is no place for it."""
        # While anybody waits for a place, none is free.
        has_place = self._free > self._kept_free and self.background < self._most_background
        if not has_place or self._pacing:
            return inf
        if self._bucket is None:
            return 0.0
        rate = self._bucket.policy.rate
        lacking = self._kept_rate + 1 - self._bucket.state(self._clock.steady())[0]
        return max(0.0, lacking * rate.seconds / rate.count)

    def take(self) -> None:
        """Take the place for a background call, for which there is one."""
        self._free -= 1
        self.background += 1
        if self._bucket is not None:
            self._bucket.take(self._clock.steady())

    def leave_unused(self) -> None:
        """Give the place of a background call back that was not sent."""
        if self._bucket is not None:
            self._bucket.give_back()
        self.leave_background()

    def leave_background(self) -> None:
        """Give the place of a background call back."""
        self.background -= 1
        self.leave()

    def turn_away(self) -> None:
        """Let nobody in who waits now."""
        turned_away, self._waiting = self._waiting, deque()
        self._send_off(turned_away)
        self._shut.set()
        self._shut = asyncio.Event()

    def _send_off(self, turned_away: deque[asyncio.Future[bool]]) -> None:
        """Some in each turn of the loop: all of them go on to answers of their own."""
        for _ in range(min(_SENT_OFF, len(turned_away))):
            waiter = turned_away.popleft()
            if not waiter.done():
                waiter.set_result(False)
        if turned_away:
            asyncio.get_running_loop().call_soon(self._send_off, turned_away)

    async def _queue_up(self) -> bool:
        if len(self._waiting) >= self._queue:
            raise self._full()
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._wait):
                return await waiter
        except BaseException as error:
            self._abandon(waiter)
            if isinstance(error, TimeoutError):
                raise self._full() from None
            raise

    def _abandon(self, waiter: asyncio.Future[bool]) -> None:
        """A place that was handed over in the very moment of giving up goes to the next."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif not waiter.cancelled() and waiter.result():
            self.leave()

    async def _keep_pace(self, bucket: TokenBucket) -> bool:
        if bucket.take(self._clock.steady()):
            return True
        self._pacing += 1
        in_pace = False
        try:
            in_pace = await self._paced(bucket)
        finally:
            self._pacing -= 1
            if not in_pace:
                self.leave()
        return in_pace

    async def _paced(self, bucket: TokenBucket) -> bool:
        until = self._clock.steady() + self._wait
        while not bucket.take(now := self._clock.steady()):
            pause = bucket.wait(now)
            if now + pause > until:
                raise self._full(pause)
            if await self._is_shut_within(pause):
                return False
        return True

    async def _is_shut_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._shut.wait()
        return False

    def _full(self, pause: float = 1.0) -> Problem:
        return Problem(Reason.upstream_queue_full, retry_after=max(pause, self._wait))


def _kept(whole: int, share: int) -> int:
    """One in `share` of `whole`, rounded up: not for the background, which has the last one all the same."""
    return min(-(-whole // share), whole - 1)


def _nobody() -> None:
    """Hears that there is room."""
