"""How many exchanges an upstream gets at once and how many may wait: a queue with bounds of its own.

aiohttp's connection pool queues without bound, so it is given no limit and this gate stands before it.
"""

import asyncio
from collections import deque

from gateway.admission.snapshot import UpstreamPolicy
from gateway.admission.throttle import TokenBucket
from gateway.errors import Problem, Reason
from gateway.ports import Clock


class Gate:
    """First come, first served; `enter` and `leave` go in pairs."""

    def __init__(self, policy: UpstreamPolicy, bucket: TokenBucket | None, clock: Clock) -> None:
        self._free = policy.connections
        self._queue = policy.queue
        self._wait = policy.wait
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._bucket = bucket
        self._clock = clock

    async def enter(self) -> None:
        """Take a place, waiting at most the policy's `wait`; raises Problem(upstream_queue_full)."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._queue_up()
        if self._bucket is not None:
            await self._keep_pace(self._bucket)

    def leave(self) -> None:
        """Give the place to whoever waits longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    async def _queue_up(self) -> None:
        if len(self._waiting) >= self._queue:
            raise self._full()
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._wait):
                await waiter
        except BaseException as error:
            self._abandon(waiter)
            if isinstance(error, TimeoutError):
                raise self._full() from None
            raise

    def _abandon(self, waiter: asyncio.Future[None]) -> None:
        """A place that was handed over in the very moment of giving up goes to the next."""
        if waiter.done() and not waiter.cancelled():
            self.leave()
        else:
            self._waiting.remove(waiter)

    async def _keep_pace(self, bucket: TokenBucket) -> None:
        until = self._clock.steady() + self._wait
        while not bucket.take(now := self._clock.steady()):
            pause = bucket.wait(now)
            if now + pause > until:
                self.leave()
                raise self._full(pause)
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                self.leave()
                raise

    def _full(self, pause: float = 1.0) -> Problem:
        return Problem(Reason.upstream_queue_full, retry_after=max(pause, self._wait))
