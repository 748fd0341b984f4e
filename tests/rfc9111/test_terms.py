"""RFC 9111 §4.2.1, §4.2.2, §5.2.2 and §5.3, RFC 5861, RFC 8246, RFC 9213."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.dates import format_date
from gateway.rfc9111.stored import Terms
from gateway.rfc9111.terms import terms

RECEIVED = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
AN_HOUR_ON = "Sun, 06 Nov 1994 09:49:37 GMT"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([], None, id="4.2.1-nothing"),
        pytest.param([("Cache-Control", "max-age=60")], 60.0, id="4.2.1-max-age"),
        pytest.param([("Cache-Control", "max-age=60, s-maxage=5")], 5.0, id="4.2.1-s-maxage-first"),
        pytest.param([("Cache-Control", "max-age=60"), ("Expires", AN_HOUR_ON)], 60.0, id="5.3-max-age-over-expires"),
        pytest.param([("Cache-Control", "s-maxage=0"), ("Expires", AN_HOUR_ON)], 0.0, id="5.3-s-maxage-over-expires"),
        pytest.param([DATE, ("Expires", AN_HOUR_ON)], 3600.0, id="4.2.1-expires-minus-date"),
        pytest.param([("Expires", AN_HOUR_ON)], 3600.0, id="4.2.1-expires-without-date"),
        pytest.param([("Date", "soon"), ("Expires", AN_HOUR_ON)], 3600.0, id="4.2.1-expires-with-invalid-date"),
        pytest.param([("Date", AN_HOUR_ON), ("Expires", AN_HOUR_ON)], 0.0, id="4.2.1-expires-equals-date"),
        pytest.param([("Date", AN_HOUR_ON), ("Expires", DATE[1])], 0.0, id="4.2.1-expires-before-date"),
        pytest.param([DATE, ("Expires", "0")], 0.0, id="5.3-zero-is-past"),
        pytest.param([DATE, ("Expires", "tomorrow")], 0.0, id="5.3-invalid-is-past"),
        pytest.param([DATE, ("Expires", "0"), ("Expires", AN_HOUR_ON)], 0.0, id="4.2.1-first-expires"),
        pytest.param([("Cache-Control", "max-age=soon"), ("Expires", AN_HOUR_ON)], 0.0, id="4.2.1-invalid-max-age"),
        pytest.param([("Cache-Control", "max-age")], 0.0, id="4.2.1-max-age-without-argument"),
        pytest.param([("Cache-Control", "max-age=-5")], 0.0, id="4.2.1-negative-max-age"),
        pytest.param([("Cache-Control", "s-maxage=x, max-age=60")], 0.0, id="4.2.1-invalid-s-maxage"),
        pytest.param([("Cache-Control", "max-age=99999999999")], 2147483648.0, id="1.2.2-overflow"),
        pytest.param([("Pragma", "no-cache")], None, id="5.4-pragma-says-nothing"),
    ],
)
def test_lifetime(fields: list[tuple[str, str]], expected: float | None) -> None:
    assert terms(CIMultiDict(fields), RECEIVED, 200).lifetime == expected


@pytest.mark.parametrize(
    "directive",
    ["max-age=-1", "max-age=1.5", "max-age=1e3", "max-age='60'", "max-age = 60", "max-age=60;x", "max-age=60 60"],
)
def test_4_2_1_a_lifetime_that_cannot_be_read_is_over(directive: str) -> None:
    """§4.2.1; Expires stands back all the same (§5.3)."""
    fields = CIMultiDict({"Cache-Control": directive, "Expires": AN_HOUR_ON})
    assert terms(fields, RECEIVED, 200).lifetime == 0.0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([("CDN-Cache-Control", "max-age=9"), ("Cache-Control", "max-age=60")], 9.0, id="2.2-max-age"),
        pytest.param([("CDN-Cache-Control", "public"), ("Expires", AN_HOUR_ON)], None, id="2.2-expires-is-ignored"),
        pytest.param([("CDN-Cache-Control", "Public"), ("Expires", AN_HOUR_ON)], 3600.0, id="2.1-invalid"),
        pytest.param([("CDN-Cache-Control", 'max-age="9"'), ("Expires", AN_HOUR_ON)], 0.0, id="2.1-another-type"),
        pytest.param([("CDN-Cache-Control", "max-age=-9"), ("Cache-Control", "max-age=60")], 0.0, id="2.1-negative"),
    ],
)
def test_targeted_lifetime(fields: list[tuple[str, str]], expected: float | None) -> None:
    assert terms(CIMultiDict(fields), RECEIVED, 200).lifetime == expected


def test_rfc9213_2_2_targeted_terms() -> None:
    fields = CIMultiDict({"Gateway-Cache-Control": "no-cache, immutable", "Cache-Control": "must-revalidate"})
    assert terms(fields, RECEIVED, 200) == Terms(no_cache=True, immutable=True, date=RECEIVED)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("no-cache", Terms(no_cache=True), id="5.2.2.4-no-cache"),
        pytest.param('no-cache="a"', Terms(), id="5.2.2.4-qualified"),
        pytest.param('no-cache=""', Terms(no_cache=True), id="5.2.2.4-qualified-by-nothing"),
        pytest.param('no-cache="a", no-cache', Terms(no_cache=True), id="4.2.1-most-restrictive"),
        pytest.param("must-revalidate", Terms(must_revalidate=True), id="5.2.2.2-must-revalidate"),
        pytest.param("proxy-revalidate", Terms(must_revalidate=True), id="5.2.2.8-proxy-revalidate"),
        pytest.param("s-maxage=5", Terms(lifetime=5.0, must_revalidate=True), id="5.2.2.10-s-maxage"),
        pytest.param("stale-while-revalidate=30", Terms(stale_while_revalidate=30.0), id="RFC5861-3"),
        pytest.param("stale-if-error=0", Terms(stale_if_error=0.0), id="RFC5861-4"),
        pytest.param("stale-if-error=x, stale-while-revalidate", Terms(), id="RFC5861-3-invalid"),
        pytest.param("community=UCI", Terms(), id="5.2.3-unrecognised"),
        pytest.param("immutable", Terms(immutable=True), id="RFC8246-2"),
        pytest.param("immutable=5, Immutable", Terms(immutable=True), id="RFC8246-2-arguments-and-repetition"),
    ],
)
def test_terms(value: str, expected: Terms) -> None:
    assert terms(CIMultiDict({"Cache-Control": value}), RECEIVED, 200) == replace(expected, date=RECEIVED)


def test_5_2_2_terms_of_two_lines() -> None:
    fields = CIMultiDict([("cache-control", "max-age=5"), ("Cache-Control", "no-cache")])
    assert terms(fields, RECEIVED, 200) == Terms(lifetime=5.0, no_cache=True, date=RECEIVED)


def modified(seconds: float) -> tuple[str, str]:
    return ("Last-Modified", format_date(RECEIVED - seconds))


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        pytest.param(200, [DATE, modified(1000)], 100.0, id="4.2.2-a-tenth"),
        pytest.param(200, [modified(1000)], 100.0, id="4.2.2-without-date"),
        pytest.param(200, [("Date", "x"), modified(1000)], 100.0, id="4.2.2-with-invalid-date"),
        pytest.param(200, [("Date", AN_HOUR_ON), modified(1000)], 460.0, id="4.2.2-from-date"),
        pytest.param(200, [modified(10 * 86_400)], 86_400.0, id="4.2.2-a-day"),
        pytest.param(200, [modified(11 * 86_400)], 86_400.0, id="4.2.2-a-day-at-most"),
        pytest.param(200, [DATE, ("Last-Modified", DATE[1])], 0.0, id="4.2.2-modified-as-made"),
        pytest.param(200, [DATE, ("Last-Modified", AN_HOUR_ON)], None, id="4.2.2-modified-in-the-future"),
        pytest.param(200, [("Last-Modified", "yesterday")], None, id="4.2.2-invalid"),
        pytest.param(200, [("ETag", '"a"')], None, id="4.2.2-no-last-modified"),
        pytest.param(200, [modified(1000), ("Cache-Control", "max-age=5")], None, id="4.2.2-explicit"),
        pytest.param(200, [modified(1000), ("Cache-Control", "s-maxage=x")], None, id="4.2.2-explicit-unreadable"),
        pytest.param(200, [modified(1000), ("Expires", "0")], None, id="4.2.2-explicit-in-the-past"),
        pytest.param(200, [modified(1000), ("Cache-Control", "no-cache")], 100.0, id="4.2.2-no-cache-is-no-lifetime"),
        *(pytest.param(status, [modified(10)], 1.0, id=f"RFC9110-15.1-{status}") for status in (404, 405, 414, 501)),
        *(pytest.param(status, [modified(10)], None, id=f"4.2.2-{status}") for status in (206, 302, 403, 500, 599)),
        pytest.param(599, [modified(10), ("Cache-Control", "public")], 1.0, id="5.2.2.9-public"),
        pytest.param(302, [modified(10), ("CDN-Cache-Control", "public")], 1.0, id="RFC9213-2.2-public"),
        pytest.param(
            302,
            [modified(10), ("CDN-Cache-Control", "none"), ("Cache-Control", "public")],
            None,
            id="RFC9213-2.2-not-public",
        ),
    ],
)
def test_heuristic(status: int, fields: list[tuple[str, str]], expected: float | None) -> None:
    assert terms(CIMultiDict(fields), RECEIVED, status).heuristic == expected


@given(st.integers(-(10**9), int(RECEIVED)), st.sampled_from([200, 404, 302]))
def test_4_2_2_a_heuristic_is_never_more_than_a_tenth_nor_a_day(ago: int, status: int) -> None:
    told = terms(CIMultiDict([modified(ago)]), RECEIVED, status)
    assert told.heuristic is None or 0.0 <= told.heuristic <= min(ago / 10, 86_400.0)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([("Date", AN_HOUR_ON)], RECEIVED + 3600, id="RFC9110-6.6.1-date"),
        pytest.param([("Date", "soon")], RECEIVED, id="RFC9110-6.6.1-invalid"),
        pytest.param([], RECEIVED, id="RFC9110-6.6.1-none"),
    ],
)
def test_date(fields: list[tuple[str, str]], expected: float) -> None:
    assert terms(CIMultiDict(fields), RECEIVED, 200).date == expected
