"""What an exchange that passes by the cache means for what is stored: it outdates, freshens, or brings a GET's answer.

RFC 9111 §4.4 and §4.3.5, RFC 9110 §9.3.3, RFC 9875.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.admission.prepared import Prepared, group
from gateway.admission.snapshot import UpstreamPolicy
from gateway.admission.target import canonical_path
from gateway.arrival import in_freshened_form
from gateway.cache import Cache
from gateway.errors import Problem
from gateway.messages import Fields, Response, Stream
from gateway.ports import Clock
from gateway.rfc9111.invalidation import invalidated_groups, invalidates, named_targets
from gateway.rfc9111.stored import Policy, StoredResponse, Times
from gateway.rfc9111.storing import Storability, Storable, Unstorable, head_fields, storability
from gateway.rfc9111.validation import head_freshens
from gateway.stores.in_flight import Fetching

# What a HEAD's answer must be to tell of the stored GET: there as it was, there in another form, or gone.
_TELLING = frozenset({200, 404, 410})
# Why its answer may not be stored that says nothing of what is.
_OF_THE_REQUEST = frozenset({Unstorable.authorization, Unstorable.request_no_store})


class Consequences:
    """Tells the cache; nothing it does waits."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    def of_method(self, prepared: Prepared, policy: UpstreamPolicy, stream: Stream) -> None:
        """Outdate what an unsafe request has changed: its target, what its answer names, in whatever share scope."""
        if invalidates(prepared.request.method, stream.status):
            url = policy.url(prepared.target)
            names = [*_names(prepared), *_paths(policy, named_targets(stream.fields, url))]
            names += invalidated_groups(stream.fields)
            self._cache.invalidate(tuple([group(prepared.route.upstream, name) for name in names]))

    def of_silence(self, prepared: Prepared) -> None:
        """Outdate what an unsafe request may have changed that the upstream got and did not answer."""
        if invalidates(prepared.request.method, 200):
            names = _names(prepared)
            self._cache.invalidate(tuple([group(prepared.route.upstream, name) for name in names]))

    def of_head(
        self,
        prepared: Prepared,
        policy: UpstreamPolicy,
        selecting: Fields,
        stored: StoredResponse,
        fetching: Fetching,
        stream: Stream,
    ) -> None:
        """Freshen or outdate the stored GET that a HEAD would have been answered from (§4.3.5)."""
        if stream.status not in _TELLING or self._cache.is_replaced(stored):
            return
        if not head_freshens(stored, stream.status, stream.fields):
            self._cache.outdate_one(stored)
            return
        times = Times(fetching.began, self._clock.steady(), self._clock.wall())
        told = Response(stream.status, stream.reason, stream.fields)
        freshened = in_freshened_form(prepared, policy, selecting, stored, told, times)
        verdict = self._verdict(prepared, freshened)
        if isinstance(verdict, Storable):
            self._cache.store(fetching, freshened)
        elif verdict.reason not in _OF_THE_REQUEST:
            self._cache.forget(stored)

    def _verdict(self, prepared: Prepared, freshened: StoredResponse) -> Storability:
        """Whether what the HEAD's fields made of it may still be stored (§3)."""
        cache, demands = prepared.route.cache, prepared.demands
        return storability(
            "GET",
            freshened.status,
            head_fields(freshened.head),
            Policy() if cache is None else cache.policy,
            authorized="Authorization" in prepared.request.fields,
            public=prepared.route.public,
            now=self._clock.wall(),
            unstored=demands is not None and demands.no_store,
        )


def _names(prepared: Prepared) -> tuple[str, ...]:
    return (prepared.path, *prepared.tags)


def _paths(policy: UpstreamPolicy, urls: list[str]) -> Iterator[str]:
    """The canonical paths of those `urls` that lie below the upstream's base path."""
    base = urlsplit(policy.urls[0]).path.rstrip("/")
    for url in urls:
        path = urlsplit(url).path or "/"
        if path.startswith(f"{base}/"):
            try:
                yield canonical_path(path[len(base) :])
            except Problem:
                continue
