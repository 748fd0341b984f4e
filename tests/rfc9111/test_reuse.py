"""RFC 9111 §4, RFC 5861, RFC 9211 §2.2; the force refresh and its cooldown."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.reuse import (
    Decision,
    Detail,
    Fetch,
    Fwd,
    Reuse,
    ReuseWhileRevalidating,
    Validate,
    decide,
    usable_on_error,
)
from gateway.rfc9111.stored import Policy, StoredResponse, Terms

NOW = 1_700_000_000.0
REQUEST = CIMultiDict({"Foo": "1"})
PURE = Policy()
TTL = Policy(ttl=60.0)
OVERRIDE = Policy(ttl=60.0, override_origin=True)
ROUTES = Policy(ttl=60.0, stale_while_revalidate=30.0, stale_if_error=40.0)
OVERRIDING = replace(ROUTES, override_origin=True)

# Ten seconds old, without a word on freshness.
STORED = StoredResponse("k", 200, "OK", b"", b"", Terms(), (), '"a"', None, NOW - 12, NOW - 10, 0.0)


def having(terms: Terms = STORED.terms, **changes: Any) -> StoredResponse:
    return replace(STORED, terms=terms, **changes)


def decided(stored: StoredResponse, policy: Policy, *, forced: bool = False, cooldown: float = 0.0) -> Decision:
    return decide((stored,), REQUEST, policy, NOW, forced=forced, cooldown=cooldown)


@pytest.mark.parametrize("forced", [False, True])
def test_misses(forced: bool) -> None:
    other = having(selecting=(("foo", "2"),))
    assert decide((), REQUEST, TTL, NOW, forced=forced, cooldown=0.0) == Fetch(Fwd.uri_miss)
    assert decide((other,), REQUEST, TTL, NOW, forced=forced, cooldown=0.0) == Fetch(Fwd.vary_miss)


@pytest.mark.parametrize(
    ("stored", "policy", "ttl"),
    [
        pytest.param(having(Terms(lifetime=11.0)), PURE, 1.0, id="4.2-fresh-by-origin"),
        pytest.param(STORED, TTL, 50.0, id="4.2-fresh-by-route"),
        pytest.param(having(Terms(lifetime=11.0, must_revalidate=True)), PURE, 1.0, id="5.2.2.2-fresh"),
        pytest.param(having(Terms(lifetime=0.0, no_cache=True)), OVERRIDE, 50.0, id="override-no-cache"),
        pytest.param(having(status=404), Policy(ttl_by_status={404: 15.0}), 5.0, id="ttl-by-status"),
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
        pytest.param(having(Terms(lifetime=11.0), initial_age=1.0), PURE, id="4.2.3-initial-age"),
        pytest.param(having(Terms(no_cache=True)), TTL, id="5.2.2.4-no-cache-though-fresh"),
        pytest.param(having(Terms(no_cache=True)), ROUTES, id="5.2.2.4-no-cache-bars-stale"),
        pytest.param(having(Terms(lifetime=5.0, must_revalidate=True)), ROUTES, id="5.2.2.2-must-revalidate"),
        pytest.param(having(Terms(lifetime=5.0, stale_while_revalidate=4.0)), ROUTES, id="RFC5861-3-window-over"),
    ],
)
def test_validate_or_fetch(stored: StoredResponse, policy: Policy) -> None:
    by_date, by_nothing = replace(stored, etag=None, last_modified="x"), replace(stored, etag=None)
    assert decided(stored, policy) == Validate(stored, Fwd.stale)
    assert decided(by_date, policy) == Validate(by_date, Fwd.stale)
    assert decided(by_nothing, policy) == Fetch(Fwd.stale)


@pytest.mark.parametrize(
    ("stored", "policy", "ttl"),
    [
        pytest.param(having(Terms(lifetime=5.0, stale_while_revalidate=5.0)), PURE, -5.0, id="RFC5861-3-origin"),
        pytest.param(having(Terms(lifetime=5.0)), ROUTES, -5.0, id="RFC5861-3-route"),
        pytest.param(having(initial_age=80.0), OVERRIDING, -30.0, id="RFC5861-3-override"),
        pytest.param(having(Terms(must_revalidate=True), initial_age=70.0), OVERRIDING, -20.0, id="override-strict"),
    ],
)
def test_reuse_while_revalidating(stored: StoredResponse, policy: Policy, ttl: float) -> None:
    assert decided(stored, policy) == ReuseWhileRevalidating(stored, stored.initial_age + 10.0, ttl)


@pytest.mark.parametrize("policy", [PURE, TTL, ROUTES, OVERRIDING])
def test_outdated_is_neither_fresh_nor_validated(policy: Policy) -> None:
    assert decided(having(Terms(lifetime=5.0), outdated=True), policy) == Fetch(Fwd.stale)


FORCED = having(forced=True)


@pytest.mark.parametrize(
    ("stored", "policy", "cooldown", "ttl"),
    [
        pytest.param(FORCED, TTL, 10.5, 50.0, id="cooldown"),
        pytest.param(replace(FORCED, terms=Terms(lifetime=5.0)), TTL, 10.5, -5.0, id="cooldown-outlives-lifetime"),
        pytest.param(replace(FORCED, terms=Terms(no_cache=True)), OVERRIDE, 10.5, 50.0, id="cooldown-override"),
    ],
)
def test_force_refresh_in_the_cooldown(stored: StoredResponse, policy: Policy, cooldown: float, ttl: float) -> None:
    outcome = decided(stored, policy, forced=True, cooldown=cooldown)
    assert outcome == Reuse(stored, 10.0, ttl, Detail.cooldown)


@pytest.mark.parametrize(
    ("stored", "cooldown"),
    [
        pytest.param(STORED, 10.5, id="not-fetched-by-a-refresh"),
        pytest.param(FORCED, 10.0, id="cooldown-just-over"),
        pytest.param(FORCED, 0.0, id="no-cooldown"),
        pytest.param(replace(FORCED, outdated=True), 10.5, id="outdated-since"),
        pytest.param(replace(FORCED, terms=Terms(no_cache=True)), 10.5, id="5.2.2.4-no-cache"),
        pytest.param(
            replace(FORCED, terms=Terms(lifetime=5.0, must_revalidate=True)), 10.5, id="5.2.2.2-must-revalidate"
        ),
    ],
)
def test_force_refresh_fetches(stored: StoredResponse, cooldown: float) -> None:
    assert decided(stored, TTL, forced=True, cooldown=cooldown) == Fetch(Fwd.request)


def test_the_most_recent_match_is_decided_on() -> None:
    newer = having(received=NOW - 1)
    other = having(selecting=(("foo", "2"),), received=NOW)
    assert decide((STORED, other, newer), REQUEST, TTL, NOW, forced=False, cooldown=0.0) == Reuse(newer, 1.0, 59.0)


@pytest.mark.parametrize(
    ("stored", "policy", "ttl"),
    [
        pytest.param(having(Terms(lifetime=5.0, stale_if_error=5.0)), PURE, -5.0, id="RFC5861-4-origin"),
        pytest.param(having(initial_age=90.0), ROUTES, -40.0, id="RFC5861-4-route"),
        pytest.param(STORED, ROUTES, 50.0, id="RFC5861-4-fresh"),
        pytest.param(having(outdated=True), ROUTES, 50.0, id="RFC5861-4-outdated"),
        pytest.param(having(Terms(must_revalidate=True), initial_age=70.0), OVERRIDING, -20.0, id="override-strict"),
    ],
)
def test_usable_on_error(stored: StoredResponse, policy: Policy, ttl: float) -> None:
    expected = Reuse(stored, stored.initial_age + 10.0, ttl, Detail.stale_if_error)
    assert usable_on_error((stored,), REQUEST, policy, NOW) == expected


@pytest.mark.parametrize(
    ("variants", "policy"),
    [
        pytest.param((), ROUTES, id="nothing-stored"),
        pytest.param((having(selecting=(("foo", "2"),)),), ROUTES, id="4.1-no-match"),
        pytest.param((STORED,), TTL, id="RFC5861-4-nobody-allows-it"),
        pytest.param((having(initial_age=90.5),), ROUTES, id="RFC5861-4-window-over"),
        pytest.param((having(Terms(stale_if_error=0.0)),), ROUTES, id="RFC5861-4-origin-zero"),
        pytest.param((having(Terms(lifetime=5.0, must_revalidate=True)),), ROUTES, id="5.2.2.2-must-revalidate"),
        pytest.param((having(Terms(no_cache=True)),), ROUTES, id="5.2.2.4-no-cache"),
    ],
)
def test_not_usable_on_error(variants: tuple[StoredResponse, ...], policy: Policy) -> None:
    assert usable_on_error(variants, REQUEST, policy, NOW) is None


SECONDS = st.none() | st.floats(0, 100)
TERMS = st.builds(Terms, SECONDS, st.booleans(), st.booleans(), SECONDS, SECONDS)
VARIANTS = st.builds(
    having,
    TERMS,
    outdated=st.booleans(),
    forced=st.booleans(),
    initial_age=st.floats(0, 100),
    etag=st.none() | st.just('"a"'),
)
POLICIES = st.builds(
    Policy,
    ttl=SECONDS,
    override_origin=st.booleans(),
    stale_while_revalidate=st.floats(0, 100),
    stale_if_error=st.floats(0, 100),
)


@given(VARIANTS, POLICIES, st.booleans(), st.floats(0, 100))
def test_nothing_forbidden_is_reused(stored: StoredResponse, policy: Policy, forced: bool, cooldown: float) -> None:
    outcome = decided(stored, policy, forced=forced, cooldown=cooldown)
    overridden = policy.override_origin and policy.ttl is not None
    if isinstance(outcome, Reuse | ReuseWhileRevalidating):
        assert not stored.outdated
        assert overridden or not stored.terms.no_cache
        assert overridden or outcome.ttl > 0 or not stored.terms.must_revalidate
    if isinstance(outcome, Reuse):
        assert (outcome.detail is Detail.cooldown) is forced
        assert forced or outcome.ttl > 0
