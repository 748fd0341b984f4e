"""Which responses are stored, and as what (RFC 9111 §3)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from multidict import CIMultiDict

from gateway.messages import HOP_BY_HOP, Fields, Splice, ending_here
from gateway.rfc9111.dates import format_date
from gateway.rfc9111.directives import Directives, members, unqualified, withheld
from gateway.rfc9111.freshness import (
    initial_age,
    lifetime,
    needs_validation,
    overriding,
    stale_if_error,
    stale_while_revalidate,
)
from gateway.rfc9111.selecting import selecting
from gateway.rfc9111.stored import Policy, StoredResponse, Terms, Times
from gateway.rfc9111.targeted import in_force
from gateway.rfc9111.terms import assumable, distilled

# The status codes whose caching requirements are met here (§5.2.2.3): RFC 9110 §15's final ones but 206 and 304.
UNDERSTOOD = frozenset(
    {*range(200, 206), *range(300, 304), 305, 307, 308, *range(400, 418), 421, 422, 426, *range(500, 506)}
)

# A POST's response only where it says for how long, and speaks for its target (RFC 9110 §9.3.3).
_METHODS = ("GET", "POST")

# Each field that Vary names is compared for every variant, with every request.
_MOST_VARYING = 64

# Directives that let a shared cache reuse the response to a request with Authorization (§3.5).
_SHARED = frozenset({"must-revalidate", "public", "s-maxage"})

# Of the connection or the exchange, not of the response (§3.1, RFC 9110 §7.6.1), or made anew for each answer. What
# earlier recipients say in Via and Cache-Status is kept (RFC 9110 §7.6.3, RFC 9211 §2).
_NOT_KEPT = frozenset({"age", "content-length", "set-cookie"})
_NEVER_KEPT = _NOT_KEPT | HOP_BY_HOP


class Unstorable(Enum):
    """Why a response is not stored: its name labels the metric, `detail` words the Cache-Status.

    `personal` answers belong to the request that fetched them and to no other that waited for the same fetch.
    """

    no_store = ("the response says no-store", True)
    private = ("the response says private", True)
    set_cookie = ("the response sets a cookie", True)
    vary_star = ("the response varies on everything", True)
    authorization = ("the request was authorized and the response is not marked as shared", True)
    partial = ("the response answers a range of its request", True)
    not_modified = ("the response answers a condition of its request", True)
    request_no_store = ("the request says no-store", False)
    method = ("responses to this method are not stored", False)
    status = ("the status code is not understood", False)
    no_lifetime = ("the response has no freshness lifetime", False)
    too_large = ("the response is larger than what the route stores", False)

    def __init__(self, detail: str, personal: bool) -> None:
        self.detail = detail
        self.personal = personal


@dataclass(slots=True, frozen=True)
class Storable:
    """The response may be stored."""


@dataclass(slots=True, frozen=True)
class NotStored:
    """The response must not be stored, or is not worth it."""

    reason: Unstorable

    @property
    def personal(self) -> bool:
        """Whether nobody but the request that fetched it may be given the response."""
        return self.reason.personal


# What the request's Range and preconditions led to (RFC 9110 §13.1, §14.2), which are not in its cache key.
_OF_THE_CONDITION = {
    206: Unstorable.partial,
    304: Unstorable.not_modified,
    412: Unstorable.not_modified,
    416: Unstorable.partial,
}

Storability = Storable | NotStored
_STORABLE = Storable()


def storability(
    method: str,
    status: int,
    fields: Fields,
    policy: Policy,
    *,
    authorized: bool,
    public: bool,
    now: float,
    unstored: bool = False,
) -> Storability:
    """Whether the response to a request with `method` may and should be stored.

    `authorized`: the request carried Authorization, which bars sharing on a `public` route (§3.5); elsewhere the
    account's scope in the cache key governs. `now`, in seconds since the epoch, dates a response without Date.
    `unstored`: the request said no-store (§5.2.1.5). The size is the caller's to judge (`Unstorable.too_large`), and so
    is whether a POST's response speaks for a GET of the same target (RFC 9110 §9.3.3). Of a stored response that a 304
    freshened, ask with GET, the stored status and the merged fields.
    """
    governing = in_force(fields)
    reason = _personal(status, fields, governing[0], overriding(status, policy), authorized and public)
    if reason is None:
        reason = Unstorable.request_no_store if unstored else _general(method, status, fields, governing, policy, now)
    return _STORABLE if reason is None else NotStored(reason)


def _personal(status: int, fields: Fields, found: Directives, override: bool, authorized: bool) -> Unstorable | None:
    if not override and "no-store" in found and not ("must-understand" in found and status in UNDERSTOOD):
        return Unstorable.no_store
    if not override and unqualified(found, "private"):
        return Unstorable.private
    if "Set-Cookie" in fields and "set-cookie" not in withheld(found):
        return Unstorable.set_cookie
    varying = _listed(fields, "Vary")
    if "*" in varying or len(varying) > _MOST_VARYING:
        return Unstorable.vary_star
    if authorized and _SHARED.isdisjoint(found):
        return Unstorable.authorization
    return _OF_THE_CONDITION.get(status)


def _general(
    method: str, status: int, fields: Fields, governing: tuple[Directives, bool], policy: Policy, now: float
) -> Unstorable | None:
    found, _ = governing
    if method not in _METHODS:
        return Unstorable.method
    if status < 200 or ("must-understand" in found and status not in UNDERSTOOD):
        return Unstorable.status
    told = distilled(governing, fields, now, status)
    if method == "POST" and told.lifetime is None:
        return Unstorable.no_lifetime
    return None if _worth_storing(told, status, fields, found, policy) else Unstorable.no_lifetime


def _worth_storing(told: Terms, status: int, fields: Fields, found: Directives, policy: Policy) -> bool:
    """Whether the response can ever be served again: fresh, stale by permission, or validated."""
    hidden = withheld(found)
    validator = ("ETag" in fields and "etag" not in hidden) or (
        "Last-Modified" in fields and "last-modified" not in hidden
    )
    seconds = lifetime(told, status, policy)
    if seconds is None:
        return validator and policy.ttl is None and assumable(found, status)
    if validator or (seconds > 0 and not needs_validation(told, status, policy, seconds)):
        return True
    return max(stale_while_revalidate(told, status, policy), stale_if_error(told, status, policy) or 0.0) > 0


def _listed(fields: Fields, name: str) -> list[str]:
    return [member.lower() for line in fields.getall(name, ()) for member in members(line)]


def kept(fields: Fields) -> CIMultiDict[str]:
    """The fields of a response that are stored: the end-to-end ones (§3.1) that no qualified directive withholds."""
    return _kept(fields, in_force(fields)[0])


def _kept(fields: Fields, found: Directives) -> CIMultiDict[str]:
    hidden, here = withheld(found), ending_here(fields)
    dropped = _NEVER_KEPT.union(hidden, here) if hidden or here is not HOP_BY_HOP else _NEVER_KEPT
    return CIMultiDict([(name, value) for name, value in fields.items() if name.lower() not in dropped])


def dated(fields: Fields, wall: float) -> Fields:
    """`fields` with a Date, which a recipient with a clock must add before it stores (RFC 9110 §6.6.1)."""
    return fields if "Date" in fields else CIMultiDict(fields, Date=format_date(wall))


def stored_head(fields: Fields) -> bytes:
    """The field lines to store of a response's fields, in the shape of `StoredResponse.head`."""
    return _lines(kept(fields))


def _lines(fields: Fields) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    return lines.encode("utf-8", "surrogateescape")


def head_fields(head: bytes) -> CIMultiDict[str]:
    """The fields that `stored_head` wrote."""
    fields = CIMultiDict[str]()
    for line in head.decode("utf-8", "surrogateescape").split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        fields.add(name, value)
    return fields


def new_stored(
    key: str,
    request_fields: Fields,
    status: int,
    reason: str,
    fields: Fields,
    body: bytes,
    times: Times,
    *,
    groups: tuple[str, ...] = (),
    forced: bool = False,
    splice: Splice | None = None,
    dressed: Callable[[bytes], bytes] = bytes,
) -> StoredResponse:
    """Build the stored response of a complete exchange; `storability` is asked before.

    `request_fields` are those that `reuse.decide` is given of later requests: the selecting header fields are taken
    from them. `dressed` says what becomes of the field lines that are kept.
    """
    whole = dated(fields, times.wall)
    governing = in_force(whole)
    remaining = _kept(whole, governing[0])
    return StoredResponse(
        key=key,
        status=status,
        reason=reason,
        head=dressed(_lines(remaining)),
        body=body,
        terms=distilled(governing, whole, times.wall, status),
        selecting=selecting(fields.getall("Vary", ()), request_fields),
        etag=remaining.get("ETag"),
        last_modified=remaining.get("Last-Modified"),
        began=times.began,
        received=times.received,
        initial_age=initial_age(fields, times),
        groups=groups,
        forced=forced,
        splice=splice,
    )
