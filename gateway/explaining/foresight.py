"""What a lookup comes to with what is stored now: the pipeline's decisions, without its steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import assert_never

from gateway.admission.forwarding import forwarded
from gateway.collapse import Collapse, Failed
from gateway.errors import Problem, Reason
from gateway.explaining.reasons import Why, gone_on, reused
from gateway.lookup import Lookup
from gateway.messages import Outgoing
from gateway.onward import for_head
from gateway.parts import Parts
from gateway.rfc9111.reuse import Decision, Fetch, Refuse, Reuse, ReuseWhileRevalidating, Validate, measured
from gateway.rfc9111.selecting import select
from gateway.rfc9111.stored import StoredResponse


@dataclass(slots=True, frozen=True)
class Foresight:
    """A lookup, the variants stored under its key, and the moment in steady seconds."""

    lookup: Lookup
    variants: Sequence[StoredResponse]
    now: float

    def decided(self, parts: Parts) -> tuple[Decision, tuple[Why, ...]]:
        """What it gets, and why: of a refusal also why nothing stored will do."""
        lookup = self.lookup
        plain = lookup.decide(self.variants, self.now)
        decision = plain
        if isinstance(plain, Fetch | Refuse) and lookup.goes_on_with_range:
            decision = lookup.from_part(parts, plain)
        match decision:
            case Reuse(detail=detail):
                return decision, (reused(detail) if decision is plain else Why.part,)
            case ReuseWhileRevalidating():
                return decision, (Why.revalidating,)
            case Validate() | Fetch():
                return decision, (self._gone_on(decision),)
            case Refuse():
                why = Why.test_key if lookup.op.tested else Why.only_if_cached
                return decision, (why, *self._undemanding().decided(parts)[1])
            case _:
                assert_never(decision)

    def joins(self, collapse: Collapse) -> bool:
        """Whether a fetch that would do for it is under way."""
        lookup = self.lookup
        keys = [] if lookup.goes_on_guarded else [lookup.prepared.key]
        if lookup.goes_on_guarded or lookup.goes_on_with_range:
            keys.append(lookup.part_key)
        return any(collapse.find(key, lookup.op.rank) is not None for key in keys)

    def outgoing(self, decision: Decision) -> Outgoing:
        """What the upstream gets, or would get where it is not asked. Raises `Problem` for what cannot be sent on."""
        lookup = self.lookup
        if isinstance(decision, ReuseWhileRevalidating):
            return lookup.errand_of_our_own(decision.stored).outgoing
        if lookup.goes_on_as_head:
            selecting = forwarded(lookup.prepared, lookup.live.snapshot)
            return for_head(lookup.prepared, selecting, lookup.op.request_id, demanded=lookup.op.demanded)
        validating = decision.stored if isinstance(decision, Validate) else None
        ranged = validating is None and lookup.goes_on_with_range
        return lookup.errand(validating, ranged=ranged, guarded=lookup.goes_on_guarded).outgoing

    def spare(self, failure: Problem) -> Reuse | None:
        """The stored response that answers if the upstream fails so. Raises `Problem` where it must not."""
        return self.lookup.spare(self.variants, self.now, Failed(failure))

    def spare_if_refused(self) -> str | None:
        """What lets a stored response answer if the upstream cannot be reached, None where none does."""
        try:
            found = self.spare(Problem(Reason.upstream_refused))
        except Problem:
            return None
        return None if found is None or found.detail is None else found.detail.value

    def reuse(self, reuse: Reuse | ReuseWhileRevalidating) -> None:
        """Note on the operation what its answer says of this."""
        op = self.lookup.op
        op.ttl, op.stale = floor(reuse.ttl), reuse.ttl <= 0
        op.detail = reuse.detail if isinstance(reuse, Reuse) else None

    def _gone_on(self, decision: Validate | Fetch) -> Why:
        lookup = self.lookup
        selected = select(self.variants, lookup.seen(self.variants))
        policy = lookup.cache.policy
        ttl = 0.0 if selected is None else measured(selected, policy, self.now)[1]
        return gone_on(decision, selected, policy, ttl, lookup.prepared.demands)

    def _undemanding(self) -> "Foresight":
        """The same, were it no matter whether the upstream is asked."""
        lookup = self.lookup
        demands = lookup.prepared.demands
        free = None if demands is None else replace(demands, only_if_cached=False)
        prepared = replace(lookup.prepared, demands=free)
        return replace(self, lookup=replace(lookup, prepared=prepared))
