"""Force refreshes whose clients do not wait: answered 202 at once, led to their end all the same (RFC 7240 §4.1)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.answering import Answering
from gateway.lookup import Lookup
from gateway.messages import Answer
from gateway.operation import Operation
from gateway.settlement import Settlement
from gateway.singles import Singles, failure
from gateway.watch import Watch

LookUp = Callable[[Lookup], Awaitable[Answer]]
"""The way of a lookup, as its client would wait for it."""

Settled = Callable[[Operation, Callable[[], Awaitable[Answer]]], Awaitable[Answer]]
"""What is made, or a refusal, after which nothing stays reserved."""


class Holding:
    """Takes over operations that are admitted; what becomes of them is in the register."""

    def __init__(
        self,
        singles: Singles,
        settlement: Settlement,
        answering: Answering,
        watch: Watch,
        look_up: LookUp,
        settled: Settled,
    ) -> None:
        self._singles = singles
        self._settlement = settlement
        self._answering = answering
        self._watch = watch
        self._look_up = look_up
        self._settled = settled

    async def answer(self, lookup: Lookup) -> Answer:
        """202 as soon as it is admitted and written down; its own answer goes to nobody.

        Where it cannot be held its client waits, as RFC 7240 allows. Raises as the lookup does.
        """
        op = lookup.op
        await self._settlement.reserve(op)
        job = await self._singles.hold(lookup.prepared)
        if job is None:
            return await self._look_up(lookup)
        held = replace(lookup, op=replace(op))
        op.reservation = op.claim = None
        self._singles.follow(job, held.op, self._followed(held))
        return self._answering.held(op, job, await self._settlement.release(op, ""))

    async def _followed(self, lookup: Lookup) -> Answer:
        op = lookup.op
        try:
            return await self._settled(op, lambda: self._look_up(lookup))
        finally:
            if op.claim is not None:
                op.claim.end()
            self._watch.refreshed(op.route, "async", delivered=failure(op) is None)
