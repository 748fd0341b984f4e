"""RFC 5861 §4, RFC 9111 §4.2.4 and §5.2.2.2."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rfc9111.variants import (
    DEMANDS,
    FRESH,
    NOW,
    OVERRIDE,
    OVERRIDING,
    POLICIES,
    PURE,
    REQUEST,
    ROUTES,
    STALE,
    STORED,
    TTL,
    VARIANTS,
    having,
)

from gateway.rfc9111.demands import Demands
from gateway.rfc9111.reuse import Detail, Reuse, forbids_stale, usable_on_error
from gateway.rfc9111.stored import Policy, StoredResponse, Terms


@pytest.mark.parametrize(
    ("stored", "policy", "ttl"),
    [
        pytest.param(having(Terms(lifetime=5.0, stale_if_error=5.0)), PURE, -5.0, id="RFC5861-4-origin"),
        pytest.param(having(initial_age=90.0), ROUTES, -40.0, id="RFC5861-4-route"),
        pytest.param(STORED, ROUTES, 50.0, id="RFC5861-4-fresh"),
        pytest.param(having(outdated=True), ROUTES, 50.0, id="RFC5861-4-outdated"),
        pytest.param(
            having(Terms(must_revalidate=True), initial_age=70.0), OVERRIDING, -20.0, id="4.2.4-override-strict"
        ),
    ],
)
def test_usable_on_error(stored: StoredResponse, policy: Policy, ttl: float) -> None:
    expected = Reuse(stored, stored.initial_age + 10.0, ttl, Detail.stale_if_error)
    assert usable_on_error((stored,), REQUEST, policy, NOW) == expected


@pytest.mark.parametrize(
    ("variants", "policy"),
    [
        pytest.param((), ROUTES, id="4.2.4-nothing-stored"),
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


@pytest.mark.parametrize(
    ("stored", "demands", "detail"),
    [
        pytest.param(having(Terms(stale_if_error=9.0)), Demands(max_age=0.0), None, id="RFC5861-4-window-over"),
        pytest.param(
            having(Terms(stale_if_error=10.0)), Demands(max_age=0.0), Detail.stale_if_error, id="RFC5861-4-regardless"
        ),
        pytest.param(
            having(Terms(stale_if_error=10.0)), Demands(min_fresh=9.0), Detail.stale_if_error, id="RFC5861-4-min-fresh"
        ),
        pytest.param(having(Terms(stale_if_error=10.0)), Demands(no_cache=True), None, id="5.2.1.4-no-cache"),
        pytest.param(STORED, Demands(stale_if_error=10.0), Detail.stale_if_error, id="RFC5861-4-in-the-request"),
        pytest.param(STORED, Demands(stale_if_error=9.0), None, id="RFC5861-4-in-the-request-window-over"),
        pytest.param(STORED, Demands(max_stale=10.0), Detail.max_stale, id="5.2.1.2-max-stale"),
        pytest.param(STORED, Demands(max_stale=9.0), None, id="5.2.1.2-too-stale"),
        pytest.param(STORED, Demands(max_stale=inf, max_age=9.0), None, id="5.2.1.1-too-old"),
        pytest.param(having(outdated=True), Demands(max_stale=inf), Detail.max_stale, id="5.2.1.2-outdated"),
        pytest.param(
            having(Terms(must_revalidate=True)),
            Demands(max_stale=inf, stale_if_error=99.0),
            None,
            id="5.2.2.2-forbidden",
        ),
        pytest.param(STORED, Demands(only_if_cached=True, no_store=True), None, id="4.2.4-nobody-allows-it"),
    ],
)
def test_demands_on_error(stored: StoredResponse, demands: Demands, detail: Detail | None) -> None:
    expected = None if detail is None else Reuse(stored, 10.0, -10.0, detail)
    assert usable_on_error((stored,), REQUEST, PURE, NOW, demands=demands) == expected


A_DAY = 86_400.0


@pytest.mark.parametrize(
    ("stored", "ttl"),
    [
        pytest.param(STALE, -5.0, id="4.2.4-stale"),
        pytest.param(STORED, -10.0, id="4.2.4-without-lifetime"),
        pytest.param(FRESH, 50.0, id="4.2.4-fresh"),
        pytest.param(STALE.replaced(outdated=True), -5.0, id="4.2.4-outdated"),
        pytest.param(STALE.replaced(initial_age=A_DAY - 5), -A_DAY, id="4.2.4-for-a-day"),
    ],
)
def test_disconnected(stored: StoredResponse, ttl: float) -> None:
    outcome = usable_on_error((stored,), REQUEST, PURE, NOW, disconnected=True)
    assert outcome == Reuse(stored, stored.initial_age + 10.0, ttl, Detail.disconnected)
    assert usable_on_error((stored,), REQUEST, PURE, NOW) is None


@pytest.mark.parametrize(
    ("stored", "policy", "demands"),
    [
        pytest.param(STALE, TTL, None, id="4.2.4-route-with-ttl"),
        pytest.param(STALE, Policy(ttl_by_status={404: 1.0}), None, id="4.2.4-route-with-ttl-by-status"),
        pytest.param(STALE, Policy(stale_if_error=0.0), None, id="RFC5861-4-route-zero"),
        pytest.param(STALE, Policy(stale_if_error=4.0), None, id="RFC5861-4-route-window-over"),
        pytest.param(having(Terms(lifetime=5.0, stale_if_error=4.0)), PURE, None, id="RFC5861-4-origin-window-over"),
        pytest.param(having(Terms(lifetime=5.0, must_revalidate=True)), PURE, None, id="5.2.2.2-must-revalidate"),
        pytest.param(having(Terms(lifetime=5.0, no_cache=True)), PURE, None, id="5.2.2.4-no-cache"),
        pytest.param(STALE.replaced(initial_age=A_DAY - 4), PURE, None, id="4.2.4-more-than-a-day"),
        pytest.param(STALE, PURE, Demands(no_cache=True), id="5.2.1.4-no-cache"),
        pytest.param(STALE, PURE, Demands(max_age=60.0), id="5.2.1.1-no-stale-answer-wanted"),
        pytest.param(STALE, PURE, Demands(min_fresh=0.0), id="5.2.1.3-no-stale-answer-wanted"),
        pytest.param(STALE, PURE, Demands(max_stale=4.0), id="5.2.1.2-no-answer-as-stale-wanted"),
    ],
)
def test_disconnected_is_not_enough(stored: StoredResponse, policy: Policy, demands: Demands | None) -> None:
    assert usable_on_error((stored,), REQUEST, policy, NOW, disconnected=True, demands=demands) is None


@pytest.mark.parametrize(
    ("variants", "policy", "expected"),
    [
        pytest.param((having(Terms(must_revalidate=True)),), PURE, True, id="5.2.2.2-must-revalidate"),
        pytest.param((having(Terms(no_cache=True)),), TTL, True, id="5.2.2.4-no-cache"),
        pytest.param((having(Terms(no_cache=True)),), OVERRIDE, False, id="5.2.2.4-override"),
        pytest.param((STORED,), PURE, False, id="4.2.4-nothing-forbids"),
        pytest.param((having(Terms(no_cache=True), selecting=(("foo", "2"),)),), PURE, False, id="4.1-another-variant"),
        pytest.param((), PURE, False, id="4-nothing-stored"),
    ],
)
def test_forbids_stale(variants: tuple[StoredResponse, ...], policy: Policy, expected: bool) -> None:
    assert forbids_stale(variants, REQUEST, policy) is expected


@given(VARIANTS, POLICIES, st.booleans(), st.none() | DEMANDS)
def test_4_2_4_nothing_forbidden_is_used_on_error(
    stored: StoredResponse, policy: Policy, disconnected: bool, demands: Demands | None
) -> None:
    outcome = usable_on_error((stored,), REQUEST, policy, NOW, disconnected=disconnected, demands=demands)
    assert outcome is None or not forbids_stale((stored,), REQUEST, policy)
    assert outcome is None or outcome.detail is not Detail.disconnected or (disconnected and policy.pure)
