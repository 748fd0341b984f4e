"""RFC 9111 §4.2, RFC 5861."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.dates import format_date
from gateway.rfc9111.freshness import (
    current_age,
    initial_age,
    lasting,
    lifetime,
    needs_validation,
    never_stale,
    overriding,
    stale_if_error,
    stale_while_revalidate,
)
from gateway.rfc9111.stored import Policy, StoredResponse, Terms, Times

PURE = Policy()
TTL = Policy(ttl=900.0, ttl_by_status={404: 60.0})
OVERRIDE = Policy(ttl=900.0, ttl_by_status={404: 60.0}, override_origin=True)
EXPLICIT = Terms(lifetime=5.0)
SILENT = Terms()
GUESSED = Terms(heuristic=7.0)


@pytest.mark.parametrize(
    ("terms", "status", "policy", "expected"),
    [
        pytest.param(EXPLICIT, 200, PURE, 5.0, id="4.2.1-origin"),
        pytest.param(SILENT, 200, PURE, None, id="4.2.1-nobody"),
        pytest.param(EXPLICIT, 200, TTL, 5.0, id="4.2.1-origin-before-ttl"),
        pytest.param(Terms(lifetime=0.0), 200, TTL, 0.0, id="4.2.1-origin-zero-before-ttl"),
        pytest.param(EXPLICIT, 404, TTL, 5.0, id="4.2.1-origin-before-ttl-by-status"),
        *(pytest.param(SILENT, status, TTL, 900.0, id=f"4.2.2-ttl-{status}") for status in (200, 203, 301, 308)),
        *(pytest.param(SILENT, status, TTL, None, id=f"4.2.2-no-ttl-{status}") for status in (204, 302, 307, 410, 500)),
        pytest.param(SILENT, 404, TTL, 60.0, id="4.2.2-ttl-by-status"),
        pytest.param(
            SILENT, 200, Policy(ttl=900.0, ttl_by_status={200: 0.0}), 0.0, id="4.2.2-ttl-by-status-before-ttl"
        ),
        pytest.param(EXPLICIT, 200, OVERRIDE, 900.0, id="4.2.1-override-ttl"),
        pytest.param(EXPLICIT, 404, OVERRIDE, 60.0, id="4.2.1-override-ttl-by-status"),
        pytest.param(EXPLICIT, 302, OVERRIDE, 5.0, id="4.2.1-override-where-no-ttl-applies"),
        pytest.param(SILENT, 302, OVERRIDE, None, id="4.2.2-override-with-nothing"),
        pytest.param(GUESSED, 200, PURE, 7.0, id="4.2.2-pure"),
        pytest.param(GUESSED, 200, Policy(stale_while_revalidate=9.0, stale_if_error=9.0), 7.0, id="4.2.2-still-pure"),
        pytest.param(GUESSED, 200, TTL, 900.0, id="4.2.2-ttl"),
        pytest.param(GUESSED, 410, TTL, None, id="4.2.2-no-guess-beside-a-ttl"),
        pytest.param(GUESSED, 410, Policy(ttl_by_status={404: 60.0}), None, id="4.2.2-no-guess-beside-ttl-by-status"),
        pytest.param(GUESSED, 410, OVERRIDE, None, id="4.2.2-no-guess-where-overriding"),
    ],
)
def test_lifetime(terms: Terms, status: int, policy: Policy, expected: float | None) -> None:
    assert lifetime(terms, status, policy) == expected


def stored_at(began: float, terms: Terms = SILENT, status: int = 200) -> StoredResponse:
    return StoredResponse("k", status, "", b"", b"", terms, (), None, None, began, began, 0.0)


JITTERED = Policy(ttl=900.0, ttl_by_status={404: 60.0}, ttl_jitter=0.1)


@pytest.mark.parametrize(
    ("terms", "status", "policy"),
    [
        pytest.param(EXPLICIT, 200, JITTERED, id="the origin's own"),
        pytest.param(SILENT, 500, JITTERED, id="none"),
        pytest.param(Terms(lifetime=0.0), 200, JITTERED, id="zero"),
        pytest.param(SILENT, 200, TTL, id="no jitter"),
        pytest.param(GUESSED, 200, Policy(ttl_jitter=0.1), id="a guess"),
        pytest.param(EXPLICIT, 302, replace(OVERRIDE, ttl_jitter=0.1), id="overriding with nothing"),
    ],
)
def test_4_2_1_what_the_route_does_not_give_has_no_jitter(terms: Terms, status: int, policy: Policy) -> None:
    assert lasting(stored_at(1.7e9, terms, status), policy) == lifetime(terms, status, policy)


@given(began=st.floats(1e9, 4e9), status=st.sampled_from([200, 404]), terms=st.sampled_from([SILENT, GUESSED]))
def test_4_2_1_jitter_shortens_by_at_most_its_share(began: float, status: int, terms: Terms) -> None:
    whole = lifetime(terms, status, JITTERED)
    assert whole is not None
    left = lasting(stored_at(began, terms, status), JITTERED)
    assert left is not None
    assert 0.9 * whole <= left <= whole
    assert left == lasting(stored_at(began, terms, status), JITTERED)


@pytest.mark.parametrize("apart", [2**-22, 1e-6, 1e-3, 0.25, 1.0], ids=str)
def test_4_2_1_what_came_together_goes_stale_apart(apart: float) -> None:
    """A warm-up of a thousand responses: no tenth of the jitter's span gets more than a fifth of them."""
    lives = [lasting(stored_at(1_768_478_400.0 + number * apart), JITTERED) or 0.0 for number in range(1000)]
    tenths = Counter(int((life - 810) / 9) for life in lives)
    assert max(tenths.values()) <= 200


@pytest.mark.parametrize(
    ("status", "policy", "expected"),
    [
        (200, OVERRIDE, True),
        (404, OVERRIDE, True),
        (302, OVERRIDE, False),
        (200, TTL, False),
        (200, Policy(override_origin=True), False),
    ],
)
def test_4_2_1_overriding_only_with_a_lifetime(status: int, policy: Policy, expected: bool) -> None:
    assert overriding(status, policy) is expected


NOON = 1_700_000_000.0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([], 2.0, id="4.2.3-response-delay-alone"),
        pytest.param([("Date", format_date(NOON))], 2.0, id="4.2.3-date-is-now"),
        pytest.param([("Date", format_date(NOON - 30))], 30.0, id="4.2.3-apparent-age"),
        pytest.param([("Date", format_date(NOON + 30))], 2.0, id="4.2.3-date-ahead"),
        pytest.param([("Date", "yesterday")], 2.0, id="4.2.3-date-invalid"),
        pytest.param([("Age", "60")], 62.0, id="4.2.3-corrected-age-value"),
        pytest.param([("Age", "60"), ("Date", format_date(NOON - 90))], 90.0, id="4.2.3-the-larger-apparent"),
        pytest.param([("Age", "60"), ("Date", format_date(NOON - 9))], 62.0, id="4.2.3-the-larger-corrected"),
        pytest.param([("Age", "7, 60")], 9.0, id="5.1-first-member"),
        pytest.param([("Age", "7"), ("Age", "60")], 9.0, id="5.1-first-line"),
        pytest.param([("Age", ""), ("Age", "60")], 62.0, id="5.1-empty-line"),
        pytest.param([("Age", "x, 60")], 2.0, id="5.1-first-invalid"),
        pytest.param([("Age", "-60")], 2.0, id="5.1-negative"),
        pytest.param([("Age", "60.0")], 2.0, id="5.1-fraction"),
        pytest.param([("Age", "9" * 40)], 2147483650.0, id="1.2.2-overflow"),
        pytest.param([("Age", '"60"')], 2.0, id="5.1-quoted"),
        pytest.param([("Age", "60;x")], 2.0, id="5.1-parameter"),
        pytest.param([("Age", "60"), ("Age", "x")], 62.0, id="5.1-first-line-valid"),
    ],
)
def test_initial_age(fields: list[tuple[str, str]], expected: float) -> None:
    assert initial_age(CIMultiDict(fields), Times(NOON - 2, NOON, NOON)) == expected


def test_4_2_3_the_rest_of_the_dates_second_is_no_age() -> None:
    """Else a lifetime below a second would mostly be over before it began."""
    dated = CIMultiDict({"Date": format_date(NOON)})
    assert initial_age(dated, Times(NOON + 0.9, NOON + 0.95, NOON + 0.95)) == pytest.approx(0.05)
    assert initial_age(dated, Times(NOON + 1.0, NOON + 1.0, NOON + 1.0)) == 1.0


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_4_2_3_a_wall_clock_that_was_wrong_when_the_steady_one_began_ages_nothing(jump: float) -> None:
    """Else every response would be an hour old, and bought again, until the next start."""
    assert initial_age(CIMultiDict({"Date": format_date(NOON)}), Times(NOON + jump, NOON + jump + 1, NOON)) == 1.0


def stored(initial_age: float, received: float) -> StoredResponse:
    return StoredResponse("k", 200, "OK", b"", b"", Terms(), (), None, None, received, received, initial_age)


def test_4_2_3_current_age_adds_the_resident_time() -> None:
    assert current_age(stored(3.0, NOON), NOON + 10) == 13.0


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(-1e9, 1e9))
def test_4_2_3_current_age_is_never_below_the_initial_age(initial: float, received: float, elapsed: float) -> None:
    assert current_age(stored(initial, received), received + elapsed) >= initial


STRICT = Terms(must_revalidate=True, stale_while_revalidate=7.0, stale_if_error=7.0)
NO_CACHE = Terms(no_cache=True, stale_while_revalidate=7.0, stale_if_error=7.0)
LENIENT = Terms(stale_while_revalidate=7.0, stale_if_error=8.0)
ROUTES = Policy(stale_while_revalidate=30.0, stale_if_error=40.0)
OVERRIDING = Policy(ttl=1.0, override_origin=True, stale_while_revalidate=30.0, stale_if_error=40.0)


@pytest.mark.parametrize(
    ("terms", "policy", "while_revalidating", "on_error"),
    [
        pytest.param(SILENT, PURE, 0.0, None, id="4.2.4-nobody-speaks-of-it"),
        pytest.param(SILENT, Policy(stale_if_error=0.0), 0.0, 0.0, id="4.2.4-route-zero"),
        pytest.param(STRICT, PURE, 0.0, 0.0, id="5.2.2.2-must-revalidate-pure"),
        pytest.param(LENIENT, Policy(ttl=1.0, override_origin=True), 0.0, None, id="4.2.4-override-and-nothing-said"),
        pytest.param(SILENT, ROUTES, 30.0, 40.0, id="4.2.4-route"),
        pytest.param(LENIENT, PURE, 7.0, 8.0, id="RFC5861-3-origin"),
        pytest.param(LENIENT, ROUTES, 7.0, 8.0, id="RFC5861-3-origin-before-route"),
        pytest.param(
            Terms(stale_while_revalidate=0.0, stale_if_error=0.0), ROUTES, 0.0, 0.0, id="RFC5861-3-origin-zero"
        ),
        pytest.param(STRICT, ROUTES, 0.0, 0.0, id="5.2.2.2-must-revalidate"),
        pytest.param(NO_CACHE, ROUTES, 0.0, 0.0, id="5.2.2.4-no-cache"),
        pytest.param(STRICT, OVERRIDING, 30.0, 40.0, id="4.2.4-override-must-revalidate"),
        pytest.param(NO_CACHE, OVERRIDING, 30.0, 40.0, id="4.2.4-override-no-cache"),
        pytest.param(LENIENT, OVERRIDING, 30.0, 40.0, id="4.2.4-override-origin"),
    ],
)
def test_staleness_allowed(terms: Terms, policy: Policy, while_revalidating: float, on_error: float | None) -> None:
    assert stale_while_revalidate(terms, 200, policy) == while_revalidating
    assert stale_if_error(terms, 200, policy) == on_error


@pytest.mark.parametrize(
    ("terms", "policy", "ttl", "expected"),
    [
        pytest.param(NO_CACHE, PURE, 5.0, True, id="5.2.2.4-though-fresh"),
        pytest.param(NO_CACHE, OVERRIDING, 5.0, False, id="4.3-override-no-cache"),
        pytest.param(STRICT, PURE, 5.0, False, id="5.2.2.2-fresh"),
        pytest.param(STRICT, PURE, 0.0, True, id="5.2.2.2-stale"),
        pytest.param(STRICT, OVERRIDING, 0.0, False, id="4.3-override-must-revalidate"),
        pytest.param(LENIENT, PURE, -5.0, False, id="4.2.4-nothing-forbids"),
    ],
)
def test_needs_validation(terms: Terms, policy: Policy, ttl: float, expected: bool) -> None:
    assert needs_validation(terms, 200, policy, ttl) is expected


@pytest.mark.parametrize(
    ("terms", "policy", "expected"),
    [
        pytest.param(NO_CACHE, PURE, True, id="5.2.2.4-no-cache"),
        pytest.param(STRICT, ROUTES, True, id="5.2.2.2-must-revalidate"),
        pytest.param(LENIENT, PURE, False, id="4.2.4-nothing-forbids"),
        pytest.param(NO_CACHE, OVERRIDING, False, id="4.2.4-override-no-cache"),
        pytest.param(STRICT, OVERRIDING, False, id="4.2.4-override-must-revalidate"),
    ],
)
def test_never_stale(terms: Terms, policy: Policy, expected: bool) -> None:
    assert never_stale(terms, 200, policy) is expected
