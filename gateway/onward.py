"""The request that goes on to the upstream: the forwarded fields and what a proxy adds (RFC 9110 §7.6.3, §7.6)."""

from collections.abc import Iterable

from multidict import CIMultiDict

from gateway.admission.forwarding import CONDITIONAL, GUARDING, RANGE, forwarded, put
from gateway.admission.jobs import Sending
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Route, Snapshot
from gateway.messages import Fields, Outgoing
from gateway.rfc9111.demands import written
from gateway.rfc9111.stored import StoredResponse
from gateway.rfc9111.validation import conditional_fields


def for_lookup(
    prepared: Prepared,
    selecting: Fields,
    request_id: str,
    *,
    validating: StoredResponse | None = None,
    ranged: bool = False,
    guarded: bool = False,
    demanded: bool = False,
) -> Outgoing:
    """The GET that a lookup or a force refresh is, a HEAD's too; `selecting` are its `forwarding.forwarded` fields.

    Conditional where it validates a stored response. The client's own preconditions are held against what comes, but
    for those of one that is `guarded`, and so is its Range unless it is `ranged`; its demands go on, even where few
    fields do, when they `demanded` this fetch.
    """
    fields = CIMultiDict(selecting)
    left_out = CONDITIONAL - GUARDING if guarded else CONDITIONAL
    _drop(fields, left_out if ranged else left_out | RANGE)
    fields.extend(conditional_fields(validating) if validating is not None else ())
    _direct(prepared, fields, demanded=demanded)
    _sign(prepared, fields, request_id)
    return Outgoing("GET", prepared.target, fields)


def for_head(prepared: Prepared, selecting: Fields, request_id: str, *, demanded: bool) -> Outgoing:
    """A HEAD that nothing stored answers, with the client's own preconditions."""
    fields = CIMultiDict(selecting)
    _direct(prepared, fields, demanded=demanded)
    _sign(prepared, fields, request_id)
    return Outgoing("HEAD", prepared.target, fields)


def for_pass(prepared: Prepared, snapshot: Snapshot, request_id: str) -> Outgoing:
    """The client's own request, with its content."""
    request = prepared.request
    fields = forwarded(prepared, snapshot)
    _sign(prepared, fields, request_id)
    return Outgoing(request.method, prepared.target, fields, request.body)


def for_later(route: Route, snapshot: Snapshot, sending: Sending, request_id: str, *, background: bool) -> Outgoing:
    """What was written down to be sent on later, with the upstream's `headers` as they are by then."""
    fields = CIMultiDict(sending.fields)
    if route.send_credentials:
        put(fields, snapshot.upstreams[route.upstream].headers)
    put(fields, (("X-Request-Id", request_id), ("Via", "1.1 gateway")))
    return Outgoing(sending.method, sending.target, fields, sending.content or None, background=background)


def _direct(prepared: Prepared, fields: CIMultiDict[str], *, demanded: bool) -> None:
    cache, demands = prepared.route.cache, prepared.demands
    if demanded and demands is not None and cache is not None and not cache.policy.pure:
        # In words of our own: what comes is stored for others, and the client's would be no part of the cache key.
        fields["Cache-Control"] = written(demands)
    if prepared.intent is Intent.force_refresh and prepared.route.refresh is not None:
        put(fields, (("Cache-Control", "no-cache"), *prepared.route.refresh.upstream_headers))


def _sign(prepared: Prepared, fields: CIMultiDict[str], request_id: str) -> None:
    fields["X-Request-Id"] = request_id
    fields["Via"] = ", ".join([*fields.getall("Via", ()), f"{prepared.request.version} gateway"])


def _drop(fields: CIMultiDict[str], names: Iterable[str]) -> None:
    for name in names:
        fields.popall(name, None)
