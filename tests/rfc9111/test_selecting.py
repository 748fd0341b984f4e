"""RFC 9111 §4.1, RFC 9110 §12.5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.selecting import matches, select, selecting
from gateway.rfc9111.stored import StoredResponse, Terms


def same(name: str, one: list[str], other: list[str]) -> bool:
    first, second = (CIMultiDict((name, line) for line in lines) for lines in (one, other))
    return matches(selecting([name], first), second)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        pytest.param("Foo", ["1"], ["1"], id="4.1-equal"),
        pytest.param("Foo", [], [], id="4.1-both-absent"),
        pytest.param("Foo", [""], [""], id="4.1-both-empty"),
        pytest.param("Foo", ["1,2"], [" 1, 2 "], id="4.1-whitespace"),
        pytest.param("Foo", ["1, 2"], ["1", "2"], id="4.1-combined-lines"),
        pytest.param("Accept-Language", ["en, de"], ["de, en"], id="4.1-order"),
        pytest.param("Accept-Language", ["en-US"], ["EN-us"], id="4.1-case-language"),
        pytest.param("Accept-Encoding", ["gzip;q=1.0, br"], ["BR,GZip"], id="4.1-weight-of-one"),
        pytest.param("Accept-Encoding", ["gzip;q=0.50"], ["gzip ; Q=0.5"], id="4.1-weight-written-otherwise"),
        pytest.param("Accept-Encoding", ["br;q=0."], ["br;q=0.000"], id="4.1-weight-of-zero"),
        pytest.param("Accept-Charset", ["utf-8, a"], ["A,UTF-8"], id="4.1-case-charset"),
        pytest.param("Accept", ["Text/HTML;Level=1;q=.5"], ["text/html ;level=1; Q=.5"], id="4.1-media-range"),
        pytest.param("Accept", ["a/b;;c=d"], ["a/b;c=d"], id="4.1-empty-parameter"),
        pytest.param("Accept", ['a/b;c="x, Y", d/e'], ['D/E,a/b;c="x, Y"'], id="4.1-quoted-parameter"),
        pytest.param("Content-Language", ["de-AT, EN"], ["de-at", "en"], id="4.1-case-content-language"),
        pytest.param("Content-Encoding", ["GZIP"], ["gzip"], id="4.1-case-content-coding"),
        pytest.param("Access-Control-Request-Headers", ["X-A,x-b"], ["x-a, X-B"], id="4.1-case-field-names"),
        pytest.param("User-Agent", ["a (b, c)"], ["a (b, c)"], id="4.1-equal-single"),
        pytest.param("Cookie", [""], [""], id="4.1-empty-single"),
    ],
)
def test_match(name: str, one: list[str], other: list[str]) -> None:
    assert same(name, one, other)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        pytest.param("Foo", ["1"], ["2"], id="4.1-values-differ"),
        pytest.param("Foo", ["1"], [], id="4.1-omitted"),
        pytest.param("Foo", [], ["1"], id="4.1-added"),
        pytest.param("Foo", [""], [], id="4.1-empty-is-not-absent"),
        pytest.param("Accept-Encoding", [], [","], id="RFC9110-12.5.3-empty-is-not-absent"),
        pytest.param("Cookie", [""], [], id="4.1-empty-single-is-not-absent"),
        pytest.param("Foo", ["a"], ["A"], id="4.1-unknown-case"),
        pytest.param("Foo", ["1, 2"], ["2, 1"], id="4.1-unknown-order"),
        pytest.param("Foo", ["1 2"], ["12"], id="4.1-whitespace-that-counts"),
        pytest.param("Content-Encoding", ["gzip, br"], ["br, gzip"], id="4.1-order-of-codings"),
        pytest.param("User-Agent", ["a (b, c)"], ["a (b,c)"], id="4.1-single-whitespace"),
        pytest.param("Accept-Encoding", ["gzip;q=0.5"], ["gzip"], id="4.1-weights-differ"),
        pytest.param("Accept-Encoding", ["gzip;q=2"], ["gzip"], id="4.1-invalid-weight"),
        pytest.param("Accept", ["a/b;c=D"], ["a/b;c=d"], id="4.1-parameter-case"),
        pytest.param("Accept", ["a/b;q=1;c=d"], ["a/b;c=d"], id="4.1-weight-not-last"),
        pytest.param("Accept", ["a/b;c"], ["a/b;c="], id="4.1-parameter-without-value"),
        pytest.param("*", ["1"], ["1"], id="4.1-star"),
        pytest.param("*", [], [], id="4.1-star-absent"),
    ],
)
def test_no_match(name: str, one: list[str], other: list[str]) -> None:
    assert not same(name, one, other)


def test_4_1_selecting_shape() -> None:
    request = CIMultiDict([("accept-LANGUAGE", "de, EN"), ("B", "2"), ("X", "9")])
    assert selecting(["b , Accept-Language", "Missing, B"], request) == (
        ("accept-language", "de, en"),
        ("b", "2"),
        ("missing", ""),
    )
    assert selecting([], request) == ()


@pytest.mark.parametrize("vary", [["*"], ["*, *"], ["", "*"], [", *"], ["Foo, *"], ["*, Foo"]])
def test_4_1_star_among_others_never_matches(vary: list[str]) -> None:
    request = CIMultiDict({"Foo": "1"})
    assert not matches(selecting(vary, request), request)


NAMES = st.sampled_from(["Accept", "Accept-Encoding", "Cookie", "Foo"])
REQUESTS = st.lists(st.tuples(NAMES, st.text(' ,;="q01aB*/.\\', max_size=12)), max_size=6).map(CIMultiDict)


@given(st.lists(NAMES), REQUESTS)
def test_4_1_a_request_matches_itself(vary: list[str], request_fields: CIMultiDict[str]) -> None:
    assert matches(selecting(vary, request_fields), request_fields)


@given(st.permutations(["gzip", "br;q=0.5", "zstd;q=0", "*"]))
def test_rfc9110_12_5_order_of_preferences_means_nothing(members: list[str]) -> None:
    assert same("Accept-Encoding", ["gzip, br;q=0.5, zstd;q=0, *"], [", ".join(members)])


def test_4_1_every_nominated_field_has_to_match() -> None:
    """Over several lines of Vary, and with one that both requests lack (§4.1)."""
    stored = selecting(["Foo, Accept-Language", "X-Absent", "bar"], CIMultiDict({"Foo": "1", "Accept-Language": "de"}))
    assert matches(stored, CIMultiDict({"foo": "1", "accept-language": "DE", "Other": "x"}))
    assert not matches(stored, CIMultiDict({"Foo": "1", "Accept-Language": "en"}))
    assert not matches(stored, CIMultiDict({"Foo": "1", "Accept-Language": "de", "X-Absent": "1"}))
    assert not matches(stored, CIMultiDict({"Foo": "1", "Accept-Language": "de", "Bar": ""}))


def variant(date: float, foo: str | None = None, *, received: float = 9.0, outdated: bool = False) -> StoredResponse:
    nominated = () if foo is None else (("foo", foo),)
    terms = Terms(date=date)
    return StoredResponse("k", 200, "OK", b"", b"", terms, nominated, None, None, 1.0, received, 0.0, outdated=outdated)


def test_4_1_select_the_most_recent_match() -> None:
    request = CIMultiDict({"Foo": "1"})
    old, new, other, plain = variant(1.0, "1"), variant(2.0, "1"), variant(9.0, "2"), variant(1.5)
    for variants in ((old, new, other, plain), (plain, other, new, old)):
        assert select(variants, request) is new
    assert select((other, plain), request) is plain
    assert select((other,), request) is None
    assert select((), request) is None


@pytest.mark.parametrize(
    ("preferred", "other"),
    [
        pytest.param(variant(2.0, received=1.0), variant(1.0, received=2.0), id="4-date-before-time-of-receipt"),
        pytest.param(variant(1.0, received=2.0), variant(1.0, received=1.0), id="4-of-one-date-the-later-received"),
        pytest.param(variant(1.0), variant(2.0, outdated=True), id="4-outdated-is-not-suitable"),
        pytest.param(variant(2.0, outdated=True), variant(1.0, outdated=True), id="4-outdated-both"),
    ],
)
def test_select_by_date(preferred: StoredResponse, other: StoredResponse) -> None:
    assert select((preferred, other), CIMultiDict()) is preferred
    assert select((other, preferred), CIMultiDict()) is preferred
