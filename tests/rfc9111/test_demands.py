"""RFC 9111 §5.2.1 and §5.4, RFC 5861 §4, RFC 8246 §2."""

from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.demands import Demands, accepts, demands, written


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("no-cache", Demands(no_cache=True), id="5.2.1.4-no-cache"),
        pytest.param("No-Cache", Demands(no_cache=True), id="5.2-case"),
        pytest.param("no-cache=x", Demands(no_cache=True), id="5.2.1.4-needless-argument"),
        pytest.param("no-store", Demands(no_store=True), id="5.2.1.5-no-store"),
        pytest.param("only-if-cached", Demands(only_if_cached=True), id="5.2.1.7-only-if-cached"),
        pytest.param("max-age=60", Demands(max_age=60.0), id="5.2.1.1-max-age"),
        pytest.param('max-age="60"', Demands(max_age=60.0), id="5.2-quoted"),
        pytest.param("max-age=0", Demands(max_age=0.0), id="5.2.1.1-zero"),
        pytest.param("max-age", Demands(max_age=0.0), id="5.2.1.1-no-argument"),
        pytest.param("max-age=-1", Demands(max_age=0.0), id="5.2.1.1-negative"),
        pytest.param("max-age=1.5", Demands(max_age=0.0), id="5.2.1.1-fraction"),
        pytest.param("max-age = 60", Demands(max_age=0.0), id="5.2.1.1-blanks"),
        pytest.param("max-age=60, max-age=5", Demands(max_age=60.0), id="4.2.1-first"),
        pytest.param("max-age=" + "9" * 30, Demands(max_age=2147483648.0), id="1.2.2-overflow"),
        pytest.param("min-fresh=20", Demands(min_fresh=20.0), id="5.2.1.3-min-fresh"),
        pytest.param("min-fresh=20, max-stale", Demands(min_fresh=20.0, max_stale=inf), id="5.2.1.2-no-argument"),
        pytest.param("max-stale=10", Demands(max_stale=10.0), id="5.2.1.2-max-stale"),
        pytest.param("max-stale=0", Demands(max_stale=0.0), id="5.2.1.2-zero"),
        pytest.param("no-cache, max-stale=x", Demands(no_cache=True), id="5.2.1.2-unreadable"),
        pytest.param("no-cache, max-stale=", Demands(no_cache=True), id="5.2.1.2-empty"),
        pytest.param("no-store, min-fresh", Demands(no_store=True), id="5.2.1.3-unreadable"),
        pytest.param("stale-if-error=60", Demands(stale_if_error=60.0), id="RFC5861-4-in-a-request"),
    ],
)
def test_demands(value: str, expected: Demands) -> None:
    assert demands(CIMultiDict({"Cache-Control": value})) == expected


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([], id="5.2.1-nothing"),
        pytest.param([("Cache-Control", "")], id="5.2.1-empty"),
        pytest.param([("Cache-Control", "no-transform, community=UCI")], id="5.2.3-unknown"),
        pytest.param([("Cache-Control", "min-fresh=x, max-stale=-1")], id="1.2.2-nothing-readable"),
        pytest.param([("Cache-Control", "immutable, public, s-maxage=5")], id="RFC8246-2-a-responses-directives"),
        pytest.param([("Cache-Control", 'x="no-cache"')], id="5.2-quoted-directive"),
        pytest.param([("Cache-Control", "x"), ("Pragma", "no-cache")], id="5.4-pragma-beside-cache-control"),
        pytest.param([("Pragma", "x=y")], id="5.4-another-pragma"),
    ],
)
def test_no_demands(fields: list[tuple[str, str]]) -> None:
    assert demands(CIMultiDict(fields)) is None


def test_5_4_pragma_stands_in() -> None:
    assert demands(CIMultiDict([("Pragma", "x"), ("Pragma", "No-Cache")])) == Demands(no_cache=True)


def test_5_2_several_lines_add_up() -> None:
    fields = CIMultiDict([("Cache-Control", "max-age=5"), ("Cache-Control", "no-store")])
    assert demands(fields) == Demands(no_store=True, max_age=5.0)


@pytest.mark.parametrize(
    ("asked", "age", "ttl", "expected"),
    [
        pytest.param(Demands(no_store=True), 5.0, 5.0, True, id="5.2.1.5-no-store-is-no-limit"),
        pytest.param(Demands(no_cache=True), 0.0, 5.0, False, id="5.2.1.4-no-cache"),
        pytest.param(Demands(max_age=5.0), 5.9, 5.0, True, id="5.2.1.1-in-whole-seconds"),
        pytest.param(Demands(max_age=5.0), 6.0, 5.0, False, id="5.2.1.1-older"),
        pytest.param(Demands(max_age=0.0), 0.9, 5.0, False, id="5.2.1.1-zero"),
        pytest.param(Demands(max_age=50.0), 5.0, 0.0, False, id="5.2.1.1-stale"),
        pytest.param(Demands(max_age=50.0, max_stale=9.0), 5.0, -9.0, True, id="5.2.1.1-stale-but-allowed"),
        pytest.param(Demands(max_age=5.0, max_stale=9.0), 6.0, -1.0, False, id="5.2.1.1-older-though-stale-allowed"),
        pytest.param(Demands(min_fresh=5.0), 5.0, 5.0, True, id="5.2.1.3-just"),
        pytest.param(Demands(min_fresh=5.0), 5.5, 4.5, True, id="5.2.1.3-in-whole-seconds"),
        pytest.param(Demands(min_fresh=5.0), 6.0, 4.0, False, id="5.2.1.3-less"),
        pytest.param(Demands(min_fresh=0.0, max_stale=inf), 6.0, -1.0, False, id="5.2.1.3-stale-though-allowed"),
        pytest.param(Demands(max_stale=9.0), 5.0, -9.0, True, id="5.2.1.2-just"),
        pytest.param(Demands(max_stale=9.0), 5.0, -9.5, False, id="5.2.1.2-more"),
        pytest.param(Demands(max_stale=inf), 5.0, -1e9, True, id="5.2.1.2-any"),
        pytest.param(Demands(no_store=True), 5.0, -1.0, True, id="5.2.1-nothing-said-of-age"),
    ],
)
def test_accepts(asked: Demands, age: float, ttl: float, expected: bool) -> None:
    assert accepts(asked, age, ttl, immutable=False) is expected


@pytest.mark.parametrize(
    ("asked", "ttl", "expected"),
    [
        pytest.param(Demands(max_age=0.0), 5.0, True, id="RFC8246-2-fresh"),
        pytest.param(Demands(max_age=0.0), 0.0, False, id="RFC8246-2-stale"),
        pytest.param(Demands(max_age=0.0, max_stale=inf), -1.0, False, id="RFC8246-2-stale-though-allowed"),
        pytest.param(Demands(no_cache=True), 5.0, False, id="RFC8246-2-no-cache"),
        pytest.param(Demands(min_fresh=9.0), 5.0, False, id="RFC8246-2-min-fresh"),
    ],
)
def test_accepts_what_is_immutable(asked: Demands, ttl: float, expected: bool) -> None:
    assert accepts(asked, 50.0, ttl, immutable=True) is expected


EXACT = st.integers(0, 2**41).map(lambda n: n / 1024)


@given(st.integers(1, 2**31), EXACT, st.integers(0, 2**31))
@example(60, 60.5, 0)
def test_5_2_1_3_min_fresh_compares_the_lifetime_with_the_age_that_is_sent(
    lifetime: int, age: float, min_fresh: int
) -> None:
    accepted = accepts(Demands(min_fresh=min_fresh), age, lifetime - age, immutable=False)
    assert accepted is (lifetime >= int(age) + min_fresh and lifetime > age)


@pytest.mark.parametrize(
    ("demanded", "expected"),
    [
        (Demands(no_cache=True, max_stale=inf), "no-cache"),
        (Demands(no_store=True, max_age=5.0, min_fresh=2.0**31), "no-store, max-age=5, min-fresh=2147483648"),
        (Demands(max_age=0.0, stale_if_error=60.0), "max-age=0"),
        (Demands(max_stale=5.0), "no-cache"),
    ],
    ids=["flag", "bounds", "zero", "nothing-left"],
)
def test_5_2_1_written(demanded: Demands, expected: str) -> None:
    assert written(demanded) == expected
