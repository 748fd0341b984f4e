"""RFC 9111 §4, RFC 5861 §3, RFC 9211 §2.2; the force refresh and its cooldown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rfc9111.variants import (
    DEMANDS,
    NOW,
    OVERRIDE,
    OVERRIDING,
    POLICIES,
    PURE,
    REQUEST,
    ROUTES,
    STORED,
    TTL,
    VARIANTS,
    decided,
    having,
)

from gateway.rfc9111.demands import Demands
from gateway.rfc9111.reuse import Detail, Fetch, Fwd, Reuse, ReuseWhileRevalidating, Validate, decide
from gateway.rfc9111.stored import Policy, StoredResponse, Terms


@pytest.mark.parametrize("forced", [False, True])
def test_4_misses(forced: bool) -> None:
    other = having(selecting=(("foo", "2"),))
    assert decide((), REQUEST, TTL, NOW, forced=forced, cooldown=0.0) == Fetch(Fwd.uri_miss)
    assert decide((other,), REQUEST, TTL, NOW, forced=forced, cooldown=0.0) == Fetch(Fwd.vary_miss)


@pytest.mark.parametrize(
    ("stored", "policy", "ttl"),
    [
        pytest.param(having(Terms(lifetime=11.0)), PURE, 1.0, id="4.2-fresh-by-origin"),
        pytest.param(STORED, TTL, 50.0, id="4.2-fresh-by-route"),
        pytest.param(having(Terms(lifetime=11.0, must_revalidate=True)), PURE, 1.0, id="5.2.2.2-fresh"),
        pytest.param(having(Terms(heuristic=11.0)), PURE, 1.0, id="4.2.2-fresh-by-guess"),
        pytest.param(having(Terms(heuristic=11.0)), TTL, 50.0, id="4.2.2-ttl-before-guess"),
        pytest.param(having(Terms(lifetime=0.0, no_cache=True)), OVERRIDE, 50.0, id="5.2.2.4-override-no-cache"),
        pytest.param(having(status=404), Policy(ttl_by_status={404: 15.0}), 5.0, id="4.2.2-ttl-by-status"),
        pytest.param(having(etag=None), TTL, 50.0, id="4.2-fresh-without-validator"),
    ],
)
def test_reuse(stored: StoredResponse, policy: Policy, ttl: float) -> None:
    assert decided(stored, policy) == Reuse(stored, 10.0, ttl)


@pytest.mark.parametrize(
    ("stored", "policy"),
    [
        pytest.param(having(Terms(lifetime=10.0)), PURE, id="4.2-lifetime-equals-age"),
        pytest.param(having(Terms(lifetime=0.0)), TTL, id="4.2-zero-before-ttl"),
        pytest.param(STORED, PURE, id="4.2-no-lifetime"),
        pytest.param(having(received=NOW), PURE, id="4.2-no-lifetime-at-once"),
        pytest.param(having(Terms(heuristic=10.0)), PURE, id="4.2.2-guess-is-over"),
        pytest.param(having(Terms(lifetime=11.0), initial_age=1.0), PURE, id="4.2.3-initial-age"),
        pytest.param(having(Terms(no_cache=True)), TTL, id="5.2.2.4-no-cache-though-fresh"),
        pytest.param(having(Terms(no_cache=True)), ROUTES, id="5.2.2.4-no-cache-bars-stale"),
        pytest.param(having(Terms(lifetime=5.0, must_revalidate=True)), ROUTES, id="5.2.2.2-must-revalidate"),
        pytest.param(having(Terms(lifetime=5.0, stale_while_revalidate=4.0)), ROUTES, id="RFC5861-3-window-over"),
    ],
)
def test_validate_or_fetch(stored: StoredResponse, policy: Policy) -> None:
    by_date, by_nothing = stored.replaced(etag=None, last_modified="x"), stored.replaced(etag=None)
    assert decided(stored, policy) == Validate(stored, Fwd.stale)
    assert decided(by_date, policy) == Validate(by_date, Fwd.stale)
    assert decided(by_nothing, policy) == Fetch(Fwd.stale)


@pytest.mark.parametrize(
    ("stored", "policy", "ttl"),
    [
        pytest.param(having(Terms(lifetime=5.0, stale_while_revalidate=5.0)), PURE, -5.0, id="RFC5861-3-origin"),
        pytest.param(having(Terms(lifetime=5.0)), ROUTES, -5.0, id="RFC5861-3-route"),
        pytest.param(having(initial_age=80.0), OVERRIDING, -30.0, id="RFC5861-3-override"),
        pytest.param(
            having(Terms(must_revalidate=True), initial_age=70.0), OVERRIDING, -20.0, id="4.2.4-override-strict"
        ),
    ],
)
def test_reuse_while_revalidating(stored: StoredResponse, policy: Policy, ttl: float) -> None:
    assert decided(stored, policy) == ReuseWhileRevalidating(stored, stored.initial_age + 10.0, ttl)


@pytest.mark.parametrize("policy", [PURE, TTL, ROUTES, OVERRIDING])
def test_4_4_outdated_is_neither_fresh_nor_validated(policy: Policy) -> None:
    assert decided(having(Terms(lifetime=5.0), outdated=True), policy) == Fetch(Fwd.stale)


FORCED = having(forced=True)


@pytest.mark.parametrize(
    ("stored", "policy", "cooldown", "ttl"),
    [
        pytest.param(FORCED, TTL, 10.5, 50.0, id="4-cooldown"),
        pytest.param(FORCED.replaced(terms=Terms(lifetime=5.0)), TTL, 10.5, -5.0, id="4-cooldown-outlives-lifetime"),
        pytest.param(FORCED.replaced(terms=Terms(no_cache=True)), OVERRIDE, 10.5, 50.0, id="4-cooldown-override"),
    ],
)
def test_force_refresh_in_the_cooldown(stored: StoredResponse, policy: Policy, cooldown: float, ttl: float) -> None:
    outcome = decided(stored, policy, forced=True, cooldown=cooldown)
    assert outcome == Reuse(stored, 10.0, ttl, Detail.cooldown)


@pytest.mark.parametrize(
    ("stored", "cooldown"),
    [
        pytest.param(STORED, 10.5, id="4-not-fetched-by-a-refresh"),
        pytest.param(FORCED, 10.0, id="4-cooldown-just-over"),
        pytest.param(FORCED, 0.0, id="4-no-cooldown"),
        pytest.param(FORCED.replaced(outdated=True), 10.5, id="4-outdated-since"),
        pytest.param(FORCED.replaced(terms=Terms(no_cache=True)), 10.5, id="5.2.2.4-no-cache"),
        pytest.param(
            FORCED.replaced(terms=Terms(lifetime=5.0, must_revalidate=True)), 10.5, id="5.2.2.2-must-revalidate"
        ),
    ],
)
def test_force_refresh_fetches(stored: StoredResponse, cooldown: float) -> None:
    assert decided(stored, TTL, forced=True, cooldown=cooldown) == Fetch(Fwd.request)


def test_4_the_most_recent_match_is_decided_on() -> None:
    newer = having(Terms(date=1.0), received=NOW - 1)
    other = having(selecting=(("foo", "2"),), received=NOW)
    assert decide((STORED, other, newer), REQUEST, TTL, NOW, forced=False, cooldown=0.0) == Reuse(newer, 1.0, 59.0)


@given(VARIANTS, POLICIES, st.booleans(), st.floats(0, 100), st.none() | DEMANDS)
def test_4_2_4_nothing_forbidden_is_reused(
    stored: StoredResponse, policy: Policy, forced: bool, cooldown: float, demands: Demands | None
) -> None:
    outcome = decide((stored,), REQUEST, policy, NOW, forced=forced, cooldown=cooldown, demands=demands)
    overridden = policy.override_origin and policy.ttl is not None
    if isinstance(outcome, Reuse | ReuseWhileRevalidating):
        assert not stored.outdated
        assert overridden or not stored.terms.no_cache
        assert overridden or outcome.ttl > 0 or not stored.terms.must_revalidate
        assert forced or demands is None or not demands.no_cache
    if isinstance(outcome, Reuse):
        assert (outcome.detail is Detail.cooldown) is forced
        assert forced or outcome.ttl > 0 or outcome.detail is Detail.max_stale
    assert isinstance(outcome, Validate | Fetch) <= (demands is None or not demands.only_if_cached)
