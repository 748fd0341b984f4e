"""What would become of a request on the gateway that runs, without a fetch, a charge, or any other trace of it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import assert_never

from gateway.admission.breaker import State
from gateway.admission.entitlement import refuse_beyond, refuse_expired
from gateway.admission.outcomes import due_for
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Account
from gateway.answers.cache_status import cache_status
from gateway.cache import Cache
from gateway.collapse import Collapse
from gateway.errors import Problem, Reason
from gateway.explaining.background import priced, wanted
from gateway.explaining.explain import begun, caching, described, refused, routed
from gateway.explaining.explanation import Explanation, Onward, Verdict
from gateway.explaining.fields import onward
from gateway.explaining.foresight import Foresight
from gateway.explaining.reasons import DECISIONS, Why, reused
from gateway.explaining.standing import limits
from gateway.explaining.variants import shown
from gateway.idempotency import Idempotency
from gateway.lookup import Live, Lookup
from gateway.messages import Outgoing, Request
from gateway.metering import Metering
from gateway.onward import for_pass
from gateway.operation import Operation
from gateway.parts import Parts
from gateway.ports import Clock
from gateway.rfc9111.reuse import Fetch, Fwd, Refuse, Reuse, ReuseWhileRevalidating, Validate
from gateway.upstreams.circuit import UpstreamState

_OK = 200


@dataclass(slots=True, frozen=True)
class Operating:
    """What answers requests: everything here is read, and left as it is.

    `live` and `preparer` give the config in operation, `state` that of an upstream by its name.
    """

    live: Callable[[], Live]
    preparer: Callable[[], Preparer]
    cache: Cache
    collapse: Collapse
    meter: Metering
    idempotency: Idempotency
    state: Callable[[str], UpstreamState | None]
    clock: Clock


class Explainer:
    """Explains by what is there now; the next moment may be another."""

    def __init__(self, operating: Operating) -> None:
        self._operating = operating
        self._parts = Parts(operating.cache, operating.clock, peek=operating.cache.look)

    async def explain(self, request: Request, account: Account | None = None) -> Explanation:
        """What would become of `request`; with an `account`, as that one's."""
        live, preparer = self._operating.live(), self._operating.preparer()
        told, known = routed(preparer, request), dict[str, object](running=True)
        if told.intent is not None:
            return told.model_copy(update=known)
        try:
            prepared = preparer.prepare(request, account)
            if prepared.account is not None:
                refuse_expired(prepared.account, self._operating.clock.wall())
            known |= described(request, prepared)
            if prepared.intent is not Intent.own:
                await _Telling(self._operating, self._parts, live, prepared, request, known).tell()
        except Problem as problem:
            return refused(told.model_copy(update=known), problem)
        return told.model_copy(update=known)


@dataclass(slots=True)
class _Telling:
    """One explanation in the making: what is `known` before a `Problem` says how the request ends is told as well."""

    operating: Operating
    parts: Parts
    live: Live
    prepared: Prepared
    request: Request
    known: dict[str, object]

    async def tell(self) -> None:
        prepared, clock = self.prepared, self.operating.clock
        await self._stand()
        request_id = self.request.fields.get("X-Request-Id", "")
        op = Operation(prepared.request, request_id, clock.steady(), prepared)
        cache = prepared.route.cache
        if prepared.intent in (Intent.background_refresh, Intent.status):
            await self._begin(op)
        elif cache is None or prepared.intent is Intent.pass_:
            await self._pass(op)
        elif not await self._replay(op):
            variants = await self.operating.cache.find(prepared.key)
            op.started = clock.steady()
            lookup = Lookup(op, prepared, cache, self.live)
            await self._look_up(Foresight(lookup, variants, op.started))

    async def _stand(self) -> None:
        account, meter = self.prepared.account, self.operating.meter
        if account is not None:
            self.known["limits"] = limits(account, await meter.balance(account))

    async def _begin(self, op: Operation) -> None:
        """Not told is what the upstream would be asked for: whether there is such a subject."""
        asked = wanted(self.prepared, self.operating.clock.wall())
        if asked is not None and await self._replay(op, repr(asked)):
            return
        op.prepared = self.prepared = priced(self.prepared, asked)
        self.known |= begun(self.request, self.prepared, self.live.snapshot, asked)
        if isinstance(sent := self.known.get("onward"), Onward):
            self.known["onward"] = self._with_state(sent)
        tells = self.prepared.intent is Intent.status
        due = None if op.quote is None else op.quote.total
        counted = tells or (asked is not None and asked.subject is not None)
        word, why = ("tell", Why.told) if tells else ("accept", Why.accepted)
        self.known["verdict"] = _verdict(op, word, (why,), due if counted else None)
        await self._admit(due or 0, forced=False)

    async def _replay(self, op: Operation, content: str = "") -> bool:
        """Whether its Idempotency-Key was answered before; what is refused here counts against the throttle too."""
        idempotency = self.operating.idempotency
        try:
            claim = idempotency.claim(self.prepared, content)
            if claim is None:
                return False
            claim.end()
            found = await idempotency.earlier(claim)
        except Problem:
            await self._admit(0, forced=False)
            raise
        if found is not None:
            self.known["verdict"] = _verdict(op, "replay", (Why.replayed,), 0)
            await self._admit(0, forced=False)
        return found is not None

    async def _pass(self, op: Operation) -> None:
        prepared = self.prepared
        uncached = prepared.route.cache is None
        op.fwd = Fwd.bypass if uncached else Fwd.method
        self.known["onward"] = self._onward(for_pass(prepared, self.live.snapshot, op.request_id))
        why = Why.uncached if uncached else Why.method
        self.known["verdict"] = _verdict(op, "pass", (why,), _due(op, _OK, fetched=True))
        await self._admit_fetch(op)
        shut = self._shut()
        if shut is not None:
            raise shut

    async def _look_up(self, foresight: Foresight) -> None:
        lookup, snapshot = foresight.lookup, self.live.snapshot
        self.known["caching"] = caching(lookup, snapshot, lookup.decide((), foresight.now))
        self.known["stored"] = shown(lookup, foresight.variants, snapshot, foresight.now)
        decision, grounds = foresight.decided(self.parts)
        match decision:
            case Reuse() | ReuseWhileRevalidating():
                await self._reuse(foresight, decision, grounds)
            case Refuse():
                self.known["verdict"] = _verdict(lookup.op, DECISIONS[Refuse], grounds, None)
                raise Problem(Reason.not_stored if lookup.op.tested else Reason.only_if_cached)
            case Validate() | Fetch():
                await self._fetch(foresight, decision, grounds)
            case _:
                assert_never(decision)

    async def _reuse(
        self, foresight: Foresight, reuse: Reuse | ReuseWhileRevalidating, grounds: tuple[Why, ...]
    ) -> None:
        op = foresight.lookup.op
        if isinstance(reuse, ReuseWhileRevalidating) and not op.tested:
            # Before the charge, as a request that cannot be sent on is refused free.
            self.known["onward"] = self._onward(foresight.outgoing(reuse))
        else:
            with suppress(Problem):
                self.known["onward"] = self._onward(foresight.outgoing(reuse))
        foresight.reuse(reuse)
        due = _due(op, reuse.stored.status, fetched=False)
        self.known["verdict"] = _verdict(op, DECISIONS[type(reuse)], grounds, due)
        if due is not None:
            await self._admit(due, forced=op.quote is not None and op.quote.forced)

    async def _fetch(self, foresight: Foresight, decision: Validate | Fetch, grounds: tuple[Why, ...]) -> None:
        op, collapse = foresight.lookup.op, self.operating.collapse
        op.fwd, op.demanded = decision.fwd, decision.demanded
        op.collapsed = foresight.joins(collapse)
        due = _due(op, _OK, fetched=True)
        verdict = _verdict(op, DECISIONS[type(decision)], grounds, due)
        self.known["verdict"] = replace(verdict, spare=foresight.spare_if_refused())
        await self._admit_fetch(op)
        self.known["onward"] = self._onward(foresight.outgoing(decision))
        shut = None if op.collapsed else self._shut()
        if shut is not None:
            self._fall_back(foresight, shut, grounds)

    def _fall_back(self, foresight: Foresight, shut: Problem, grounds: tuple[Why, ...]) -> None:
        """The upstream is left alone: a stale response answers where one may."""
        op, spare = foresight.lookup.op, foresight.spare(shut)
        if spare is None:
            raise shut
        foresight.reuse(spare)
        due = _due(op, spare.stored.status, fetched=False)
        self.known["verdict"] = _verdict(op, DECISIONS[Reuse], (reused(spare.detail), *grounds), due)

    async def _admit_fetch(self, op: Operation) -> None:
        account, quote = self.prepared.account, op.quote
        if account is None or quote is None:
            return
        if op.demanded:
            refuse_beyond(account, quote, self.prepared.max_tokens)
        await self._admit(quote.total, forced=quote.forced)

    async def _admit(self, tokens: int, *, forced: bool) -> None:
        """Raises the Problem of the limit that is reached; takes nothing."""
        account = self.prepared.account
        refusal = None if account is None else await self.operating.meter.refusal(account, tokens, forced=forced)
        if refusal is not None:
            raise refusal

    def _onward(self, outgoing: Outgoing) -> Onward:
        return self._with_state(onward(self.request, self.prepared, self.live.snapshot, outgoing))

    def _with_state(self, told: Onward) -> Onward:
        state = self.operating.state(told.upstream)
        return told if state is None else replace(told, state=state.state.value)

    def _shut(self) -> Problem | None:
        """What the upstream's breaker refuses with now; None where the request would be sent, if only as a probe."""
        found = self.operating.state(self.prepared.route.upstream)
        if found is None or not (found.state is State.half_open or (found.state is State.open and found.wait > 0)):
            return None
        return Problem(Reason.upstream_circuit_open, retry_after=found.wait)


def _verdict(op: Operation, decision: str, grounds: tuple[Why, ...], tokens: int | None) -> Verdict:
    return Verdict(
        decision=decision,
        grounds=tuple([why.ground for why in grounds]),
        cache_status=cache_status(op.cache_status()),
        tokens=tokens,
        collapsed=op.collapsed,
    )


def _due(op: Operation, status: int, *, fetched: bool) -> int | None:
    """What it costs to end with `status`, None where nothing is metered; `fetched`: the upstream has delivered that."""
    quote = op.quote
    if quote is None:
        return None
    return due_for(op.ended(status, fresh=fetched and (op.forced or op.demanded)), quote)
