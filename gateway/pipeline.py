"""A request's way, step by step: prepare, load, decide, admit, fetch, settle, answer.

Nothing waits between a decision and its admission, and no answer is returned before its charge is in the journal.
"""

from collections.abc import Sequence
from math import floor
from typing import assert_never

from multidict import CIMultiDict

from gateway.admission.prepare import Intent, Prepared
from gateway.answering import Answering
from gateway.answers.head import spliced_head
from gateway.answers.splice import cut
from gateway.cache import Cache
from gateway.collapse import Failed, Fetched, NotKept, Outcome, Private, Unkept
from gateway.errors import Problem, Reason
from gateway.fetch import Fetcher
from gateway.lookup import Live, Lookup
from gateway.messages import Answer, Fields, Request, Stream
from gateway.onward import for_pass
from gateway.operation import Operation
from gateway.passing import Passing
from gateway.ports import Clock
from gateway.revalidation import Revalidation
from gateway.rfc9111.freshness import current_age
from gateway.rfc9111.reuse import (
    Decision,
    Fetch,
    Fwd,
    Reuse,
    ReuseWhileRevalidating,
    Validate,
    decide,
    usable_on_error,
)
from gateway.rfc9111.selecting import matches
from gateway.rfc9111.stored import StoredResponse
from gateway.settlement import Settlement
from gateway.watch import Watch

# A response that a refresh outdated while it was fetched is not served as fresh: its callers decide again, this often.
_MOST_TURNS = 4

_NO_FIELDS = CIMultiDict[str]()


class Pipeline:
    """The steps; every door for clients hands its requests to `handle`."""

    def __init__(
        self,
        live: Live,
        cache: Cache,
        fetcher: Fetcher,
        settlement: Settlement,
        answering: Answering,
        watch: Watch,
        clock: Clock,
    ) -> None:
        self._live = live
        self._cache = cache
        self._collapse = fetcher.collapse
        self._fetcher = fetcher
        self._settlement = settlement
        self._answering = answering
        self._watch = watch
        self._clock = clock
        self._passing = Passing(settlement, answering, fetcher.buffers, clock)
        self._revalidation = Revalidation(cache, fetcher, settlement, watch)

    async def handle(self, request: Request) -> Answer:
        """The answer to one request, whatever happens to it on its way."""
        op = Operation(request, self._watch.request_id(request.fields), self._clock.steady())
        live = self._live
        try:
            prepared = op.prepared = live.preparer.prepare(request)
            op.route = prepared.route.name
            if prepared.route.cache is None or prepared.intent is Intent.pass_:
                answer = await self._pass(op, prepared, live)
            else:
                answer = await self._look_up(Lookup(op, prepared, prepared.route.cache, live))
        except Problem as problem:
            answer = await self._refuse(op, problem)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not keep what was reserved
            self._watch.failed(op, error)
            answer = await self._refuse(op, Problem(Reason.internal_error))
        self._watch.answered(op, answer.status)
        return answer

    def refuse_unread(self, problem: Problem, fields: Fields = _NO_FIELDS) -> Answer:
        """The answer to what could not be read as a request; `fields` are those that could."""
        op = Operation(Request("", "", fields), self._watch.request_id(fields), self._clock.steady())
        self._watch.refused(op, problem)
        answer = self._answering.problem(op, problem, None)
        self._watch.answered(op, answer.status)
        answer.last = True
        return answer

    async def finish(self) -> None:
        """Wait for what goes on without a caller."""
        await self._fetcher.finish()
        await self._revalidation.finish()
        await self._settlement.finish()

    async def _look_up(self, lookup: Lookup) -> Answer:
        """Load, decide, admit, fetch, until there is an answer."""
        while True:
            variants = self._cache.peek(lookup.prepared.key)
            if not variants and self._cache.has_second_tier:
                variants = await self._cache.load(lookup.prepared.key)
            decision = self._decide(lookup, variants)
            match decision:
                case Reuse():
                    return await self._reuse(lookup, decision)
                case ReuseWhileRevalidating():
                    # Before the charge: a request that cannot be sent on is refused free.
                    errand = lookup.errand(decision.stored)
                    reused = await self._reuse(lookup, decision)
                    self._revalidation.start(errand)
                    return reused
                case Validate() | Fetch():
                    # The journal took its time: what is stored may be another thing now.
                    if await self._settlement.reserve(lookup.op):
                        continue
                    outcome = await self._obtain(lookup, decision)
                    if (answer := await self._conclude(lookup, variants, outcome)) is not None:
                        return answer
                case _:
                    assert_never(decision)

    def _decide(self, lookup: Lookup, variants: Sequence[StoredResponse]) -> Decision:
        refresh = lookup.prepared.route.refresh
        return decide(
            variants,
            lookup.seen(variants),
            lookup.cache.policy,
            self._clock.steady(),
            forced=lookup.op.forced,
            cooldown=refresh.cooldown if refresh is not None else 0.0,
        )

    async def _reuse(self, lookup: Lookup, reuse: Reuse | ReuseWhileRevalidating) -> Answer:
        op = lookup.op
        op.ttl = floor(reuse.ttl)
        op.fwd = None if op.fwd_status is None else op.fwd
        op.stale = reuse.ttl <= 0
        op.detail = reuse.detail if isinstance(reuse, Reuse) else None
        if lookup.prepared.route.tokens_in_body and reuse.stored.splice is None:
            self._cut_open(reuse.stored)
        charge = await self._settlement.settle(op, reuse.stored.status)
        return self._answering.stored(op, reuse.stored, reuse.age, charge)

    def _cut_open(self, stored: StoredResponse) -> None:
        """For one that came from the second tier, or was stored before its route added tokens."""
        splice = cut(stored.body)
        if splice is not None:
            stored.head = spliced_head(stored.head)
            self._cache.attach(stored, splice)

    async def _obtain(self, lookup: Lookup, decision: Validate | Fetch) -> Outcome:
        """Join the flight that is under way, or start one."""
        op, key = lookup.op, lookup.prepared.key
        op.fwd = decision.fwd
        lookup.turns += 1
        flight = None if op.alone else self._collapse.find(key, forced=op.forced)
        op.collapsed = flight is not None
        if flight is not None:
            return await flight.follow()
        flight = self._collapse.take_off(key, forced=op.forced, alone=op.alone)
        self._fetcher.start(flight, lookup.errand(decision.stored if isinstance(decision, Validate) else None))
        return await flight.lead()

    async def _conclude(self, lookup: Lookup, variants: Sequence[StoredResponse], outcome: Outcome) -> Answer | None:
        """The answer that the outcome means for this operation; None where it must decide again."""
        match outcome:
            case Fetched():
                return await self._deliver(lookup, outcome)
            case Failed():
                return await self._fall_back(lookup, variants, outcome)
            case Private():
                return await self._keep_apart(lookup, outcome)
            case _:
                assert_never(outcome)

    async def _keep_apart(self, lookup: Lookup, outcome: Private) -> Answer | None:
        """The leader answers with what is its own; a follower goes on by itself."""
        op, answer = lookup.op, outcome.answer
        if answer is None:
            op.alone = True
            return None
        self._note(op, answer.status, outcome.reason)
        if isinstance(answer, Stream):
            return await self._passing.answer(op, lookup.prepared, answer, lookup.policy)
        return await self._answer_with(op, answer, free=outcome.unproven)

    async def _deliver(self, lookup: Lookup, outcome: Fetched) -> Answer | None:
        """Answer with what was fetched, unless it is for others only or a refresh has outdated it meanwhile."""
        op, stored = lookup.op, outcome.stored
        # Whose own fetch it was takes it as it is: Vary may name a field that every exchange has anew.
        if op.collapsed and not matches(stored.selecting, lookup.seen((stored,))):
            self._collapse.mark_private(lookup.prepared.key)
            op.alone = True
            return None
        if outcome.reason is Unkept.outdated and not op.forced and lookup.turns < _MOST_TURNS:
            return None
        op.stored = outcome.kept
        self._note(op, 304 if outcome.validated else stored.status, outcome.reason)
        return await self._answer_with(op, stored)

    async def _fall_back(self, lookup: Lookup, variants: Sequence[StoredResponse], outcome: Failed) -> Answer:
        """RFC 5861 §4: a stale answer where one is allowed, else what the upstream said, else the problem."""
        op = lookup.op
        op.fwd_status = outcome.problem.upstream_status
        now = self._clock.steady()
        spare = usable_on_error(variants, lookup.seen(variants), lookup.cache.policy, now)
        if spare is not None:
            op.stale, op.detail, op.ttl = True, spare.detail, floor(spare.ttl)
            charge = await self._settlement.settle(op, spare.stored.status)
            return self._answering.stored(op, spare.stored, spare.age, charge)
        if outcome.answer is None:
            raise outcome.problem
        return await self._answer_with(op, outcome.answer)

    async def _answer_with(self, op: Operation, answer: StoredResponse, *, free: bool = False) -> Answer:
        charge = await self._settlement.settle(op, answer.status, fresh=op.forced, free=free)
        return self._answering.stored(op, answer, current_age(answer, self._clock.steady()), charge)

    async def _pass(self, op: Operation, prepared: Prepared, live: Live) -> Answer:
        """Straight through, in both directions; buffered only where tokens go into the body."""
        op.fwd = Fwd.bypass if prepared.route.cache is None else Fwd.method
        outgoing = for_pass(prepared, live.snapshot, op.request_id)
        policy = live.snapshot.upstreams[prepared.route.upstream]
        upstream = live.upstreams[prepared.route.upstream]
        return await self._passing.exchange(op, prepared, outgoing, upstream, policy)

    async def _refuse(self, op: Operation, problem: Problem) -> Answer:
        """The gateway's own answer, free: what was reserved is given back."""
        op.route = op.route or problem.route
        op.ttl, op.stale, op.detail = None, False, None
        charge = None
        try:
            charge = await self._settlement.release(op, problem.reason.name)
        except Problem as unwritten:
            problem = unwritten
        self._watch.refused(op, problem)
        return self._answering.problem(op, problem, charge)

    def _note(self, op: Operation, status: int, reason: NotKept | None) -> None:
        op.fwd_status = status
        if reason is not None:
            op.detail = reason.detail
        if reason is not None and not op.collapsed:
            self._watch.not_stored(op, reason.name)
