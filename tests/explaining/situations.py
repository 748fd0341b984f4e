"""Situations in which a request may find a running gateway, each with the reasons that explain what it gets."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from admission.snapshots import REFRESH, TTL, make_route, seed_route
from background.yard import background, begins
from support.in_process import ALPHA, Way

from gateway.admission.background import StatusPolicy, Word
from gateway.admission.snapshot import (
    Account,
    CachePolicy,
    ClientDirectives,
    Price,
    Route,
)
from gateway.explaining.reasons import Why
from gateway.rfc9111.stored import Policy
from gateway.stores.selection import Everything

ITEM = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
SEED = seed_route()
MINUTE = Policy(ttl=60.0)
Before = Callable[[Way], Awaitable[None]]


def stored(seconds: float = 0.0, target: str = ITEM, asking: dict[str, str] | None = None, **fields: str) -> Before:
    """The item is stored with these fields, and so many seconds go by."""

    async def before(way: Way) -> None:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        way.upstream.then(b'{"call":0}', fields=JSON | named)
        await way.ask(target, fields=asking)
        way.clock.advance(seconds)

    return before


def and_then(*steps: Before) -> Before:
    async def before(way: Way) -> None:
        for step in steps:
            await step(way)

    return before


def asked(target: str, method: str = "GET", fields: dict[str, str] | None = None) -> Before:
    async def before(way: Way) -> None:
        await way.ask(target, method, fields)

    return before


async def nothing(way: Way) -> None:
    """As it begins."""


async def purged(way: Way) -> None:
    await way.cache.purge(Everything(), hard=False)
    way.clock.advance(1)


async def partly_stored(way: Way) -> None:
    fields = {"Content-Range": "bytes 0-3/10", "Cache-Control": "max-age=60", "ETag": '"1"'}
    way.upstream.then(b"0123", status=206, fields=fields, declared=True)
    await way.ask(ITEM, fields={"Range": "bytes=0-3"})


@dataclass(frozen=True)
class Situation:
    """What was before, what is asked then, on which route, and the reasons, the deciding one first."""

    whys: tuple[Why, ...]
    before: Before = nothing
    fields: dict[str, str] = field(default_factory=dict)
    target: str = ITEM
    method: str = "GET"
    route: Route = SEED
    decision: str = "fetch"
    refused: str | None = None
    shut: bool = False
    account: Account = ALPHA


def caching(policy: Policy = MINUTE, **changes: Any) -> Route:
    return seed_route(cache=CachePolicy(policy, client_directives=ClientDirectives.price), **changes)


PURE = make_route(cache=CachePolicy())
BRIDGED = caching(Policy(ttl=60.0, stale_while_revalidate=30.0, stale_if_error=30.0))
COOLED = seed_route(refresh=replace(REFRESH, cooldown=60.0))
REFUSING = {"Cache-Control": "only-if-cached"}
PART = {"Range": "bytes=0-1"}
ONCE = {"Idempotency-Key": "once"}
TESTED = replace(ALPHA, test=True)
FORCED = f"{ITEM}?force_refresh"
STORE = "/stores/refreshstore?storeId=1"
WORDS = dict.fromkeys(("none", "pending", "running", "done", "failed", "cancelled"), Word(0, "Never"))
BEGINS = begins(background(per_subject=2, status=StatusPolicy("{status}", WORDS)))
TELLS = replace(BEGINS, name="stores-status", methods=frozenset({"GET"}), price=Price(0), tells_status=True)

SITUATIONS: dict[str, Situation] = {
    "fresh": Situation((Why.fresh,), stored(), decision="reuse"),
    "fresh for a while": Situation((Why.fresh,), stored(12.5), decision="reuse"),
    "fresh, asked for by HEAD": Situation((Why.fresh,), stored(), method="HEAD", decision="reuse"),
    "fresh, with a condition": Situation((Why.fresh,), stored(ETag='"a"'), {"If-None-Match": '"a"'}, decision="reuse"),
    "part": Situation((Why.part,), partly_stored, PART, route=PURE, decision="reuse"),
    "part too short": Situation((Why.unheld,), partly_stored, {"Range": "bytes=2-5"}, route=PURE),
    "part too old": Situation(
        (Why.max_age,), partly_stored, PART | {"Cache-Control": "max-age=0"}, route=PURE, decision="fetch"
    ),
    "part not fresh enough": Situation(
        (Why.min_fresh,), partly_stored, PART | {"Cache-Control": "min-fresh=90"}, route=PURE
    ),
    "no part": Situation((Why.unstored,), fields=PART, route=PURE),
    "stale meanwhile": Situation((Why.revalidating,), stored(70), route=BRIDGED, decision="reuse while revalidating"),
    "stale by demand": Situation(
        (Why.max_stale,), stored(70), {"Cache-Control": "max-stale=20"}, route=caching(), decision="reuse"
    ),
    "staler than demanded": Situation(
        (Why.expired,), stored(70), {"Cache-Control": "max-stale=2"}, route=caching(), decision="fetch"
    ),
    "staler than demanded, though bridged": Situation(
        (Why.too_stale,), stored(70), {"Cache-Control": "max-stale=2"}, route=BRIDGED
    ),
    "cooling down": Situation((Why.cooldown,), asked(FORCED), target=FORCED, route=COOLED, decision="reuse"),
    "nothing stored": Situation((Why.unstored,)),
    "another query": Situation((Why.unstored,), stored(), target=f"{ITEM}?include_offers"),
    "another variant": Situation(
        (Why.unmatched,),
        stored(asking={"Accept-Language": "de"}, Vary="Accept-Language"),
        {"Accept-Language": "en"},
    ),
    "no cache": Situation((Why.uncached,), route=make_route(), decision="pass"),
    "another method": Situation((Why.method,), stored(), method="PUT", route=make_route(cache=TTL), decision="pass"),
    "force refresh": Situation((Why.forced,), stored(), target=FORCED),
    "force refresh by POST": Situation(
        (Why.forced,),
        stored(target=f"{ITEM}?include_offers=true&include_reviews=true"),
        target=f"{ITEM}/refresh",
        method="POST",
    ),
    "force refresh of nothing": Situation((Why.unstored,), target=FORCED),
    "no-cache": Situation((Why.no_cache,), stored(1), {"Cache-Control": "no-cache"}, route=caching()),
    "no-cache, honoured": Situation(
        (Why.no_cache,), stored(1, ETag='"a"'), {"Pragma": "no-cache"}, decision="validate"
    ),
    "max-age": Situation((Why.max_age,), stored(9), {"Cache-Control": "max-age=5"}, route=caching()),
    "max-age, stale": Situation((Why.max_age,), stored(70), {"Cache-Control": "max-age=90"}, route=BRIDGED),
    "min-fresh": Situation((Why.min_fresh,), stored(50), {"Cache-Control": "min-fresh=20"}, route=caching()),
    "no-store and nothing stored": Situation((Why.unstored,), fields={"Cache-Control": "no-store"}, route=caching()),
    "refreshed beside it": Situation(
        (Why.outdated,), and_then(stored(target=f"{ITEM}?a"), asked(FORCED)), target=f"{ITEM}?a"
    ),
    "purged": Situation((Why.purged,), and_then(stored(), purged)),
    "purged, with a validator": Situation((Why.purged,), and_then(stored(ETag='"a"'), purged), decision="validate"),
    "written to": Situation((Why.invalidated,), and_then(stored(), asked(ITEM, "PUT")), route=make_route(cache=TTL)),
    "response says no-cache": Situation(
        (Why.must_validate,), stored(Cache_Control="no-cache", ETag='"a"'), route=PURE, decision="validate"
    ),
    "response says must-revalidate": Situation(
        (Why.must_revalidate,),
        stored(9, Cache_Control="max-age=5, must-revalidate", ETag='"a"'),
        route=PURE,
        decision="validate",
    ),
    "no lifetime": Situation((Why.lifeless,), stored(ETag='"a"'), route=PURE, decision="validate"),
    "expired": Situation((Why.expired,), stored(70), route=caching()),
    "expired, with a validator": Situation(
        (Why.expired,), stored(70, ETag='"a"'), route=caching(), decision="validate"
    ),
    "only if cached, and is": Situation((Why.fresh,), stored(), REFUSING, decision="reuse"),
    "only if cached, and nothing is": Situation(
        (Why.only_if_cached, Why.unstored), fields=REFUSING, decision="refuse", refused="only_if_cached"
    ),
    "only if cached, and that expired": Situation(
        (Why.only_if_cached, Why.expired),
        stored(70),
        REFUSING,
        route=caching(),
        decision="refuse",
        refused="only_if_cached",
    ),
    "no upstream, stale if error": Situation(
        (Why.stale_if_error, Why.purged),
        and_then(stored(), purged),
        route=caching(Policy(ttl=60.0, stale_if_error=30.0)),
        decision="reuse",
        shut=True,
    ),
    "no upstream, stale by need": Situation(
        (Why.disconnected, Why.expired), stored(9, Cache_Control="max-age=5"), route=PURE, decision="reuse", shut=True
    ),
    "no upstream": Situation((Why.unstored,), shut=True, refused="upstream_circuit_open"),
    "no upstream to pass to": Situation(
        (Why.uncached,), route=make_route(), decision="pass", shut=True, refused="upstream_circuit_open"
    ),
    "dearer than it allows": Situation(
        (Why.no_cache,),
        stored(1),
        {"Cache-Control": "no-cache", "X-Max-Tokens": "1"},
        route=caching(),
        refused="over_max_tokens",
    ),
    "a HEAD that goes on as one": Situation((Why.unstored,), method="HEAD", route=PURE),
    "to be asked for once": Situation((Why.unstored,), fields=ONCE, target=FORCED, route=caching()),
    "asked for again": Situation(
        (Why.replayed,), asked(FORCED, fields=ONCE), ONCE, FORCED, route=caching(), decision="replay"
    ),
    "asked for again as something else": Situation(
        (), asked(FORCED, fields=ONCE), ONCE, f"{FORCED}&a", route=caching(), refused="idempotency_key_reused"
    ),
    "a test key, and nothing stored": Situation(
        (Why.test_key, Why.unstored), account=TESTED, decision="refuse", refused="not_stored"
    ),
    "a test key that would force": Situation(
        (Why.test_key, Why.unstored), target=FORCED, account=TESTED, decision="refuse", refused="not_stored"
    ),
    "no upstream, and none needed": Situation((Why.fresh,), stored(), decision="reuse", shut=True),
    "a background refresh": Situation((Why.accepted,), target=STORE, method="POST", route=BEGINS, decision="accept"),
    "a background refresh that is under way": Situation(
        (Why.accepted,), asked(STORE, "POST"), target=STORE, method="POST", route=BEGINS, decision="accept"
    ),
    "a background refresh, upstream or not": Situation(
        (Why.accepted,), target=STORE, method="POST", route=BEGINS, decision="accept", shut=True
    ),
    "a background refresh of no subject": Situation(
        (), target="/stores/refreshstore", method="POST", route=BEGINS, refused="bad_subject"
    ),
    "a background refresh of no number": Situation(
        (), target="/stores/refreshstore?storeId=x", method="POST", route=BEGINS, refused="bad_subject"
    ),
    "a background refresh dearer than it allows": Situation(
        (), target=STORE, method="POST", fields={"X-Max-Tokens": "2"}, route=BEGINS, refused="over_max_tokens"
    ),
    "a background refresh asked for again": Situation(
        (Why.replayed,), asked(STORE, "POST", ONCE), ONCE, STORE, "POST", BEGINS, decision="replay"
    ),
    "a background refresh asked for again as another": Situation(
        (),
        asked(STORE, "POST", ONCE),
        ONCE,
        "/stores/refreshstore?storeId=2",
        "POST",
        BEGINS,
        refused="idempotency_key_reused",
    ),
    "a background refresh by a test key": Situation(
        (), target=STORE, method="POST", route=BEGINS, account=TESTED, refused="not_stored"
    ),
    "how one stands": Situation((Why.told,), target=STORE, route=TELLS, decision="tell"),
    "how one of no subject stands": Situation((), target="/stores/refreshstore", route=TELLS, refused="bad_subject"),
}
