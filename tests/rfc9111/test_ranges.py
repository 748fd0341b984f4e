"""RFC 9110 §14 and §13.1.5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.dates import format_date
from gateway.rfc9111.ranges import Span, Unsatisfiable, asks_for_part, selected

NOW = 784111777.0
MADE = NOW - 100
MODIFIED = NOW - 1000
LENGTH = 10000

Part = Span | Unsatisfiable | None


def ranged(*lines: str, status: int = 200, length: int = LENGTH) -> Part:
    fields = CIMultiDict([("Range", line) for line in lines])
    return selected(fields, status, length, '"a"', None, MADE, NOW)


def held(
    *conditions: str,
    etag: str | None = '"a"',
    modified: float | None = MODIFIED,
    date: float = MADE,
    wanted: str = "0-9",
) -> Part:
    fields = CIMultiDict([("Range", f"bytes={wanted}"), *(("If-Range", condition) for condition in conditions)])
    last_modified = None if modified is None else format_date(modified)
    return selected(fields, 200, LENGTH, etag, last_modified, date, NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("bytes=0-499", Span(0, 499, LENGTH), id="14.1.2-first"),
        pytest.param("bytes=500-999", Span(500, 999, LENGTH), id="14.1.2-middle"),
        pytest.param("bytes=-500", Span(9500, 9999, LENGTH), id="14.1.2-suffix"),
        pytest.param("bytes=9500-", Span(9500, 9999, LENGTH), id="14.1.2-open-ended"),
        pytest.param("bytes=0-0", Span(0, 0, LENGTH), id="14.1.2-one-byte"),
        pytest.param("bytes=-1", Span(9999, 9999, LENGTH), id="14.1.2-last-byte"),
        pytest.param("bytes=0-", Span(0, 9999, LENGTH), id="14.1.2-all"),
        pytest.param("bytes=9999-9999", Span(9999, 9999, LENGTH), id="14.1.2-end"),
        pytest.param("bytes=9990-20000", Span(9990, 9999, LENGTH), id="14.1.2-beyond-the-end"),
        pytest.param("bytes=-20000", Span(0, 9999, LENGTH), id="14.1.2-suffix-longer-than-all"),
        pytest.param("BYTES=0-1", Span(0, 1, LENGTH), id="14.1-case"),
        pytest.param("bytes= 0-1", Span(0, 1, LENGTH), id="14.1.2-blank"),
        pytest.param("bytes=,0-1 ,", Span(0, 1, LENGTH), id="5.6.1-empty-members"),
        pytest.param("bytes=0000-0001", Span(0, 1, LENGTH), id="14.1.2-zeros"),
        pytest.param(f"bytes=5-{'9' * 5000}", Span(5, 9999, LENGTH), id="14.1.2-overflowing-last"),
        pytest.param(f"bytes=-{'9' * 5000}", Span(0, 9999, LENGTH), id="14.1.2-overflowing-suffix"),
        pytest.param(f"bytes={'0' * 5000}5-6", Span(5, 6, LENGTH), id="14.1.2-many-zeros"),
        pytest.param("bytes=10000-", Unsatisfiable(LENGTH), id="14.1.2-after-the-end"),
        pytest.param("bytes=10000-10001", Unsatisfiable(LENGTH), id="14.1.2-after-the-end-closed"),
        pytest.param("bytes=-0", Unsatisfiable(LENGTH), id="14.1.2-suffix-of-nothing"),
        pytest.param(f"bytes={'9' * 5000}-", Unsatisfiable(LENGTH), id="14.1.2-overflowing-first"),
        pytest.param("bytes=2-1", None, id="14.1.1-backwards"),
        pytest.param("bytes=20000-10000", None, id="14.1.1-backwards-after-the-end"),
        pytest.param("bytes=0-1,5-6", None, id="14.2-several"),
        pytest.param("bytes=0-1,-1", None, id="14.2-several-forms"),
        pytest.param("items=0-1", None, id="14.2-unit"),
        pytest.param("bytes", None, id="14.2-unit-alone"),
        pytest.param("bytes=", None, id="14.1.1-empty"),
        pytest.param("bytes=,", None, id="14.1.1-no-member"),
        pytest.param("bytes=-", None, id="14.1.1-no-number"),
        pytest.param("bytes=1", None, id="14.1.1-no-dash"),
        pytest.param("bytes=1-2-3", None, id="14.1.1-two-dashes"),
        pytest.param("bytes=--1", None, id="14.1.1-negative"),
        pytest.param("bytes=+1-2", None, id="14.1.1-sign"),
        pytest.param("bytes=1 -2", None, id="14.1.1-blank-inside"),
        pytest.param("bytes=0x0-0x1", None, id="14.1.1-hexadecimal"),
        pytest.param("bytes=\u0661-\u0662", None, id="14.1.1-other-digits"),
        pytest.param("bytes =0-1", None, id="14.1.1-blank-after-the-unit"),
        pytest.param("bytes:0-1", None, id="14.1.1-colon"),
        pytest.param("0-1", None, id="14.1.1-no-unit"),
        pytest.param("", None, id="14.2-empty"),
    ],
)
def test_selected(value: str, expected: Part) -> None:
    assert ranged(value) == expected


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=0-0", "bytes=-0", "bytes=-1"])
def test_14_1_2_nothing_has_no_parts(value: str) -> None:
    """14.2: it is sent whole."""
    assert ranged(value, length=0) is None


@pytest.mark.parametrize("lines", [[], ["bytes=0-1", "bytes=0-1"]])
def test_14_2_a_range_stands_on_one_line(lines: list[str]) -> None:
    """RFC 9110 §5.3: Range is no list, and two of them are no range."""
    assert ranged(*lines) is None


@pytest.mark.parametrize("status", [199, 201, 203, 204, 206, 304, 404, 500])
def test_14_2_only_a_200_has_ranges(status: int) -> None:
    """RFC 9110 §14.2."""
    assert ranged("bytes=0-1", status=status) is None


def test_14_2_asks_for_part() -> None:
    assert asks_for_part(CIMultiDict({"range": "x"}))
    assert not asks_for_part(CIMultiDict({"If-Range": '"a"'}))


def test_14_4_content_range() -> None:
    """RFC 9110 §14.4."""
    assert Span(0, 499, 1234).content_range == "bytes 0-499/1234"
    assert Unsatisfiable(1234).content_range == "bytes */1234"


@given(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 40)), st.integers(1, 30))
def test_14_1_2_a_range_is_the_slice_it_names(first: int, last: int | None, length: int) -> None:
    content = bytes(range(length))
    part = ranged(f"bytes={first}-{'' if last is None else last}", length=length)
    if last is not None and first > last:
        assert part is None
    elif first >= length:
        assert part == Unsatisfiable(length)
    else:
        assert isinstance(part, Span)
        assert content[part.first : part.last + 1] == content[first : None if last is None else last + 1]


@given(st.text(st.sampled_from("bytes=0123456789-, "), max_size=20), st.integers(0, 100))
def test_14_1_2_a_span_lies_within_the_content(text: str, length: int) -> None:
    part = ranged(f"bytes={text}", length=length)
    if isinstance(part, Span):
        assert 0 <= part.first <= part.last < part.total == length


WHOLE = None
FIRST = Span(0, 9, LENGTH)


@pytest.mark.parametrize(
    ("condition", "etag", "expected"),
    [
        pytest.param('"a"', '"a"', FIRST, id="13.1.5-same"),
        pytest.param('"b"', '"a"', WHOLE, id="13.1.5-other"),
        pytest.param('W/"a"', 'W/"a"', WHOLE, id="8.8.3.2-weak"),
        pytest.param('"a"', 'W/"a"', WHOLE, id="8.8.3.2-stored-weak"),
        pytest.param('W/"a"', '"a"', WHOLE, id="8.8.3.2-asked-weak"),
        pytest.param("a", "a", WHOLE, id="8.8.3-quotes-missing"),
        pytest.param('"a", "b"', '"a"', WHOLE, id="13.1.5-list"),
        pytest.param('"a"', None, WHOLE, id="13.1.5-none-stored"),
        pytest.param("*", '"a"', WHOLE, id="13.1.5-any"),
        pytest.param("", '"a"', WHOLE, id="13.1.5-empty"),
    ],
)
def test_if_range_with_an_entity_tag(condition: str, etag: str | None, expected: Part) -> None:
    assert held(condition, etag=etag) == expected


@pytest.mark.parametrize(
    ("condition", "modified", "date", "expected"),
    [
        pytest.param(format_date(MODIFIED), MODIFIED, MADE, FIRST, id="13.1.5-same"),
        pytest.param("Sunday, 06-Nov-94 08:32:57 GMT", MODIFIED, MADE, FIRST, id="5.6.7-rfc850"),
        pytest.param(format_date(MODIFIED + 1), MODIFIED, MADE, WHOLE, id="13.1.5-later"),
        pytest.param(format_date(MODIFIED - 1), MODIFIED, MADE, WHOLE, id="13.1.5-earlier"),
        pytest.param(format_date(MODIFIED), MODIFIED, MODIFIED + 1, FIRST, id="8.8.2.2-strong-after-a-second"),
        pytest.param(format_date(MODIFIED), MODIFIED, MODIFIED + 0.9, WHOLE, id="8.8.2.2-weak-within-the-second"),
        pytest.param(format_date(MODIFIED), MODIFIED, MODIFIED, WHOLE, id="8.8.2.2-weak-at-once"),
        pytest.param(format_date(MADE), None, MADE, WHOLE, id="13.1.5-none-stored"),
    ],
)
def test_if_range_with_a_date(condition: str, modified: float | None, date: float, expected: Part) -> None:
    assert held(condition, modified=modified, date=date) == expected


def test_13_1_5_if_range_stands_on_one_line() -> None:
    assert held('"a"', '"a"') is None


def test_13_1_5_a_failed_if_range_is_not_unsatisfiable() -> None:
    """RFC 9110 §15.5.17 with §13.1.5: Range is then as if it were not there."""
    assert held('"a"', wanted="20000-") == Unsatisfiable(LENGTH)
    assert held('"b"', wanted="20000-") is None


def test_13_1_5_if_range_without_range_asks_for_all() -> None:
    assert selected(CIMultiDict({"If-Range": '"a"'}), 200, LENGTH, '"a"', None, MADE, NOW) is None
