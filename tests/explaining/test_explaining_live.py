"""Why is it not a hit? Every reason as a situation on a running gateway: explained, then asked, and compared."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from admission.snapshots import IDENTITY, TTL, make_request, make_route, public_route
from explaining.foreseeing import Foreseer, grounds, open_for
from explaining.situations import (
    BRIDGED,
    FORCED,
    ITEM,
    JSON,
    ONCE,
    PART,
    PURE,
    SEED,
    SITUATIONS,
    Before,
    Situation,
    and_then,
    asked,
    caching,
    purged,
    stored,
)
from support.in_process import ALPHA, way

from gateway.admission.snapshot import (
    Account,
    CachePolicy,
    Every,
    Plan,
    Rate,
    Route,
    Scope,
    ThrottlePolicy,
)
from gateway.errors import Problem, Reason
from gateway.explaining.explanation import Limits, PassedOver, Room
from gateway.explaining.reasons import Why
from gateway.rfc9111.stored import Policy

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
async def test_what_is_foretold_happens(tmp_path: Path, situation: Situation) -> None:
    async with way(tmp_path, situation.route, account=situation.account) as running:
        await situation.before(running)
        foreseer = Foreseer(running, open_for(7.0) if situation.shut else None)
        if situation.shut:
            running.upstream.then(before=(Problem(Reason.upstream_circuit_open, retry_after=7.0),))
        told = await foreseer.foretold(situation.target, situation.method, situation.fields)
        assert (None if told.refusal is None else told.refusal.reason) == situation.refused
        if situation.whys:
            assert grounds(told) == [why.name for why in situation.whys]
            assert told.verdict is not None
            assert told.verdict.decision == situation.decision


def test_every_reason_has_its_situation() -> None:
    assert {why for situation in SITUATIONS.values() for why in situation.whys} == set(Why)


THROTTLED = replace(ALPHA, plan=Plan("pro", 2000, Every.month, ThrottlePolicy(Rate(2, 60.0), 2)))
CAPPED = replace(ALPHA, force_refresh_cap=Rate(1, 60.0))
POOR = replace(ALPHA, plan=Plan("pro", 5, Every.month))
LIMITED = {
    "throttled": (THROTTLED, (ITEM, ITEM), ITEM, "throttled"),
    "not throttled": (THROTTLED, (ITEM,), ITEM, None),
    "capped": (CAPPED, (FORCED,), FORCED, "force_refresh_capped"),
    "not capped": (CAPPED, (FORCED,), ITEM, None),
    "used up": (POOR, (FORCED, ITEM), ITEM, "quota_exceeded"),
    "used up for good": (replace(ALPHA, plan=Plan("pro", 5)), (FORCED, ITEM), ITEM, "quota_exhausted"),
    "enough for this": (POOR, (FORCED,), ITEM, None),
    "not enough for a refresh": (POOR, (FORCED,), FORCED, "quota_exceeded"),
    "without the scope": (replace(ALPHA, scopes=frozenset({Scope.lookup})), (), FORCED, "insufficient_scope"),
}


@pytest.mark.parametrize(("account", "before", "target", "refused"), LIMITED.values(), ids=LIMITED)
async def test_a_refusal_by_a_limit_is_foretold(
    tmp_path: Path, account: Account, before: tuple[str, ...], target: str, refused: str | None
) -> None:
    async with way(tmp_path, SEED, account=account) as running:
        for earlier in before:
            await running.ask(earlier)
        running.clock.advance(0.25)
        told = await Foreseer(running).foretold(target)
        assert (None if told.refusal is None else told.refusal.reason) == refused


async def test_an_account_past_its_end_is_told_of(tmp_path: Path) -> None:
    async with way(tmp_path, SEED, account=replace(ALPHA, expires=1.0)) as running:
        told = await Foreseer(running).foretold(ITEM)
        assert told.refusal is not None
        assert (told.refusal.reason, told.route, told.caller) == ("expired_key", "product", None)


async def test_a_repetition_is_throttled_too(tmp_path: Path) -> None:
    async with way(tmp_path, SEED, account=THROTTLED) as running:
        await running.ask(FORCED, fields=ONCE)
        await running.ask(ITEM)
        told = await Foreseer(running).foretold(FORCED, fields=ONCE)
        assert grounds(told) == ["replayed"]
        assert told.refusal is not None
        assert told.refusal.reason == "throttled"
        told = await Foreseer(running).foretold(f"{FORCED}&a", fields=ONCE)
        assert told.refusal is not None
        assert told.refusal.reason == "throttled"


async def test_one_that_is_being_answered_holds_its_key(tmp_path: Path) -> None:
    async with way(tmp_path, SEED) as running:
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        first = running.asking(FORCED, fields=ONCE)
        await running.upstream.arrived()
        told = await Foreseer(running).foretold(FORCED, fields=ONCE)
        assert told.refusal is not None
        assert told.refusal.reason == "request_in_progress"
        gate.set()
        assert (await first).status == 200


async def test_how_the_account_stands(tmp_path: Path) -> None:
    account = replace(THROTTLED, force_refresh_cap=Rate(100, 60.0))
    async with way(tmp_path, SEED, account=account) as running:
        await running.ask(FORCED)
        told = await Foreseer(running).told(ITEM)
        assert told.limits == Limits(
            reserved=0,
            balance=1996,
            granted=2000,
            renews="2026-02-01T00:00:00Z",
            throttle=Room(1, 2, 60),
            force_refresh_cap=Room(99, 100, 60),
        )
        assert told.caller is not None
        assert (told.caller.account, told.passed_over) == ("ci", ())


async def test_an_unlimited_account_has_no_bounds(tmp_path: Path) -> None:
    async with way(tmp_path, SEED, account=replace(ALPHA, plan=Plan("free"), force_refresh_cap=None)) as running:
        assert (await Foreseer(running).told(ITEM)).limits == Limits(reserved=0)


async def test_a_grant_that_the_journal_does_not_take_is_no_balance_to_tell(tmp_path: Path) -> None:
    async with way(tmp_path, SEED) as running:
        with running.journal_failing():
            told = await Foreseer(running).explainer.explain(make_request(ITEM))
        assert told.refusal is not None
        assert told.refusal.reason == "ledger_unavailable"


async def test_every_stored_variant_is_shown(tmp_path: Path) -> None:
    vary = {"Vary": "Accept-Language, Cookie", "ETag": '"a"'}
    route = caching(forward=("Cookie",))
    async with way(tmp_path, replace(route, cache=CachePolicy(Policy(ttl=60.0)))) as running:
        for language, seconds in (("de", 50.0), ("en", 20.0)):
            running.upstream.then(b'{"call":0}', fields=JSON | vary)
            await running.ask(ITEM, fields={"Accept-Language": language})
            running.clock.advance(seconds)
        told = await Foreseer(running).foretold(ITEM, fields={"Accept-Language": "EN"})
        assert told.stored is not None
        english, german = told.stored
        assert english.selecting == (("accept-language", "en"), ("cookie", "..."))
        assert (english.state, english.age, english.ttl, english.size) == ("fresh", 20.0, 40.0, 10)
        assert (english.matches, english.selected, english.validator, english.forced) == (True, True, True, False)
        assert (german.state, german.ttl, german.matches, german.selected) == ("stale", -10.0, False, False)


STATES = {
    "outdated": (and_then(stored(target=f"{ITEM}?a"), asked(FORCED)), f"{ITEM}?a", SEED, "outdated", 900.0),
    "by a force refresh": (asked(FORCED), ITEM, SEED, "fresh", 900.0),
    "purged": (and_then(stored(), purged), ITEM, SEED, "purged", -1.0),
    "invalid": (and_then(stored(), asked(ITEM, "PUT")), ITEM, make_route(cache=TTL), "invalid", 900.0),
    "no lifetime": (stored(ETag='"a"'), ITEM, PURE, "stale", None),
}


@pytest.mark.parametrize(("before", "target", "route", "state", "ttl"), STATES.values(), ids=STATES)
async def test_the_state_of_what_is_stored(
    tmp_path: Path, before: Before, target: str, route: Route, state: str, ttl: float | None
) -> None:
    async with way(tmp_path, route) as running:
        await before(running)
        told = await Foreseer(running).told(target)
        assert told.stored is not None
        [variant] = told.stored
        assert variant.state == state
        assert variant.ttl == pytest.approx(ttl)
        assert variant.forced is (state == "fresh")


async def test_a_fetch_under_way_is_joined(tmp_path: Path) -> None:
    async with way(tmp_path, SEED) as running:
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        leader, follower = running.asking(ITEM), running.asking(ITEM)
        await running.upstream.arrived()
        told = await Foreseer(running, open_for(7.0)).told(ITEM)
        assert told.verdict is not None
        assert (told.verdict.collapsed, told.refusal) == (True, None)
        gate.set()
        await leader
        assert (await follower).cache.parameters.keys() - {"fwd-status", "stored"} == {"collapsed", "fwd"}
        assert told.verdict.cache_status == "gateway; fwd=uri-miss; collapsed"


GUARDED = {"If-Match": '"a"'}


@pytest.mark.parametrize("fields", [PART, GUARDED], ids=["range", "guarded"])
async def test_a_fetch_of_the_same_part_is_joined(tmp_path: Path, fields: dict[str, str]) -> None:
    async with way(tmp_path, PURE) as running:
        gate = asyncio.Event()
        running.upstream.then(b"{}", before=(gate,), fields=JSON)
        leader = running.asking(ITEM, fields=fields)
        await running.upstream.arrived()
        foreseer = Foreseer(running)
        for asking, joins in ((fields, True), ({"If-Match": '"b"'}, False)):
            told = await foreseer.told(ITEM, fields=asking)
            assert told.verdict is not None
            assert told.verdict.collapsed is joins
        gate.set()
        await leader


async def test_what_answers_if_the_upstream_fails(tmp_path: Path) -> None:
    async with way(tmp_path, BRIDGED) as running:
        await running.ask(ITEM)
        told = await Foreseer(running).told(FORCED)
        assert told.verdict is not None
        assert told.verdict.spare == "stale-if-error"
        running.upstream.then(before=(Problem(Reason.upstream_refused),))
        assert (await running.ask(FORCED)).cache.detail == "stale-if-error"


async def test_what_must_be_validated_answers_for_no_upstream(tmp_path: Path) -> None:
    async with way(tmp_path, PURE) as running:
        await stored(Cache_Control="no-cache", ETag='"a"')(running)
        told = await Foreseer(running).told(ITEM)
        assert told.verdict is not None
        assert told.verdict.spare is None


async def test_the_upstream_gets_what_is_told(tmp_path: Path) -> None:
    async with way(tmp_path, caching()) as running:
        await stored(70, ETag='"a"')(running)
        told = await Foreseer(running, open_for(0.0)).foretold(ITEM)
        sent = running.upstream.sent[-1]
        assert told.onward is not None
        assert {field.name for field in told.onward.fields} == set(sent.fields)
        assert ("If-None-Match" in sent.fields, told.onward.state) == (True, "open")


async def test_a_hit_needs_nothing_that_can_be_sent_on(tmp_path: Path) -> None:
    async with way(tmp_path, SEED) as running:
        await running.ask(ITEM)
        told = await Foreseer(running).foretold(ITEM, fields={"Accept": "\udcff"})
        assert (told.refusal, told.onward) == (None, None)


async def test_one_that_needs_a_fetch_behind_it_does(tmp_path: Path) -> None:
    async with way(tmp_path, BRIDGED) as running:
        await stored(70)(running)
        told = await Foreseer(running).foretold(ITEM, fields={"Accept": "\udcff"})
        assert told.refusal is not None
        assert told.refusal.reason == "malformed_request"


async def test_nobody_is_metered_on_a_public_route(tmp_path: Path) -> None:
    route = public_route("/v1/{rest:.*}", cache=CachePolicy(Policy(ttl=60.0)))
    async with way(tmp_path, make_route("/none", name="first"), route) as running:
        told = await Foreseer(running).told(ITEM)
        assert told.passed_over == (PassedOver("first", "another path"),)
        assert told.verdict is not None
        assert (told.verdict.tokens, told.verdict.decision, told.limits) == (None, "fetch", None)
        await stored(Cache_Control="public, max-age=60")(running)
        told = await Foreseer(running).told(ITEM)
        assert told.verdict is not None
        assert (told.verdict.tokens, told.verdict.decision) == (None, "reuse")


async def test_what_the_gateway_answers_itself(tmp_path: Path) -> None:
    async with way(tmp_path, make_route()) as running:
        told = await Foreseer(running).told(ITEM, "OPTIONS", {"Max-Forwards": "0"})
        assert (told.intent, told.verdict, told.running) == ("own", None, True)
        assert told.own


@pytest.mark.parametrize("target", ["/-/readyz", "/-/balance"])
async def test_below_its_own_prefix_no_route_is_asked(tmp_path: Path, target: str) -> None:
    async with way(tmp_path, make_route()) as running:
        told = await Foreseer(running).told(target)
        assert (told.intent, told.refusal, told.passed_over, told.running) == ("own", None, (), True)


async def test_no_route(tmp_path: Path) -> None:
    async with way(tmp_path, SEED) as running:
        told = await Foreseer(running).told("/none")
        assert told.refusal is not None
        assert (told.refusal.reason, told.running) == ("no_route", True)


async def test_as_an_account_that_is_named(tmp_path: Path) -> None:
    async with way(tmp_path, SEED) as running:
        request = make_request(ITEM, key=None)
        told = await Foreseer(running).explainer.explain(request, replace(ALPHA, id="other", holder="other"))
        assert told.caller is not None
        assert (told.caller.account, told.caller.balance) == ("other", "other")


async def test_the_cache_key_and_what_a_refresh_outdates(tmp_path: Path) -> None:
    async with way(tmp_path, SEED) as running:
        told = await Foreseer(running).told(f"{ITEM}?b=1")
        assert told.caching is not None
        assert (told.caching.key, told.caching.outdates) == ((IDENTITY, "", f"{ITEM}?b=1"), (ITEM,))
