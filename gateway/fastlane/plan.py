"""What a request line asks for, as far as it stays the same: how it is priced, and how its answer begins."""

from dataclasses import dataclass, field

from multidict import CIMultiDict

from gateway.admission.charge import Quote
from gateway.admission.keys import withheld_fields
from gateway.admission.peers import WHENCE
from gateway.admission.prepared import Prepared
from gateway.admission.pricing import charges
from gateway.admission.provision import Intent
from gateway.admission.snapshot import AheadPolicy, Route, Snapshot
from gateway.answers.splice import accepts_gzip
from gateway.fastlane.heads import NEW, Given
from gateway.fastlane.who import Who
from gateway.lookup import Lookup
from gateway.messages import Request, Splice
from gateway.metrics import Answered
from gateway.rfc9111.freshness import age_at, lasting
from gateway.rfc9111.reuse import Decision, Reuse
from gateway.rfc9111.stored import StoredResponse

# A longer body is sent in pieces, each of which waits for the client.
_LONGEST_BODY = 64 * 1024
# What differs although the field lines are the same: from one request to the next, or with the connection.
_OTHERS = NEW | WHENCE

Form = tuple[bytes, ...]
"""What stands around the numbers in the field lines that tell of a charge and its limits."""


@dataclass(slots=True, eq=False)
class Plan:
    """What lookups by one route, price and set of fields have in common; `lookup` is one of them.

    `quote` is None where nobody is charged. `counted`: a charge is the base price, and counted with all that are equal.
    `pages` is what web pages are told. `forms` are made by `messages`, for what is said of limits.
    """

    lookup: Lookup
    route: Route
    quote: Quote | None
    tokens: int
    counted: bool
    bodiless: bool
    gzip: bool
    pages: bytes
    ahead: AheadPolicy | None
    forms: dict[bytes, Form] = field(default_factory=dict)


class What:
    """One thing that is asked for: its cache key, and what was decided and made for it.

    That holds until `until` (steady seconds) and while `variants` are what is stored under the key. The message of a
    hit begins with `opening`, which is `head` and what the second adds, and its content with `content`. Where tokens go
    into it (`splice`) something follows that is another for each, and then `closing`. Hits are counted by `answered`.
    As long as `variants` are the same nothing but time tells whether `stored` may still be reused: its age when it was
    `received`, and its `lasting` freshness lifetime, which is None until somebody asks, and -inf where more has to be
    looked at.
    """

    __slots__ = (
        "answered",
        "closing",
        "content",
        "head",
        "initial_age",
        "key",
        "lasting",
        "opening",
        "plan",
        "received",
        "splice",
        "stored",
        "until",
        "variants",
    )

    stored: StoredResponse
    answered: Answered

    def __init__(self, plan: Plan, key: str) -> None:
        self.plan = plan
        self.key = key
        self.until = float("-inf")
        self.lasting: float | None = None
        self.initial_age = self.received = 0.0
        self.variants: tuple[StoredResponse, ...] = ()
        self.head = self.opening = self.content = self.closing = b""
        self.splice: Splice | None = None

    def aged(self, now: float) -> tuple[float, float]:
        """Age and ttl at `now`, as decided for what is stored; a ttl that is not positive where that is to be asked."""
        if self.lasting is None:
            stored, policy = self.stored, self.plan.lookup.cache.policy
            self.initial_age, self.received = stored.initial_age, stored.received
            self.lasting = lasting(stored, policy) or 0.0
        age = age_at(now, self.initial_age, self.received)
        return age, self.lasting - age


def is_plain(prepared: Prepared, who: Who) -> bool:
    """Whether `who` asks for a plain lookup, with no conditions."""
    if prepared.intent is not Intent.lookup or prepared.request.body is not None:
        return False
    if prepared.demands is not None or prepared.conditional or prepared.ranged or prepared.max_tokens is not None:
        return False
    # Fields that Connection nominates were taken off.
    return prepared.request.fields is who.fields


def planned(lookup: Lookup, who: Who, snapshot: Snapshot, pages: bytes) -> Plan | None:
    """The plan for what `who` asks, which is plain; None where it may mean another thing in another request."""
    prepared, cache = lookup.prepared, lookup.cache
    quote, route = prepared.quote, prepared.route
    # Another account's key, or the fields that are always new, would change what is asked for.
    if who.account is not None and not withheld_fields(route, snapshot):
        return None
    if _tells_new_apart(route):
        return None
    gzip = route.tokens_in_body and accepts_gzip(who.fields.get("Accept-Encoding"))
    counted = quote is not None and quote.plain == quote.base and cache.ahead is None
    return Plan(
        lookup=lookup,
        route=route,
        quote=quote,
        tokens=0 if quote is None else quote.plain,
        counted=counted,
        bodiless=prepared.request.method == "HEAD",
        gzip=gzip,
        pages=pages,
        ahead=cache.ahead,
    )


def for_one(prepared: Prepared, who: Who, given: Given, peer: str) -> Prepared | None:
    """`prepared` as one request of `who` from `peer`, with the fields `given` that are always new.

    None where these may change what is asked for.
    """
    request = prepared.request
    if given and _tells_new_apart(prepared.route):
        return None
    fields = who.fields
    if given:
        fields = CIMultiDict([*fields.items(), *((name.decode(), value.decode()) for name, value in given)])
    return prepared.for_request(Request(request.method, request.target, fields, peer, scheme=request.scheme))


def hit_of(plan: Plan, variants: tuple[StoredResponse, ...], decision: Decision) -> Reuse | None:
    """The reuse that is the same for everybody, of a body that is sent at once; None for everything else."""
    if not isinstance(decision, Reuse) or decision.detail is not None or decision.ttl <= 0:
        return None
    stored, status, price = decision.stored, decision.stored.status, plan.route.price
    # Faults are logged one by one, and a 204 or 304 is framed otherwise.
    if not 200 <= status < 400 or status in (204, 304) or stored.length > _LONGEST_BODY:
        return None
    if price is not None and not charges(price, status):
        return None
    if any(name in _OTHERS for variant in variants for name, _ in variant.selecting):
        return None
    return None if _is_due_ahead(plan, decision) else decision


def holds_until(plan: Plan, reuse: Reuse, now: float) -> float:
    """When Age or ttl is another one, or the response is to be fetched ahead; steady seconds."""
    until = changes_at(reuse.age, reuse.ttl, now)
    if plan.ahead is None or reuse.stored.hits < 0:
        return until
    return min(until, now + _before_last(plan.ahead, reuse))


def changes_at(age: float, ttl: float, now: float) -> float:
    """When one of them is another number of whole seconds."""
    return now + min(1 - age % 1, ttl % 1)


def _tells_new_apart(route: Route) -> bool:
    """Whether fields that are new in every request are part of what it asks for."""
    varying = () if route.cache is None else route.cache.vary_on
    return not NEW.isdisjoint([name.lower() for name in (*route.forward, *varying)])


def _is_due_ahead(plan: Plan, reuse: Reuse) -> bool:
    """Whether it is in the last part of its lifetime, and was not fetched ahead yet: who asks now may start that."""
    return plan.ahead is not None and reuse.stored.hits >= 0 and _before_last(plan.ahead, reuse) <= 0


def _before_last(ahead: AheadPolicy, reuse: Reuse) -> float:
    return reuse.ttl - ahead.last * (reuse.age + reuse.ttl)
