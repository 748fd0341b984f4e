"""Reuse of what was purged softly: stale since then at the latest, and all that is said of stale responses holds."""

from dataclasses import replace

import pytest
from multidict import CIMultiDict
from rfc9111.variants import NOW, STORED

from gateway.rfc9111.demands import Demands
from gateway.rfc9111.reuse import (
    Decision,
    Detail,
    Fetch,
    Fwd,
    Reuse,
    ReuseWhileRevalidating,
    Validate,
    decide,
    measured,
    usable_on_error,
)
from gateway.rfc9111.stored import Policy, StoredResponse, Terms

FIELDS = CIMultiDict[str]()
LONG = Policy(ttl=900.0, stale_while_revalidate=30.0, stale_if_error=60.0)
PURGED = STORED.replaced(purged=NOW - 5)


def decided(stored: StoredResponse, policy: Policy, *, forced: bool = False, now: float = NOW) -> Decision:
    return decide((stored,), FIELDS, policy, now, forced=forced, cooldown=60.0)


def test_4_2_4_staleness_counts_from_the_purge() -> None:
    assert measured(PURGED, LONG, NOW) == (10.0, -5.0)


def test_4_2_4_a_purge_makes_nothing_fresher() -> None:
    assert measured(PURGED, Policy(ttl=1.0), NOW) == (10.0, -9.0)


def test_4_2_4_at_the_moment_of_the_purge_it_is_stale_already() -> None:
    assert measured(STORED.replaced(purged=NOW + 1e-6), LONG, NOW)[1] == 0.0


def test_4_2_what_was_fetched_since_is_fresh() -> None:
    assert isinstance(decided(STORED.replaced(purged=STORED.began), LONG), Reuse)
    assert not STORED.replaced(purged=STORED.began).is_purged


@pytest.mark.parametrize(
    ("stored", "policy", "expected"),
    [
        pytest.param(PURGED, LONG, ReuseWhileRevalidating(PURGED, 10.0, -5.0), id="stale-while-revalidate"),
        pytest.param(PURGED, replace(LONG, stale_while_revalidate=4.0), Validate(PURGED, Fwd.stale), id="that-is-over"),
        pytest.param(PURGED, Policy(ttl=900.0), Validate(PURGED, Fwd.stale), id="validated"),
        pytest.param(PURGED.replaced(etag=None), Policy(ttl=900.0), Fetch(Fwd.stale), id="without-validator"),
        pytest.param(PURGED.replaced(outdated=True), LONG, Fetch(Fwd.stale), id="outdated-too"),
    ],
)
def test_4_2_4_it_is_reused_as_stale_ones_are(stored: StoredResponse, policy: Policy, expected: Decision) -> None:
    decision = decided(stored, policy)
    assert type(decision) is type(expected)
    assert getattr(decision, "ttl", None) == getattr(expected, "ttl", None)


def test_5_2_2_2_must_revalidate_forbids_it_without_the_upstream() -> None:
    strict = PURGED.replaced(terms=Terms(lifetime=900.0, must_revalidate=True))
    assert isinstance(decided(strict, LONG), Validate)
    assert usable_on_error((strict,), FIELDS, LONG, NOW) is None


def test_5_2_1_2_max_stale_counts_from_the_purge() -> None:
    asked = {seconds: Demands(max_stale=seconds) for seconds in (4.0, 5.0)}
    got = {
        seconds: decide((PURGED,), FIELDS, Policy(ttl=900.0), NOW, forced=False, cooldown=0.0, demands=demands)
        for seconds, demands in asked.items()
    }
    assert [isinstance(decision, Reuse) for decision in got.values()] == [False, True]


def test_4_2_4_a_cooldown_does_not_bring_back_what_was_purged_since() -> None:
    forced = STORED.replaced(forced=True)
    assert isinstance(decided(forced, LONG, forced=True), Reuse)
    assert decided(forced.replaced(purged=NOW - 1), LONG, forced=True) == Fetch(Fwd.request)


@pytest.mark.parametrize(("seconds", "used"), [(55.0, True), (56.0, False)])
def test_rfc5861_4_it_is_used_as_long_from_the_purge(seconds: float, used: bool) -> None:
    found = usable_on_error((PURGED,), FIELDS, LONG, NOW + seconds)
    assert (found is not None and found.detail is Detail.stale_if_error) is used
