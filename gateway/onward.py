"""The request that goes on to the upstream: the forwarded fields and what a proxy adds (RFC 9110 §7.6.3, §7.6)."""

from multidict import CIMultiDict

from gateway.admission.forwarding import CONDITIONAL, RANGE, forwarded
from gateway.admission.peers import is_trusted
from gateway.admission.prepare import Prepared
from gateway.admission.snapshot import Snapshot
from gateway.messages import Outgoing, Request
from gateway.rfc9111.stored import StoredResponse
from gateway.rfc9111.validation import conditional_fields


def for_lookup(
    prepared: Prepared, snapshot: Snapshot, request_id: str, validating: StoredResponse | None = None
) -> Outgoing:
    """The GET that a lookup or a force refresh is, a HEAD's too; conditional where it validates a stored response."""
    fields = forwarded(prepared, snapshot)
    if validating is not None:
        _replace(fields, conditional_fields(validating))
    fields["X-Request-Id"] = request_id
    fields["Via"] = "1.1 gateway"
    return Outgoing("GET", prepared.target, fields)


def _replace(fields: CIMultiDict[str], preconditions: list[tuple[str, str]]) -> None:
    """The gateway's preconditions instead of the client's: the answer must speak of what is stored, whole."""
    for name in CONDITIONAL | RANGE:
        fields.popall(name, None)
    fields.extend(preconditions)


def for_pass(prepared: Prepared, snapshot: Snapshot, request_id: str) -> Outgoing:
    """The client's own request, with its content, and where it came from."""
    request = prepared.request
    fields = forwarded(prepared, snapshot)
    fields["X-Request-Id"] = request_id
    fields["Via"] = ", ".join([*fields.getall("Via", ()), "1.1 gateway"])
    _say_whence(request, fields, believed=is_trusted(request.peer, snapshot.trusted_proxies))
    return Outgoing(request.method, prepared.target, fields, request.body)


def _say_whence(request: Request, fields: CIMultiDict[str], *, believed: bool) -> None:
    """X-Forwarded-*: what an earlier proxy says is kept only where that proxy is trusted."""
    if not believed:
        for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"):
            fields.popall(name, None)
    fields["X-Forwarded-For"] = ", ".join([*fields.getall("X-Forwarded-For", ()), request.peer])
    fields.setdefault("X-Forwarded-Proto", request.scheme)
    fields.setdefault("X-Forwarded-Host", request.fields.get("Host", ""))
