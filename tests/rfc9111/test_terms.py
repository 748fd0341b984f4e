"""RFC 9111 §4.2.1, §5.2.2 and §5.3, RFC 5861."""

import pytest
from multidict import CIMultiDict

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
    assert terms(CIMultiDict(fields), RECEIVED).lifetime == expected


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
        pytest.param("stale-if-error=x, stale-while-revalidate", Terms(), id="RFC5861-invalid"),
        pytest.param("immutable, community=UCI", Terms(), id="5.2.3-unrecognised"),
    ],
)
def test_terms(value: str, expected: Terms) -> None:
    assert terms(CIMultiDict({"Cache-Control": value}), RECEIVED) == expected


def test_terms_of_two_lines() -> None:
    fields = CIMultiDict([("cache-control", "max-age=5"), ("Cache-Control", "no-cache")])
    assert terms(fields, RECEIVED) == Terms(lifetime=5.0, no_cache=True)
