"""The fields of a request that go on to the upstream (RFC 9110 §7.6.1, RFC 9111 §3.5)."""

from collections.abc import Iterable

from multidict import CIMultiDict

from gateway.admission.keys import credential_fields, withheld_fields
from gateway.admission.prepare import Intent, Prepared
from gateway.admission.snapshot import Snapshot
from gateway.errors import Problem, Reason
from gateway.messages import HOP_BY_HOP, UNSENDABLE

_NEVER = HOP_BY_HOP | {"host", "expect"}
_DEFAULT = frozenset({"accept", "accept-language", "accept-encoding", "traceparent", "tracestate"})
CONDITIONAL = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
RANGE = frozenset({"range", "if-range"})
_CONTENT = frozenset({"content-type", "content-encoding", "content-language", "content-location"})


def forwarded(prepared: Prepared, snapshot: Snapshot) -> CIMultiDict[str]:
    """End-to-end fields, with credentials as the route and its upstream say.

    Where the route caches by its own ttl, only the default list and what is in the cache key goes on, and nothing
    conditional or partial. A force refresh is unconditional everywhere. Raises `Problem` with `malformed_request` for
    a value that is not UTF-8, which the upstream's client could only drop.
    """
    route, refresh = prepared.route, prepared.route.refresh
    fields = _chosen(prepared, snapshot)
    if route.tokens_in_body:
        fields["Accept-Encoding"] = "identity"
    if route.send_credentials:
        _put(fields, snapshot.upstreams[route.upstream].headers)
    if prepared.intent is Intent.force_refresh and refresh is not None:
        _put(fields, (("Cache-Control", "no-cache"), *refresh.upstream_headers))
    return fields


def _chosen(prepared: Prepared, snapshot: Snapshot) -> CIMultiDict[str]:
    left_out = _left_out(prepared, snapshot)
    only = _only(prepared, snapshot)
    fields = CIMultiDict[str]()
    for name, value in prepared.request.fields.items():
        lower = name.lower()
        if lower in left_out or (only is not None and lower not in only):
            continue
        if UNSENDABLE.search(value):
            raise Problem(Reason.malformed_request, f"The value of the field {name} is not UTF-8.")
        fields.add(name, value)
    return fields


def _left_out(prepared: Prepared, snapshot: Snapshot) -> frozenset[str]:
    route, request = prepared.route, prepared.request
    left_out = _NEVER | withheld_fields(route, snapshot)
    if prepared.intent is not Intent.pass_ or "Transfer-Encoding" in request.fields:
        left_out |= {"content-length"}
    if prepared.intent is Intent.force_refresh or _caches_by_ttl(prepared):
        left_out |= CONDITIONAL | RANGE
    if prepared.intent is Intent.force_refresh and request.method == "POST":
        # The content of a refresh is ignored, so nothing may describe it.
        left_out |= _CONTENT
    return left_out | RANGE if route.tokens_in_body else left_out


def _only(prepared: Prepared, snapshot: Snapshot) -> frozenset[str] | None:
    """The names that may go on at most, None for all."""
    route = prepared.route
    if route.cache is None or not _caches_by_ttl(prepared):
        return None
    credentials = {"authorization"} if route.public else credential_fields(snapshot)
    return _DEFAULT.union(credentials, [name.lower() for name in (*route.forward, *route.cache.vary_on)])


def _caches_by_ttl(prepared: Prepared) -> bool:
    """Whether a stored response may serve requests whose other fields differ, whatever the origin says."""
    if prepared.intent is Intent.pass_ or prepared.route.cache is None:
        return False
    policy = prepared.route.cache.policy
    return policy.ttl is not None or bool(policy.ttl_by_status) or policy.override_origin


def _put(fields: CIMultiDict[str], added: Iterable[tuple[str, str]]) -> None:
    """Add fields in the place of any of the same names."""
    added = tuple(added)
    for name, _ in added:
        fields.popall(name, None)
    fields.extend(added)
