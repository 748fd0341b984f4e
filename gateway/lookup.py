"""What a request on a cached route goes by: the config it began with, the fields that select, its errand upstream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from multidict import CIMultiDict

from gateway.admission.forwarding import forwarded
from gateway.admission.memo import Preparing
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import CachePolicy, Snapshot, UpstreamPolicy
from gateway.answers.splice import accepts_gzip
from gateway.collapse import Failed
from gateway.errand import Errand
from gateway.errors import Problem, Reason
from gateway.messages import Fields
from gateway.onward import for_lookup
from gateway.operation import Operation
from gateway.parts import Parts
from gateway.ports import Upstream
from gateway.rfc9111.conditions import is_guarded
from gateway.rfc9111.reuse import ERRORS, Decision, Fetch, Refuse, Reuse, decide, forbids_stale, usable_on_error
from gateway.rfc9111.stored import StoredResponse

# Where tokens go into the body, the upstream is asked for identity whatever the client accepts.
_ENCODING_OURS = (("accept-encoding", "identity"),)
_IDENTITY = CIMultiDict({"Accept-Encoding": "identity"})

# What of a request makes the upstream's answer one for it alone, and those that say the same.
_APART = ("Range", "If-Range", "If-Match", "If-Unmodified-Since")

# No answer came: the upstream is not there, or was cut off (RFC 9111 §4.2.4).
_DISCONNECTED = frozenset(
    {
        Reason.upstream_circuit_open,
        Reason.upstream_connect_timeout,
        Reason.upstream_dns,
        Reason.upstream_read_timeout,
        Reason.upstream_refused,
        Reason.upstream_truncated,
    }
)


@dataclass(slots=True, frozen=True)
class Live:
    """One config in operation, kept by a request from its beginning to its end."""

    snapshot: Snapshot
    preparer: Preparing
    upstreams: Mapping[str, Upstream]


@dataclass(slots=True)
class Lookup:
    """An operation on a cached route; `turns` counts how often it decided."""

    op: Operation
    prepared: Prepared
    cache: CachePolicy
    live: Live
    turns: int = 0

    @property
    def policy(self) -> UpstreamPolicy:
        """The upstream's."""
        return self.live.snapshot.upstreams[self.prepared.route.upstream]

    @property
    def upstream(self) -> Upstream:
        """Where it fetches."""
        return self.live.upstreams[self.prepared.route.upstream]

    @property
    def takes_gzip(self) -> bool:
        """Whether tokens go to it in the gzip coding, where they go into the content."""
        return accepts_gzip(self.op.request.fields.get("Accept-Encoding"))

    @property
    def goes_on_as_head(self) -> bool:
        """Whether it is a HEAD that is fetched as one: where no ttl of the route's makes the whole worth having."""
        prepared = self.prepared
        if prepared.request.method != "HEAD" or prepared.route.tokens_in_body:
            return False
        return self.cache.policy.pure and not self.op.forced

    @property
    def goes_on_with_range(self) -> bool:
        """Whether its Range is sent on, so that no more is fetched than is asked for."""
        return self.prepared.ranged and self.cache.policy.pure and not self.op.forced

    @property
    def goes_on_guarded(self) -> bool:
        """Whether it is sent on with its If-Match or If-Unmodified-Since, which are the origin's to evaluate."""
        if self.prepared.route.tokens_in_body or not self.cache.policy.pure:
            return False
        return not self.op.forced and is_guarded(self.prepared.request.fields)

    @property
    def part_key(self) -> str:
        """What fetches of the same part, or under the same preconditions, collapse on."""
        fields = self.prepared.request.fields
        asked = [f"{name}:{value}" for name in _APART for value in fields.getall(name, ())]
        return "\n".join([self.prepared.key, *asked])

    @property
    def reserved_plainly(self) -> bool:
        """Whether what it has reserved does not cover the price of work that its directives force."""
        op = self.op
        return op.reservation is not None and not op.demanded and self.prepared.demanded_quote is not None

    def seen(self, variants: Sequence[StoredResponse]) -> Fields:
        """The fields that select among `variants`: what the upstream would see, worked out only where any does."""
        ours = self.prepared.route.tokens_in_body
        for stored in variants:
            if stored.selecting and not (ours and stored.selecting == _ENCODING_OURS):
                return forwarded(self.prepared, self.live.snapshot)
        return _IDENTITY if ours else self.prepared.request.fields

    def decide(self, variants: Sequence[StoredResponse], now: float) -> Decision:
        """What it gets of `variants` at `now` (steady seconds)."""
        refresh = self.prepared.route.refresh
        return decide(
            variants,
            self.seen(variants),
            self.cache.policy,
            now,
            forced=self.op.forced,
            cooldown=refresh.cooldown if refresh is not None else 0.0,
            demands=self.prepared.demands,
            since=self.op.started,
        )

    def from_part(self, parts: Parts, decision: Fetch | Refuse) -> Reuse | Fetch | Refuse:
        """What it gets of a stored part, where there is one that its demands allow; else what was decided."""
        prepared = self.prepared
        selecting = forwarded(prepared, self.live.snapshot)
        found = parts.find(prepared.key, prepared.request.fields, selecting, self.cache.policy, prepared.demands)
        if isinstance(found, Fetch) and isinstance(decision, Fetch):
            return replace(decision, fwd=found.fwd, demanded=found.demanded or decision.demanded)
        return found if isinstance(found, Reuse) else decision

    def spare(self, variants: Sequence[StoredResponse], now: float, failed: Failed) -> Reuse | None:
        """The stale response to answer with instead, None where there is none (RFC 5861 §4).

        Raises Problem(validation_failed) where there is one that must not be used without the upstream (§5.2.2.2).
        """
        if (failed.answer or failed.problem.reason).status not in ERRORS:
            return None
        seen, policy, demands = self.seen(variants), self.cache.policy, self.prepared.demands
        disconnected = failed.problem.upstream_status is None and failed.problem.reason in _DISCONNECTED
        spare = usable_on_error(variants, seen, policy, now, disconnected=disconnected, demands=demands)
        if spare is None and disconnected and forbids_stale(variants, seen, policy):
            raise Problem(Reason.validation_failed, retry_after=failed.problem.retry_after) from failed.problem
        return spare

    def errand(
        self, validating: StoredResponse | None = None, *, ranged: bool = False, guarded: bool = False
    ) -> Errand:
        """The fetch that it needs. Raises `Problem` for a request that cannot be sent on."""
        prepared, op = self.prepared, self.op
        selecting = forwarded(prepared, self.live.snapshot)
        return Errand(
            prepared=prepared,
            cache=self.cache,
            outgoing=for_lookup(
                prepared,
                selecting,
                op.request_id,
                validating=validating,
                ranged=ranged,
                guarded=guarded,
                demanded=op.demanded,
            ),
            selecting=selecting,
            policy=self.policy,
            upstream=self.upstream,
            validating=validating,
            ranged=ranged,
            unstored=prepared.demands is not None and prepared.demands.no_store,
        )

    def errand_of_our_own(self, validating: StoredResponse) -> Errand:
        """The fetch that replaces `validating` for everybody: no-store is said of the request's own answer alone."""
        return replace(self.errand(validating), unstored=False, ours=True)
