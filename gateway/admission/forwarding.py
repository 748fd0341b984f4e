"""The fields of a request that go on to the upstream (RFC 9110 §7.6.1, RFC 9111 §3.5)."""

from collections.abc import Iterable
from enum import Enum

from multidict import CIMultiDict

from gateway.admission.keys import credential_fields, withheld_fields
from gateway.admission.options import max_forwards
from gateway.admission.peers import WHENCE, is_claim, whence
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Sieve, Sifted, Snapshot
from gateway.errors import Problem, Reason
from gateway.messages import HOP_BY_HOP, UNSENDABLE, Request

_NEVER = HOP_BY_HOP | WHENCE | {"host", "expect"}
_DEFAULT = frozenset({"accept", "accept-language", "accept-encoding", "traceparent", "tracestate"})
GUARDING = frozenset({"if-match", "if-unmodified-since"})
CONDITIONAL = GUARDING | {"if-none-match", "if-modified-since"}
RANGE = frozenset({"range", "if-range"})
# What the gateway acts on instead of the upstream, or tells the upstream itself.
_HEEDED = _NEVER | CONDITIONAL | RANGE | {"cache-control", "content-length", "pragma", "via", "x-request-id"}
_REPLACED = WHENCE | {"accept-encoding", "host", "via", "x-request-id"}
# Of one account's requests: to an upstream that hears the gateway alone, two accounts' would be the same.
_ACTED_ON = frozenset({"idempotency-key", "x-max-tokens"})
# What a sieve remembers, and of how many field names each: clients could fill it with what none will send again.
_MOST_SIFTED, _MOST_NAMES = 256, 32
_CONTENT = frozenset({"content-type", "content-encoding", "content-language", "content-location"})


class LeftOut(Enum):
    """Why a field that the client sent does not reach the upstream as it is."""

    hop = "it ends at each hop"
    nominated = "Connection nominates it"
    credential = "it may hold an API key"
    unkeyed = "it is in no cache key: neither a default field nor in forward or cache.vary_on.headers"
    content = "it describes content that is not sent on"
    replaced = "it is the gateway's to write"
    heeded = "the gateway heeds it itself"
    unwritten = "it may be secret, and what is sent later is written down"


def forwarded(prepared: Prepared, snapshot: Snapshot) -> CIMultiDict[str]:
    """End-to-end fields, with credentials as the route and its upstream say.

    Where the route caches by its own ttl, only the default list and what is in the cache key goes on, and nothing
    conditional or partial; elsewhere the upstream is told where the request comes from (`peers.whence`). A force
    refresh is unconditional everywhere. Raises `Problem` with `malformed_request` for a value that is not UTF-8, which
    the upstream's client could only drop.
    """
    route, sieve = prepared.route, _sieve(prepared, snapshot)
    fields = _chosen(prepared, snapshot, sieve)
    if sieve.only is None:
        _add_hop(fields, prepared.request, snapshot.trusted_proxies)
    if route.asks_identity:
        fields["Accept-Encoding"] = "identity"
    if route.send_credentials:
        put(fields, snapshot.upstreams[route.upstream].headers)
    return fields


def lasting(prepared: Prepared, snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """What may be written down of a request's fields, to be sent on later: nothing secret, nothing of this exchange.

    The upstream's own `headers` are put in their place then. Raises as `forwarded` does.
    """
    sieve = _sieve(prepared, snapshot)
    kept = _chosen(prepared, snapshot, sieve)
    left_out = _ACTED_ON | sieve.ours | credential_fields(snapshot) | {"cookie"}
    return tuple([(name, value) for name, value in kept.items() if name.lower() not in left_out])


def dropped(prepared: Prepared, snapshot: Snapshot) -> tuple[str, ...]:
    """Lower-case names, sorted, of what the client sent and `forwarded` leaves out as it is in no cache key.

    What the gateway acts on itself, credentials and what ends at each hop are no such fields: `forward` cannot help.
    """
    return _sift(prepared.request, _sieve(prepared, snapshot), snapshot.trusted_proxies).dropped


def left_out(name: str, prepared: Prepared, snapshot: Snapshot) -> LeftOut:
    """Why a field that a client sent, by its lower-case name, is none of those that go on."""
    meant, request = name.replace("_", "-"), prepared.request
    if meant in HOP_BY_HOP:
        return LeftOut.hop
    if name not in request.fields:
        return LeftOut.nominated
    if meant in credential_fields(snapshot):
        return LeftOut.credential
    if name in dropped(prepared, snapshot):
        return LeftOut.unkeyed
    if meant == "cookie" and prepared.intent is Intent.background_refresh:
        return LeftOut.unwritten
    if meant in _CONTENT or meant == "content-length":
        return LeftOut.content
    ours = meant in _REPLACED or is_claim(name, request, snapshot.trusted_proxies)
    return LeftOut.replaced if ours else LeftOut.heeded


def _chosen(prepared: Prepared, snapshot: Snapshot, sieve: Sieve) -> CIMultiDict[str]:
    request = prepared.request
    passing = _sift(request, sieve, snapshot.trusted_proxies).passing
    return CIMultiDict([(name, _sendable(name, value)) for name, value in request.fields.items() if name in passing])


def _sift(request: Request, sieve: Sieve, trusted: tuple[str, ...]) -> Sifted:
    # Through the items: a multidict's keys leave out a name that is repeated in another spelling.
    names = tuple([name for name, _ in request.fields.items()])
    known = sieve.sifted.get(names)
    if known is None:
        known = _sifted(names, request, sieve, trusted)
        # Where a proxy is trusted its requests' claims pass and others' do not.
        if not trusted and len(names) <= _MOST_NAMES and len(sieve.sifted) < _MOST_SIFTED:
            sieve.sifted[names] = known
    return known


def _sifted(names: Iterable[str], request: Request, sieve: Sieve, trusted: tuple[str, ...]) -> Sifted:
    believed = [name for name in names if not is_claim(name.lower(), request, trusted)]
    passing = frozenset([name for name in believed if _passes(name.lower(), sieve)])
    untold = {name.lower() for name in believed} - sieve.untold
    return Sifted(passing, () if sieve.only is None else tuple(sorted(untold)))


def _passes(lower: str, sieve: Sieve) -> bool:
    if (sieve.only is not None and lower not in sieve.only) or lower in sieve.left_out:
        return False
    # CGI and its heirs know a field by one name, whether it is written with `-` or with `_`.
    return "_" not in lower or lower.replace("_", "-") not in sieve.left_out | sieve.ours


def _add_hop(fields: CIMultiDict[str], request: Request, trusted: tuple[str, ...]) -> None:
    """Where the request comes from, and how far it may still go (RFC 9110 §7.6.2)."""
    fields.extend([(name, _sendable(name, value)) for name, value in whence(request, trusted)])
    left = max_forwards(request.method, request.fields)
    if left is not None:
        fields["Max-Forwards"] = str(left - 1)


def _sendable(name: str, value: str) -> str:
    if UNSENDABLE.search(value):
        raise Problem(Reason.malformed_request, f"The value of the field {name} is not UTF-8.")
    return value


def _sieve(prepared: Prepared, snapshot: Snapshot) -> Sieve:
    route, request = prepared.route, prepared.request
    kind = (route.name, prepared.intent.name, request.method == "POST", "Transfer-Encoding" in request.fields)
    known = snapshot.sieves.get(kind)
    # By name, as the gateway's own fetches go by routes made for each of them: there is one sieve for all of a name.
    if known is None or known.route is not route:
        known = snapshot.sieves[kind] = _worked_out(prepared, snapshot)
    return known


def _worked_out(prepared: Prepared, snapshot: Snapshot) -> Sieve:
    route, only = prepared.route, _only(prepared, snapshot)
    untold = _HEEDED | credential_fields(snapshot) | (only or frozenset())
    if route.cors is not None:
        untold |= {"origin"}
    if prepared.intent is Intent.force_refresh:
        untold |= {"prefer"}
    ours = _HEEDED | _given(prepared, snapshot)
    return Sieve(route, _left_out(prepared, snapshot), ours, only, untold)


def _left_out(prepared: Prepared, snapshot: Snapshot) -> frozenset[str]:
    route, request = prepared.route, prepared.request
    left_out = _NEVER | withheld_fields(route, snapshot)
    if prepared.intent is not Intent.pass_ or "Transfer-Encoding" in request.fields:
        left_out |= {"content-length"}
    if prepared.intent is Intent.force_refresh or _caches_by_ttl(prepared):
        left_out |= CONDITIONAL | RANGE
    if prepared.intent is Intent.force_refresh:
        # The gateway applies it itself (RFC 7240 §4.1).
        left_out |= {"prefer"}
    if prepared.intent is Intent.force_refresh and request.method == "POST":
        # The content of a refresh is ignored, so nothing may describe it.
        left_out |= _CONTENT
    return left_out | RANGE if route.asks_identity else left_out


def _only(prepared: Prepared, snapshot: Snapshot) -> frozenset[str] | None:
    """The names that may go on at most, None for all."""
    route = prepared.route
    if route.cache is None or not _caches_by_ttl(prepared):
        return None
    credentials = {"authorization"} if route.public else credential_fields(snapshot)
    return _DEFAULT.union(credentials, [name.lower() for name in (*route.forward, *route.cache.vary_on)])


def _given(prepared: Prepared, snapshot: Snapshot) -> frozenset[str]:
    """Lower-case names of the fields that the upstream gets from the config."""
    route = prepared.route
    headers = snapshot.upstreams[route.upstream].headers if route.send_credentials else ()
    return frozenset([name.lower() for name, _ in headers])


def _caches_by_ttl(prepared: Prepared) -> bool:
    """Whether a stored response may serve requests whose other fields differ, whatever the origin says."""
    cache = prepared.route.cache
    return prepared.intent is not Intent.pass_ and cache is not None and not cache.policy.pure


def put(fields: CIMultiDict[str], added: Iterable[tuple[str, str]]) -> None:
    """Add fields in the place of any of the same names."""
    added = tuple(added)
    for name, _ in added:
        fields.popall(name, None)
    fields.extend(added)
