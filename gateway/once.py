"""Requests with an Idempotency-Key are done once: who repeats one gets its first answer again."""

from collections.abc import Awaitable, Callable

from gateway.answering import Answering
from gateway.errors import Problem
from gateway.idempotency import Idempotency, Replay
from gateway.messages import Answer
from gateway.operation import Operation
from gateway.ports import Clock
from gateway.settlement import Settlement


class Once:
    """Stands before what costs."""

    def __init__(self, idempotency: Idempotency, settlement: Settlement, answering: Answering, clock: Clock) -> None:
        self._idempotency = idempotency
        self._settlement = settlement
        self._answering = answering
        self._clock = clock

    async def answer(self, op: Operation, make: Callable[[], Awaitable[Answer]], content: str = "") -> Answer:
        """What an Idempotency-Key was answered before, for nothing; else what is made, kept for its repetition.

        `content` is what the request's content asks for, where that makes another request of it. Raises the Problem of
        a key that is in use or was used for something else, and what `make` raises.
        """
        try:
            replay = await self._earlier(op, content)
            if replay is None:
                return await make()
            return self._answering.replayed(op, replay, await self._settlement.repeat(op), self._clock.steady())
        finally:
            if op.claim is not None:
                op.claim.end()

    async def _earlier(self, op: Operation, content: str) -> Replay | None:
        """The answer to be given again. What is refused here counts against the throttle as well."""
        try:
            op.claim = None if op.prepared is None else self._idempotency.claim(op.prepared, content)
            return None if op.claim is None else await self._idempotency.earlier(op.claim)
        except Problem:
            await self._settlement.repeat(op)
            raise
