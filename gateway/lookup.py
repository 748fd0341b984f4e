"""What a request on a cached route goes by: the config it began with, the fields that select, its errand upstream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multidict import CIMultiDict

from gateway.admission.forwarding import forwarded
from gateway.admission.memo import Preparing
from gateway.admission.prepare import Prepared
from gateway.admission.snapshot import CachePolicy, Snapshot, UpstreamPolicy
from gateway.fetch import Errand
from gateway.messages import Fields
from gateway.onward import for_lookup
from gateway.operation import Operation
from gateway.ports import Upstream
from gateway.rfc9111.stored import StoredResponse

# Where tokens go into the body, the upstream is asked for identity whatever the client accepts.
_ENCODING_OURS = (("accept-encoding", "identity"),)
_IDENTITY = CIMultiDict({"Accept-Encoding": "identity"})


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

    def seen(self, variants: Sequence[StoredResponse]) -> Fields:
        """The fields that select among `variants`: what the upstream would see, worked out only where any does."""
        ours = self.prepared.route.tokens_in_body
        for stored in variants:
            if stored.selecting and not (ours and stored.selecting == _ENCODING_OURS):
                return forwarded(self.prepared, self.live.snapshot)
        return _IDENTITY if ours else self.prepared.request.fields

    def errand(self, validating: StoredResponse | None = None) -> Errand:
        """The fetch that it needs. Raises `Problem` for a request that cannot be sent on."""
        prepared, live = self.prepared, self.live
        return Errand(
            prepared=prepared,
            cache=self.cache,
            outgoing=for_lookup(prepared, live.snapshot, self.op.request_id, validating),
            policy=self.policy,
            upstream=live.upstreams[prepared.route.upstream],
            validating=validating,
        )
