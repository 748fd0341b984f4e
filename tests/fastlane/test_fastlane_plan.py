"""Plan: what is remembered of a request is what would be the same in the next one, for as long as it stays the same."""

from collections.abc import Callable
from dataclasses import replace
from math import floor, inf, nextafter
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import TTL, make_request, make_snapshot, prepare, public_route, seed_route
from fastlane.laned import ALPHA, BRAVO, bearer, laned
from fastlane.parsing import head
from hypothesis import example, given
from hypothesis import strategies as st
from support.in_process import Scripted

from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import AheadPolicy, CachePolicy, ClientDirectives, Price, Rate, Route
from gateway.admission.tagging import Tag
from gateway.fastlane.plan import Plan, What, changes_at, hit_of, holds_until
from gateway.lookup import Live, Lookup
from gateway.operation import Operation
from gateway.rfc9111.reuse import Decision, Detail, Fetch, Fwd, Reuse, ReuseWhileRevalidating, Validate
from gateway.rfc9111.stored import Policy, StoredResponse, Terms

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
FRESH = JSON | {"Cache-Control": "max-age=60"}
TARGET = "/v1/products/1"
PURE = CachePolicy()


async def is_taken(
    folder: Path,
    route: Route,
    *lines: str,
    method: str = "GET",
    target: str = TARGET,
    script: Scripted | None = None,
    key: str | None = ALPHA,
    **changes: Any,
) -> bool:
    """Whether the fast lane answers a request that the full one has answered time and again, and as that does."""
    async with laned(folder, route, **changes) as lanes:
        lanes.way.upstream.always = script or Scripted((b'{"a":1}',), fields=JSON)
        data = head(f"{method} {target}", *([bearer(key)] if key else []), *lines)
        for _ in range(2):
            full = await lanes.ask_full(data)
            fast = await lanes.ask(data)
        if fast is None:
            return False
        full = await lanes.ask_full(data)
        assert (fast.status, fast.body) == (full.status, full.body if method == "GET" else b"")
        assert fast.fields.pop("Content-Length") == str(len(full.body))
        unlike = {"X-Request-Id", "Server-Timing", "X-Receipt-Id"}
        assert [pair for pair in fast.fields.items() if pair[0] not in unlike] == [
            pair for pair in full.fields.items() if pair[0] not in unlike
        ]
        return True


ROUTE = seed_route()
OPEN = public_route(cache=PURE)
IGNORING = seed_route(cache=replace(TTL, client_directives=ClientDirectives.ignore))
FORWARDING = seed_route(forward=("X-Api-Version",))
AHEAD = AheadPolicy(2, 0.2, Rate(10, 60.0))
TAKEN: dict[str, tuple[Route, list[str], dict[str, Any]]] = {
    "get": (ROUTE, [], {}),
    "head": (ROUTE, [], {"method": "HEAD"}),
    "priced": (ROUTE, [], {"target": f"{TARGET}?include_offers=true"}),
    "other-query": (ROUTE, [], {"target": f"{TARGET}?a=b&a=c&d"}),
    "not-forced": (ROUTE, [], {"target": f"{TARGET}?force_refresh=false"}),
    "gzip": (ROUTE, ["Accept-Encoding: gzip"], {}),
    "tokens-in-body": (seed_route(tokens_in_body=True), [], {}),
    "tokens-in-gzip": (seed_route(tokens_in_body=True), ["Accept-Encoding: gzip"], {}),
    "range-of-tokens": (seed_route(tokens_in_body=True), ["Range: bytes=0-1"], {}),
    "if-match": (ROUTE, ['If-Match: "a"'], {}),
    "cookie": (ROUTE, ["Cookie: a=b"], {}),
    "prefer": (ROUTE, ["Prefer: respond-async"], {}),
    "kept-alive": (ROUTE, ["Connection: keep-alive"], {}),
    "unsaid-directive": (ROUTE, ["Cache-Control: no-transform"], {}),
    "ignored-directive": (IGNORING, ["Cache-Control: no-cache"], {}),
    "forwarded-field": (FORWARDING, ["X-Api-Version: 2"], {}),
    "public": (OPEN, [], {"key": None, "target": "/public/1", "script": Scripted((b"{}",), fields=FRESH)}),
    "free": (seed_route(price=Price(0)), [], {}),
    "ahead": (seed_route(cache=replace(TTL, ahead=AHEAD)), [], {}),
    "moved": (ROUTE, [], {"script": Scripted((b"",), 301, JSON | {"Location": "/elsewhere"})}),
    "empty": (ROUTE, [], {"script": Scripted((b"",), 200, JSON)}),
    "longest": (ROUTE, [], {"script": Scripted((b"x" * (64 << 10),), 200, JSON)}),
    "vary": (ROUTE, ["Accept-Language: de"], {"script": Scripted((b"{}",), 200, JSON | {"Vary": "Accept-Language"})}),
    "vary-on-a-key": (ROUTE, [], {"script": Scripted((b"{}",), 200, JSON | {"Vary": "Authorization"})}),
    "own-id": (ROUTE, ["X-Request-Id: abc", "traceparent: 00-a-b-01"], {}),
}


@pytest.mark.parametrize(("route", "lines", "rest"), TAKEN.values(), ids=TAKEN)
async def test_what_the_fast_lane_takes(tmp_path: Path, route: Route, lines: list[str], rest: dict[str, Any]) -> None:
    assert await is_taken(tmp_path, route, *lines, **rest)


def varying(name: str) -> dict[str, Any]:
    return {"key": None, "target": "/public/1", "script": Scripted((b"{}",), 200, FRESH | {"Vary": name})}


LEFT: dict[str, tuple[Route, list[str], dict[str, Any]]] = {
    "forced": (ROUTE, [], {"target": f"{TARGET}?force_refresh=true"}),
    "flag-of-no-meaning": (ROUTE, [], {"target": f"{TARGET}?include_offers=maybe"}),
    "max-age": (ROUTE, ["Cache-Control: max-age=60"], {}),
    "no-cache": (ROUTE, ["Cache-Control: no-cache"], {}),
    "pragma": (ROUTE, ["Pragma: no-cache"], {}),
    "only-if-cached": (ROUTE, ["Cache-Control: only-if-cached"], {}),
    "if-none-match": (ROUTE, ['If-None-Match: "a"'], {}),
    "if-modified-since": (ROUTE, ["If-Modified-Since: Thu, 15 Jan 2026 12:00:00 GMT"], {}),
    "range": (ROUTE, ["Range: bytes=0-1"], {}),
    "max-tokens": (ROUTE, ["X-Max-Tokens: 100"], {}),
    "nominated": (ROUTE, ["Connection: X-Hop", "X-Hop: 1"], {}),
    "nominated-absent": (ROUTE, ["Connection: X-Hop"], {}),
    "malformed-max-tokens": (ROUTE, ["X-Max-Tokens: much"], {}),
    "client-credentials": (ROUTE, [], {"credentials": "client"}),
    "key-to-a-public-route": (OPEN, [], {"target": "/public/1", "script": Scripted((b"{}",), 200, FRESH)}),
    "uncached": (seed_route(cache=None, refresh=None), [], {}),
    "forwards-ids": (seed_route(forward=("X-Request-ID",)), [], {}),
    "varies-on-traces": (seed_route(cache=replace(TTL, vary_on=("TraceParent",))), [], {}),
    "error": (
        seed_route(cache=replace(TTL, policy=Policy(ttl_by_status={404: 60.0}))),
        [],
        {"script": Scripted(status=404)},
    ),
    "no-content": (
        seed_route(cache=replace(TTL, policy=Policy(ttl_by_status={204: 60.0}))),
        [],
        {"script": Scripted(status=204)},
    ),
    "uncharged": (seed_route(price=Price(1, charge_on=frozenset({3}))), [], {}),
    "too-long": (ROUTE, [], {"script": Scripted((b"x" * ((64 << 10) + 1),), 200, JSON)}),
    "not-stored": (ROUTE, [], {"script": Scripted((b"{}",), 200, JSON | {"Cache-Control": "no-store"})}),
    "stale": (seed_route(cache=PURE), [], {"script": Scripted((b"{}",), 200, JSON | {"Cache-Control": "max-age=0"})}),
    "vary-on-everything": (OPEN, [], varying("*")),
    "vary-on-forwarded": (OPEN, [], varying("Forwarded")),
    "vary-on-address": (OPEN, [], varying("X-Forwarded-For")),
    "vary-on-scheme": (OPEN, [], varying("X-Forwarded-Proto")),
    "vary-on-trace": (OPEN, [], varying("traceparent")),
    "vary-on-id": (OPEN, [], varying("Accept, X-Request-Id")),
    "method": (ROUTE, [], {"method": "OPTIONS"}),
    "own-resources": (ROUTE, [], {"target": "/%2D/products"}),
    "no-route": (ROUTE, [], {"target": "/elsewhere"}),
}


@pytest.mark.parametrize(("route", "lines", "rest"), LEFT.values(), ids=LEFT)
async def test_what_it_leaves_to_the_full_lane(
    tmp_path: Path, route: Route, lines: list[str], rest: dict[str, Any]
) -> None:
    assert not await is_taken(tmp_path, route, *lines, **rest)


async def test_each_language_has_its_own_variant(tmp_path: Path) -> None:
    async with laned(tmp_path, ROUTE) as lanes:
        heads = {
            language: head(f"GET {TARGET}", bearer(ALPHA), f"Accept-Language: {language}") for language in ("de", "fr")
        }
        for language, data in heads.items():
            content = b'{"in":"%b"}' % language.encode()
            lanes.way.upstream.then(content, fields=JSON | {"Vary": "Accept-Language"})
            await lanes.ask_full(data)
        for language in ("de", "fr", "fr", "de"):
            got = await lanes.ask(heads[language])
            assert got is not None
            assert got.body == b'{"in":"%b"}' % language.encode()
        assert await lanes.hit(head(f"GET {TARGET}", bearer(BRAVO), "Accept-Language: it")) is not None
        assert lanes.way.calls == 3


async def test_what_turns_out_to_vary_with_each_request_is_left_from_then_on(tmp_path: Path) -> None:
    """Also for whom another variant would do, as the one that was made later may be meant for its trace."""
    trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with laned(tmp_path, OPEN) as lanes:
        lanes.way.upstream.then(b"for a", fields=FRESH | {"Vary": "Accept"})
        lanes.way.upstream.then(b"for the trace", fields=FRESH | {"Vary": "traceparent"})
        assert await lanes.hit(head("GET /public/1", "Accept: a")) is not None
        lanes.clock.advance(1)
        assert (await lanes.ask_full(head("GET /public/1", "Accept: b", trace))).body == b"for the trace"
        both = head("GET /public/1", "Accept: a", trace)
        assert await lanes.hit(both) is None
        assert (await lanes.ask_full(both)).body == b"for the trace"


async def test_stored_tags_do_not_matter(tmp_path: Path) -> None:
    assert await is_taken(tmp_path, seed_route(cache=replace(TTL, tags=(Tag.parse("product:{id}"),))))


# How long what was found holds.

EPOCH = 1_768_478_400.0
SECONDS = st.floats(0, 5000, allow_subnormal=False)


def a_plan(policy: Policy, ahead: AheadPolicy | None) -> Plan:
    """What a public lookup by a route with this policy has in common with others."""
    route = public_route(cache=CachePolicy(policy, ahead=ahead))
    request = make_request("/public/1", key=None)
    prepared = prepare(route, request)
    snapshot = make_snapshot(route)
    assert route.cache is not None
    lookup = Lookup(
        Operation(request, "", 0.0, prepared), prepared, route.cache, Live(snapshot, Preparer(snapshot), {})
    )
    return Plan(lookup, route, None, 0, False, False, False, b"", ahead)


def a_response(age: float, lifetime: float | None, purged: float, hits: int) -> StoredResponse:
    terms = Terms(lifetime=lifetime)
    began = EPOCH - 0.37
    return StoredResponse(
        "key", 200, "", b"", b"{}", terms, (), None, None, began, EPOCH, age, purged=purged, hits=hits
    )


def said(plan: Plan, stored: StoredResponse, now: float) -> tuple[int, int] | None:
    """Age and ttl as the fast lane says them for a request that it decides at `now`, None where it takes none."""
    reuse = hit_of(plan, (stored,), plan.lookup.decide((stored,), now))
    return None if reuse is None else (int(reuse.age), floor(reuse.ttl))


AGES = st.one_of(SECONDS, st.integers(0, 3000).map(float))


@given(
    age=AGES,
    lifetime=st.one_of(st.none(), SECONDS, st.integers(1, 3000).map(float)),
    ttl=st.floats(0.25, 4000),
    jitter=st.sampled_from([0.0, 0.1, 0.5]),
    passed=AGES,
    purged=st.one_of(st.just(0.0), SECONDS.map(lambda after: EPOCH + after)),
    ahead=st.one_of(st.none(), st.floats(0.05, 0.9).map(lambda last: AheadPolicy(2, last, Rate(10, 60.0)))),
    hits=st.sampled_from([-1, 0, 1, 2]),
    parts=st.lists(st.floats(0, 1, exclude_max=True), max_size=3),
)
@example(0.0, None, 900.0, 0.0, 0.0, 0.0, None, 0, [0.5])
@example(0.0, None, 10.0, 0.0, 8.0, 0.0, AheadPolicy(2, 0.2, Rate(10, 60.0)), -1, [0.5])
def test_age_and_ttl_are_what_the_full_lane_says_at_every_moment(
    age: float,
    lifetime: float | None,
    ttl: float,
    jitter: float,
    passed: float,
    purged: float,
    ahead: AheadPolicy | None,
    hits: int,
    parts: list[float],
) -> None:
    plan, stored = a_plan(Policy(ttl=ttl, ttl_jitter=jitter), ahead), a_response(age, lifetime, purged, hits)
    now = EPOCH + passed
    reuse = hit_of(plan, (stored,), plan.lookup.decide((stored,), now))
    if reuse is None:
        return
    until = holds_until(plan, reuse, now)
    assert now <= until <= now + 1
    for moment in [now + part * (until - now) for part in parts] + [nextafter(until, -inf)]:
        if now <= moment < until:
            full = plan.lookup.decide((stored,), moment)
            assert isinstance(full, Reuse)
            assert (int(full.age), floor(full.ttl)) == (int(reuse.age), floor(reuse.ttl))
            assert said(plan, stored, moment) == said(plan, stored, now)


@given(
    age=AGES,
    lifetime=st.one_of(st.none(), SECONDS, st.integers(1, 3000).map(float)),
    policy=st.builds(
        Policy,
        ttl=st.floats(0.25, 4000),
        ttl_jitter=st.sampled_from([0.0, 0.5]),
        override_origin=st.booleans(),
        stale_while_revalidate=st.sampled_from([0.0, 9.0]),
    ),
    moments=st.lists(AGES, min_size=1, max_size=5),
)
def test_what_has_been_decided_once_ages_as_if_it_were_decided_anew(
    age: float, lifetime: float | None, policy: Policy, moments: list[float]
) -> None:
    plan, stored = a_plan(policy, None), a_response(age, lifetime, 0.0, 0)
    what = What(plan, "key")
    what.stored = stored
    for now in [EPOCH + passed for passed in moments]:
        reuse = hit_of(plan, (stored,), plan.lookup.decide((stored,), now))
        told, ttl = what.aged(now)
        assert (reuse is not None) is (ttl > 0)
        if reuse is not None:
            assert (told, ttl) == (reuse.age, reuse.ttl)
            assert changes_at(told, ttl, now) == holds_until(plan, reuse, now)


DECISIONS: dict[str, Callable[[StoredResponse], Decision]] = {
    "cooldown": lambda stored: Reuse(stored, 1.0, 9.0, Detail.cooldown),
    "stale-if-error": lambda stored: Reuse(stored, 19.0, -9.0, Detail.stale_if_error),
    "stale": lambda stored: Reuse(stored, 10.0, 0.0),
    "revalidating": lambda stored: ReuseWhileRevalidating(stored, 11.0, -1.0),
    "validate": lambda stored: Validate(stored, Fwd.stale),
    "fetch": lambda _: Fetch(Fwd.vary_miss),
}


@pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
def test_a_decision_that_is_no_fresh_reuse_is_no_hit(decision: Callable[[StoredResponse], Decision]) -> None:
    plan, stored = a_plan(Policy(ttl=10.0), None), a_response(0.0, None, 0.0, 0)
    assert hit_of(plan, (stored,), Reuse(stored, 1.0, 9.0)) is not None
    assert hit_of(plan, (stored,), decision(stored)) is None


def test_it_holds_as_long_as_it_may() -> None:
    """A second for what came on one: deciding anew costs ten times as much as answering."""
    plan, stored = a_plan(Policy(ttl=900.0), None), a_response(0.0, None, 0.0, 0)
    for passed, until in [(0.25, 1.0), (1.0, 1.0), (1.5, 2.0), (899.75, 900.0)]:
        reuse = hit_of(plan, (stored,), plan.lookup.decide((stored,), EPOCH + passed))
        assert reuse is not None
        assert holds_until(plan, reuse, EPOCH + passed) == EPOCH + until


@pytest.mark.parametrize(("hits", "until"), [(0, 8.25), (2, 8.25), (-1, 8.5)], ids=["new", "hot", "fetched-ahead"])
def test_it_ends_where_a_fetch_ahead_is_due(hits: int, until: float) -> None:
    """Where none was made yet: else all in the last part of the lifetime would be decided anew."""
    ahead = AheadPolicy(2, 0.125, Rate(10, 60.0))
    plan, stored = a_plan(Policy(ttl=10.0), ahead), a_response(0.5, None, 0.0, hits)
    reuse = hit_of(plan, (stored,), plan.lookup.decide((stored,), EPOCH + 7.75))
    assert reuse is not None
    assert holds_until(plan, reuse, EPOCH + 7.75) == EPOCH + until


@pytest.mark.parametrize(("hits", "taken"), [(0, False), (2, False), (-1, True)], ids=["new", "hot", "fetched-ahead"])
def test_whoever_asks_in_the_last_part_may_start_that_fetch(hits: int, taken: bool) -> None:
    plan, stored = a_plan(Policy(ttl=10.0), AHEAD), a_response(0.0, None, 0.0, hits)
    assert said(plan, stored, EPOCH + 7.9) == (7, 2)
    assert said(plan, stored, EPOCH + 8.1) == ((8, 1) if taken else None)


async def test_both_lanes_say_the_same_age_and_ttl_as_time_passes(tmp_path: Path) -> None:
    route = seed_route(cache=CachePolicy(Policy(ttl=5.0, ttl_jitter=0.3)))
    async with laned(tmp_path, route) as lanes:
        data = head(f"GET {TARGET}", bearer(ALPHA))
        lanes.way.upstream.always = Scripted((b"{}",), fields=JSON | {"Age": "1"})
        await lanes.ask_full(data)
        taken = 0
        for _ in range(40):
            lanes.clock.advance(0.17)
            fast, calls = await lanes.ask(data), lanes.way.calls
            full = await lanes.ask_full(data)
            assert (fast is None) is (lanes.way.calls > calls)
            if fast is not None:
                taken += 1
                assert [fast.fields[name] for name in ("Age", "Cache-Status")] == [
                    full.fields[name] for name in ("Age", "Cache-Status")
                ]
        assert taken > 30
