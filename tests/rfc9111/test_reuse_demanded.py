"""RFC 9111 §5.2.1, RFC 8246: what a request's own directives make of a decision."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from rfc9111.variants import (
    DEMANDS,
    FRESH,
    NOW,
    OVERRIDE,
    POLICIES,
    PURE,
    REQUEST,
    STALE,
    STORED,
    TTL,
    VARIANTS,
    decided,
    having,
)

from gateway.rfc9111.demands import Demands
from gateway.rfc9111.reuse import Decision, Detail, Fetch, Fwd, Refuse, Reuse, ReuseWhileRevalidating, Validate, decide
from gateway.rfc9111.stored import Policy, StoredResponse, Terms

BRIDGED = having(Terms(lifetime=5.0, stale_while_revalidate=30.0))
IMMUTABLE = having(Terms(lifetime=60.0, immutable=True))
NOTHING = Demands(max_stale=0.0)


def asked(stored: StoredResponse, demands: Demands, *, since: float = inf, policy: Policy = PURE) -> Decision:
    return decide((stored,), REQUEST, policy, NOW, forced=False, cooldown=0.0, demands=demands, since=since)


@pytest.mark.parametrize(
    ("stored", "demands"),
    [
        pytest.param(FRESH, Demands(no_cache=True), id="5.2.1.4-no-cache"),
        pytest.param(FRESH, Demands(max_age=9.0), id="5.2.1.1-too-old"),
        pytest.param(FRESH, Demands(max_age=0.0), id="5.2.1.1-zero"),
        pytest.param(FRESH, Demands(min_fresh=51.0), id="5.2.1.3-not-fresh-enough"),
        pytest.param(FRESH, Demands(max_age=9.0, max_stale=inf), id="5.2.1.1-too-old-though-stale-would-do"),
        pytest.param(BRIDGED, Demands(max_age=60.0), id="5.2.1.1-stale"),
        pytest.param(BRIDGED, Demands(max_stale=4.0), id="5.2.1.2-too-stale"),
        pytest.param(BRIDGED, Demands(min_fresh=0.0), id="5.2.1.3-stale"),
        pytest.param(IMMUTABLE, Demands(no_cache=True), id="RFC8246-2-no-cache"),
    ],
)
def test_demands_alone_force_work(stored: StoredResponse, demands: Demands) -> None:
    without, unstored = stored.replaced(etag=None), replace(demands, no_store=True)
    assert asked(stored, demands) == Validate(stored, Fwd.request, demanded=True)
    assert asked(without, demands) == Fetch(Fwd.request, demanded=True)
    assert asked(stored, unstored) == Fetch(Fwd.request, demanded=True)
    assert asked(stored, replace(demands, only_if_cached=True)) == Refuse()


@pytest.mark.parametrize(
    ("stored", "demands"),
    [
        pytest.param(FRESH, NOTHING, id="5.2.1.2-fresh"),
        pytest.param(FRESH, Demands(max_age=10.0), id="5.2.1.1-age-in-whole-seconds"),
        pytest.param(FRESH, Demands(min_fresh=50.0), id="5.2.1.3-just"),
        pytest.param(FRESH, Demands(no_store=True), id="5.2.1.5-already-stored"),
        pytest.param(FRESH, Demands(only_if_cached=True), id="5.2.1.7-only-if-cached"),
        pytest.param(IMMUTABLE, Demands(max_age=0.0), id="RFC8246-2-max-age"),
        pytest.param(BRIDGED, Demands(max_stale=5.0), id="RFC5861-3-max-stale"),
        pytest.param(BRIDGED, Demands(only_if_cached=True), id="RFC5861-3-only-if-cached"),
        pytest.param(BRIDGED, Demands(no_store=True), id="RFC5861-3-no-store"),
    ],
)
def test_demands_that_are_met_change_nothing(stored: StoredResponse, demands: Demands) -> None:
    assert asked(stored, demands) == decided(stored, PURE)
    assert isinstance(decided(stored, PURE), Reuse | ReuseWhileRevalidating)


@pytest.mark.parametrize("demands", [Demands(no_cache=True), Demands(max_age=0.0), Demands(min_fresh=1000.0)])
def test_5_2_1_what_was_fetched_since_the_request_began_meets_its_demands(demands: Demands) -> None:
    since = FRESH.began
    assert asked(FRESH, demands, since=since) == decided(FRESH, PURE)
    assert asked(FRESH, replace(demands, only_if_cached=True), since=since) == decided(FRESH, PURE)
    assert asked(FRESH, demands, since=since + 0.5) == Validate(FRESH, Fwd.request, demanded=True)


@pytest.mark.parametrize("demands", [Demands(no_cache=True), Demands(max_age=0.0), Demands(min_fresh=9.0), NOTHING])
def test_5_2_1_what_needs_work_anyway_is_not_demanded(demands: Demands) -> None:
    without = STALE.replaced(etag=None)
    assert asked(STALE, demands) == Validate(STALE, Fwd.stale)
    assert asked(without, demands) == Fetch(Fwd.stale)
    assert decide((), REQUEST, PURE, NOW, forced=False, cooldown=0.0, demands=demands) == Fetch(Fwd.uri_miss)


def test_5_2_1_5_no_store_makes_every_fetch_demanded_and_none_a_validation() -> None:
    """§5.2.1.5: of no answer to this request anything may be stored, a 304's fields included."""
    other, demands = having(selecting=(("foo", "2"),)), Demands(no_store=True)
    assert asked(STALE, demands) == Fetch(Fwd.stale, demanded=True)
    assert asked(FRESH.replaced(outdated=True), demands) == Fetch(Fwd.stale, demanded=True)
    assert asked(other, demands) == Fetch(Fwd.vary_miss, demanded=True)
    assert decide((), REQUEST, PURE, NOW, forced=False, cooldown=0.0, demands=demands) == Fetch(
        Fwd.uri_miss, demanded=True
    )


@pytest.mark.parametrize(
    "stored",
    [STALE, STALE.replaced(etag=None), FRESH.replaced(outdated=True), having(selecting=(("foo", "2"),))],
    ids=["stale", "no-validator", "outdated", "vary-miss"],
)
def test_5_2_1_7_only_if_cached_refuses_what_is_not_there(stored: StoredResponse) -> None:
    """§5.2.1.7."""
    assert asked(stored, Demands(only_if_cached=True)) == Refuse()
    assert asked(stored, Demands(only_if_cached=True, no_store=True)) == Refuse()


@pytest.mark.parametrize(
    ("stored", "policy", "demands", "ttl"),
    [
        pytest.param(STALE, PURE, Demands(max_stale=5.0), -5.0, id="5.2.1.2-just"),
        pytest.param(STALE, PURE, Demands(max_stale=inf), -5.0, id="5.2.1.2-any"),
        pytest.param(STALE.replaced(etag=None), PURE, Demands(max_stale=inf), -5.0, id="5.2.1.2-no-validator"),
        pytest.param(STALE, PURE, Demands(max_stale=5.0, max_age=10.0), -5.0, id="5.2.1.1-with-max-age"),
        pytest.param(STALE, PURE, Demands(max_stale=5.0, only_if_cached=True), -5.0, id="5.2.1.7-only-if-cached"),
        pytest.param(STALE, PURE, Demands(max_stale=5.0, no_store=True), -5.0, id="5.2.1.5-no-store"),
        pytest.param(STORED, PURE, Demands(max_stale=10.0), -10.0, id="4.2-without-lifetime"),
        pytest.param(
            having(Terms(must_revalidate=True), initial_age=60.0),
            OVERRIDE,
            Demands(max_stale=inf),
            -10.0,
            id="5.2.1.2-override",
        ),
    ],
)
def test_max_stale(stored: StoredResponse, policy: Policy, demands: Demands, ttl: float) -> None:
    expected = Reuse(stored, stored.initial_age + 10.0, ttl, Detail.max_stale)
    assert asked(stored, demands, policy=policy) == expected


@pytest.mark.parametrize(
    ("stored", "demands"),
    [
        pytest.param(STALE, Demands(max_stale=4.0), id="5.2.1.2-too-stale"),
        pytest.param(STALE, Demands(max_stale=inf, no_cache=True), id="5.2.1.4-no-cache"),
        pytest.param(STALE, Demands(max_stale=inf, max_age=9.0), id="5.2.1.1-too-old"),
        pytest.param(STALE, Demands(max_stale=inf, min_fresh=0.0), id="5.2.1.3-min-fresh"),
        pytest.param(having(Terms(lifetime=5.0, must_revalidate=True)), Demands(max_stale=inf), id="5.2.2.2-forbidden"),
        pytest.param(having(Terms(lifetime=60.0, no_cache=True)), Demands(max_stale=inf), id="5.2.2.4-forbidden"),
    ],
)
def test_max_stale_does_not_reach(stored: StoredResponse, demands: Demands) -> None:
    assert asked(stored, demands) == Validate(stored, Fwd.stale)


def test_5_2_1_2_max_stale_does_not_bring_back_what_is_outdated() -> None:
    assert asked(FRESH.replaced(outdated=True), Demands(max_stale=inf)) == Fetch(Fwd.stale)


@pytest.mark.parametrize("demands", [Demands(no_store=True), Demands(max_age=0.0), Demands(no_cache=True), NOTHING])
def test_5_2_1_a_force_refresh_heeds_only_only_if_cached(demands: Demands) -> None:
    stored, only = having(forced=True), replace(demands, only_if_cached=True)
    for cooldown, refused in ((0.0, True), (10.5, False)):
        plain = decided(stored, TTL, forced=True, cooldown=cooldown)
        assert decide((stored,), REQUEST, TTL, NOW, forced=True, cooldown=cooldown, demands=demands) == plain
        outcome = decide((stored,), REQUEST, TTL, NOW, forced=True, cooldown=cooldown, demands=only)
        assert outcome == (Refuse() if refused else plain)


@given(VARIANTS, POLICIES, DEMANDS)
def test_5_2_1_demanded_is_what_would_have_been_reused_or_cannot_be_stored(
    stored: StoredResponse, policy: Policy, demands: Demands
) -> None:
    outcome, plain = asked(stored, demands, policy=policy), decided(stored, policy)
    if isinstance(outcome, Validate | Fetch):
        reusable = isinstance(plain, Reuse | ReuseWhileRevalidating)
        assert outcome.demanded is (reusable or demands.no_store)
        assert (outcome.fwd is Fwd.request) is reusable
        assert isinstance(outcome, Fetch) or not demands.no_store
