"""A request's way, step by step: prepare, load, decide, admit, fetch, settle, answer.

Nothing waits between a decision and its admission, and no answer is returned before its charge is in the journal.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import floor
from typing import assert_never

from multidict import CIMultiDict

from gateway.admission.entitlement import refuse_expired
from gateway.admission.forwarding import dropped, forwarded
from gateway.admission.options import own_fields
from gateway.admission.outcomes import Outcome as Ending
from gateway.admission.prefer import responds_async
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.answering import Answering
from gateway.arrival import cut_open
from gateway.background.department import Background
from gateway.cache import Cache
from gateway.collapse import Failed, Flight, Outcome
from gateway.concluding import Concluding
from gateway.errors import Overtaken, Problem, Reason
from gateway.fetch import Fetcher
from gateway.holding import Holding
from gateway.lookup import Live, Lookup
from gateway.messages import Answer, Fields, Request
from gateway.once import Once
from gateway.onward import for_head, for_pass
from gateway.operation import Operation
from gateway.parts import Parts
from gateway.passing import Passage, Passing
from gateway.ports import Clock
from gateway.revalidation import Revalidation
from gateway.rfc9111.reuse import Fetch, Fwd, Refuse, Reuse, ReuseWhileRevalidating, Validate
from gateway.rfc9111.selecting import select
from gateway.rfc9111.stored import StoredResponse
from gateway.settlement import Settlement
from gateway.singles import Singles
from gateway.watch import Watch

_NO_FIELDS = CIMultiDict[str]()


class Pipeline:
    """The steps; every door for clients hands its requests to `handle`, which go by what is `live` when they begin."""

    def __init__(
        self,
        live: Live,
        cache: Cache,
        fetcher: Fetcher,
        settlement: Settlement,
        once: Once,
        background: Background,
        singles: Singles,
        answering: Answering,
        watch: Watch,
        clock: Clock,
    ) -> None:
        self.live = live
        self._cache = cache
        self._collapse = fetcher.collapse
        self._fetcher = fetcher
        self._parts = Parts(cache, clock)
        self._heads = set[str]()
        self._settlement = settlement
        self._once = once
        self._background = background
        self._answering = answering
        self._watch = watch
        self._clock = clock
        self._passing = Passing(cache, settlement, answering, fetcher.buffers, fetcher.costs, clock)
        self._concluding = Concluding(cache, fetcher.collapse, settlement, answering, self._passing, watch, clock)
        self._revalidation = Revalidation(cache, fetcher, settlement, watch, clock)
        self._holding = Holding(singles, settlement, answering, watch, self._look_up, self._settled)

    async def handle(self, request: Request) -> Answer:
        """The answer to one request, whatever happens to it on its way."""
        op = self._begun(request)
        return await self._handled(op, partial(self._answer, op, self.live))

    async def go_on(self, prepared: Prepared, live: Live) -> Answer:
        """The same for a request that is prepared already, by what was `live` then."""
        op = self._begun(prepared.request)
        return await self._handled(op, partial(self._answer_as, op, prepared, live))

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

    def _begun(self, request: Request) -> Operation:
        return Operation(request, self._watch.request_id(request.fields), self._clock.steady())

    async def _handled(self, op: Operation, answering: Callable[[], Awaitable[Answer]]) -> Answer:
        answer = await self._settled(op, answering)
        self._watch.answered(op, answer.status)
        return answer

    async def _settled(self, op: Operation, answering: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer, or a refusal: nothing stays reserved."""
        try:
            return await answering()
        except Problem as problem:
            return await self._refuse(op, problem)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not keep what was reserved
            self._watch.failed(op, error)
            return await self._refuse(op, Problem(Reason.internal_error))

    # What only chooses the way is no coroutine: every hit would wait through it.
    def _answer(self, op: Operation, live: Live) -> Awaitable[Answer]:
        """By what is asked for."""
        return self._answer_as(op, live.preparer.prepare(op.request), live)

    def _answer_as(self, op: Operation, prepared: Prepared, live: Live) -> Awaitable[Answer]:
        op.prepared, op.route = prepared, prepared.route.name
        if prepared.account is not None:
            refuse_expired(prepared.account, self._clock.wall())
        match prepared.intent:
            case Intent.lookup | Intent.force_refresh:
                return self._cached(op, prepared, live)
            case Intent.pass_:
                return self._pass(op, prepared, live)
            case Intent.background_refresh:
                return self._background.accepting.accept(op, prepared, live)
            case Intent.status:
                return self._background.telling.tell(op, prepared)
            case Intent.own:
                return self._own(op, prepared)
            case _:
                assert_never(prepared.intent)

    def _cached(self, op: Operation, prepared: Prepared, live: Live) -> Awaitable[Answer]:
        if prepared.route.cache is None:
            return self._pass(op, prepared, live)
        lookup = Lookup(op, prepared, prepared.route.cache, live)
        if not op.forced:
            return self._look_up(lookup)
        way = self._holding.answer if responds_async(op.request.fields) else self._look_up
        return self._once.answer(op, partial(way, lookup))

    async def _own(self, op: Operation, prepared: Prepared) -> Answer:
        return self._answering.own(op, own_fields(prepared.request, prepared.route))

    async def _look_up(self, lookup: Lookup) -> Answer:
        """Load, decide, admit, fetch, until there is an answer."""
        op = lookup.op
        while True:
            try:
                answer = await self._decided(lookup)
            except Overtaken:
                op.ttl, op.stale, op.detail = None, False, None
                continue
            if answer is not None:
                return answer

    async def _decided(self, lookup: Lookup) -> Answer | None:
        """What comes of one decision; None where it must decide again. Raises Overtaken where another node says so."""
        variants = self._cache.peek(lookup.prepared.key)
        if not variants and self._cache.has_second_tier:
            variants = await self._cache.load(lookup.prepared.key)
        decision = lookup.decide(variants, self._clock.steady())
        if isinstance(decision, Fetch | Refuse) and lookup.goes_on_with_range:
            decision = lookup.from_part(self._parts, decision)
        match decision:
            case Reuse():
                return await self._reuse(lookup, decision)
            case ReuseWhileRevalidating():
                return await self._reuse_meanwhile(lookup, decision)
            case Refuse():
                raise Problem(Reason.not_stored if lookup.op.tested else Reason.only_if_cached)
            case Validate() | Fetch():
                return await self._go_on(lookup, variants, decision)
            case _:
                assert_never(decision)

    async def _reuse(self, lookup: Lookup, reuse: Reuse | ReuseWhileRevalidating) -> Answer:
        op, ahead = lookup.op, lookup.cache.ahead
        op.ttl = floor(reuse.ttl)
        op.fwd = None if op.fwd_status is None else op.fwd
        # What it waited for may have been no fetch, or none for it.
        op.collapsed = op.collapsed and op.fwd is not None
        op.stale = reuse.ttl <= 0
        op.detail = reuse.detail if isinstance(reuse, Reuse) else None
        if lookup.prepared.route.tokens_in_body:
            cut_open(self._cache, reuse.stored, gzip=lookup.takes_gzip)
        charge = await self._settlement.settle(op, op.ended(reuse.stored.status), reuse.stored)
        if op.quote is None:
            await self._settlement.verify()
        if ahead is not None and isinstance(reuse, Reuse) and not op.tested:
            self._revalidation.anticipate(lookup, ahead, reuse)
        return self._answering.stored(op, reuse.stored, reuse.age, charge)

    async def _reuse_meanwhile(self, lookup: Lookup, reuse: ReuseWhileRevalidating) -> Answer:
        if lookup.op.tested:
            return await self._reuse(lookup, reuse)
        # Before the charge: a request that cannot be sent on is refused free.
        errand = lookup.errand_of_our_own(reuse.stored)
        reused = await self._reuse(lookup, reuse)
        self._revalidation.start(errand)
        return reused

    async def _go_on(
        self, lookup: Lookup, variants: Sequence[StoredResponse], decision: Validate | Fetch
    ) -> Answer | None:
        """Reserve, fetch or follow; None where it must decide again."""
        op = lookup.op
        if decision.demanded and lookup.reserved_plainly:
            # While it waited something was stored that its directives rule out: that has its own price, and a cap.
            await self._settlement.release(op, Ending.repriced.name)
            return None
        op.demanded = decision.demanded or (op.demanded and op.reservation is not None)
        # The ledger takes its time: what is stored may be another thing then.
        if await self._settlement.reserve(op) and self._is_other(lookup, variants):
            return None
        if op.quote is None:
            await self._settlement.verify()
        if lookup.goes_on_as_head and self._joinable(lookup) is None and lookup.prepared.key not in self._heads:
            return await self._head(lookup, variants, decision)
        return await self._concluding.conclude(lookup, await self._obtain(lookup, decision))

    def _is_other(self, lookup: Lookup, variants: Sequence[StoredResponse]) -> bool:
        """Whether what a decision on `variants` was made from may be another thing by now; of parts nothing tells."""
        return lookup.goes_on_with_range or self._cache.peek(lookup.prepared.key) is not variants

    async def _obtain(self, lookup: Lookup, decision: Validate | Fetch) -> Outcome:
        """Join the flight that is under way, or start one."""
        op = lookup.op
        op.fwd = decision.fwd
        lookup.turns += 1
        flight = self._joinable(lookup)
        op.collapsed = flight is not None
        if flight is not None:
            return await self._follow(op, flight)
        validating = decision.stored if isinstance(decision, Validate) else None
        ranged, guarded = validating is None and lookup.goes_on_with_range, lookup.goes_on_guarded
        self._watch.not_forwarded(op.route, dropped(lookup.prepared, lookup.live.snapshot))
        key = lookup.part_key if ranged or guarded else lookup.prepared.key
        flight = self._collapse.take_off(key, op.rank, alone=op.alone)
        op.called = True
        self._fetcher.start(flight, lookup.errand(validating, ranged=ranged, guarded=guarded))
        outcome = await flight.lead()
        op.exchange = flight.exchange
        if flight.elsewhere:
            # Another node made the fetch, for this caller as for those who found its flight here.
            op.collapsed, op.called = True, False
            op.waited += flight.waited
        return outcome

    async def _follow(self, op: Operation, flight: Flight) -> Outcome:
        since = self._clock.steady()
        outcome = await flight.follow()
        op.waited += self._clock.steady() - since
        op.exchange = flight.exchange
        return outcome

    def _joinable(self, lookup: Lookup) -> Flight | None:
        op = lookup.op
        if op.alone:
            return None
        guarded = lookup.goes_on_guarded
        flight = None if guarded else self._collapse.find(lookup.prepared.key, op.rank)
        if flight is None and (guarded or lookup.goes_on_with_range):
            flight = self._collapse.find(lookup.part_key, op.rank)
        return flight

    async def _head(self, lookup: Lookup, variants: Sequence[StoredResponse], decision: Validate | Fetch) -> Answer:
        """A HEAD sent on as one; what it tells of the stored GET is taken to heart (RFC 9111 §4.3.5)."""
        op, prepared = lookup.op, lookup.prepared
        op.fwd, op.called = decision.fwd, True
        selecting = forwarded(prepared, lookup.live.snapshot)
        beside = select(variants, selecting)
        outgoing = for_head(prepared, selecting, op.request_id, demanded=op.demanded)
        error = Failed(Problem(Reason.upstream_error))
        bridged = lookup.spare(variants, self._clock.steady(), error) is not None
        # A second one meanwhile makes it worth a GET, which all the others can wait for.
        self._heads.add(prepared.key)
        try:
            return await self._passing.exchange(
                Passage(op, prepared, outgoing, selecting, lookup.policy, lookup.upstream, beside, bridged)
            )
        except Problem as problem:
            if problem.reason is Reason.ledger_unavailable:
                raise
            return await self._concluding.fall_back(lookup, Failed(problem))
        finally:
            self._heads.discard(prepared.key)

    async def _pass(self, op: Operation, prepared: Prepared, live: Live) -> Answer:
        """Straight through, in both directions; buffered only where tokens go into the body."""
        op.fwd = Fwd.bypass if prepared.route.cache is None else Fwd.method
        outgoing = for_pass(prepared, live.snapshot, op.request_id)
        name = prepared.route.upstream
        upstream, policy = live.upstreams[name], live.snapshot.upstreams[name]
        return await self._passing.exchange(Passage(op, prepared, outgoing, outgoing.fields, policy, upstream))

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
