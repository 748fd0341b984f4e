"""What the outcome of a fetch means for each operation that waited for it: an answer, or to decide again."""

from collections.abc import Awaitable
from math import floor
from typing import assert_never

from gateway.answering import Answering
from gateway.arrival import cut_open
from gateway.cache import Cache
from gateway.collapse import Collapse, Failed, Fetched, NotKept, Outcome, Private, Unkept
from gateway.lookup import Lookup
from gateway.messages import Answer, Stream
from gateway.operation import Operation
from gateway.passing import Passing
from gateway.ports import Clock
from gateway.rfc9111.freshness import current_age
from gateway.rfc9111.selecting import matches
from gateway.rfc9111.stored import StoredResponse
from gateway.settlement import Settlement
from gateway.watch import Watch

# A response that a refresh outdated while it was fetched is not served as fresh: its callers decide again, this often.
_MOST_TURNS = 4


class Concluding:
    """The end of a lookup that had to fetch or to follow: it settles by what really happened, and answers."""

    def __init__(
        self,
        cache: Cache,
        collapse: Collapse,
        settlement: Settlement,
        answering: Answering,
        passing: Passing,
        watch: Watch,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._collapse = collapse
        self._settlement = settlement
        self._answering = answering
        self._passing = passing
        self._watch = watch
        self._clock = clock

    # What only chooses the way is no coroutine: every caller would wait through it.
    def conclude(self, lookup: Lookup, outcome: Outcome) -> Awaitable[Answer | None]:
        """The answer that `outcome` means for the lookup's operation; None where it must decide again.

        Raises the Problem that it fails with.
        """
        match outcome:
            case Fetched():
                return self._deliver(lookup, outcome)
            case Failed():
                return self.fall_back(lookup, outcome)
            case Private():
                return self._keep_apart(lookup, outcome)
            case _:
                assert_never(outcome)

    async def _keep_apart(self, lookup: Lookup, outcome: Private) -> Answer | None:
        """The leader answers with what is its own; a follower goes on by itself."""
        op, answer = lookup.op, outcome.answer
        if answer is None:
            op.alone = True
            return None
        self._note(op, 304 if outcome.validated else answer.status, outcome.reason)
        if isinstance(answer, Stream):
            return await self._passing.answer(op, lookup.prepared, answer, lookup.policy)
        return await self._answer_with(op, answer, free=outcome.unproven)

    async def _deliver(self, lookup: Lookup, outcome: Fetched) -> Answer | None:
        """Answer with what was fetched, unless it is for others only or a refresh has outdated it meanwhile."""
        op, stored = lookup.op, outcome.stored
        if outcome.found:
            return None
        # Whose own fetch it was takes it as it is: Vary may name a field that every exchange has anew.
        if op.collapsed and (varying := stored.selecting) and not matches(varying, lookup.seen((stored,))):
            self._collapse.mark_private(lookup.prepared.key)
            op.alone = True
            return None
        if outcome.reason is Unkept.outdated and not op.forced and lookup.turns < _MOST_TURNS:
            return None
        op.stored = outcome.kept
        self._note(op, 304 if outcome.validated else stored.status, outcome.reason)
        if op.collapsed and stored.splice is not None and lookup.takes_gzip:
            # Once for all that follow, and not for who asked first, as there may be nobody else.
            cut_open(self._cache, stored, gzip=True)
        own = stored if op.collapsed or outcome.own is None else outcome.own
        return await self._answer_with(op, own)

    async def fall_back(self, lookup: Lookup, outcome: Failed) -> Answer:
        """RFC 5861 §4: a stale answer where one is allowed, else what the upstream said, else the problem."""
        op = lookup.op
        op.fwd_status = outcome.problem.upstream_status
        # Looked up anew: an unsafe method may have forbidden it while the upstream failed.
        variants = self._cache.peek(lookup.prepared.key)
        spare = lookup.spare(variants, self._clock.steady(), outcome)
        if spare is not None:
            op.stale, op.detail, op.ttl = True, spare.detail, floor(spare.ttl)
            if lookup.prepared.route.tokens_in_body:
                cut_open(self._cache, spare.stored, gzip=lookup.takes_gzip)
            charge = await self._settlement.settle(op, op.ended(spare.stored.status), spare.stored)
            return self._answering.stored(op, spare.stored, spare.age, charge)
        if outcome.answer is None:
            raise outcome.problem
        return await self._answer_with(op, outcome.answer)

    async def _answer_with(self, op: Operation, answer: StoredResponse, *, free: bool = False) -> Answer:
        outcome = op.ended(answer.status, fresh=op.forced or op.demanded, free=free)
        charge = await self._settlement.settle(op, outcome, answer)
        return self._answering.stored(op, answer, current_age(answer, self._clock.steady()), charge)

    def _note(self, op: Operation, status: int, reason: NotKept | None) -> None:
        op.fwd_status = status
        if reason is not None:
            op.detail = reason.detail
        if reason is not None and not op.collapsed:
            self._watch.not_stored(op, reason.name)
