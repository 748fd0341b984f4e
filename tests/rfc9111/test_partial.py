"""RFC 9111 §3.3 and §3.4, RFC 9110 §15.3.7."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.partial import Part, combined, part_of
from gateway.rfc9111.ranges import Span

CONTENT = b"0123456789"
TOTAL = len(CONTENT)

POSITIONS = st.integers(0, TOTAL - 1)
SPANS = st.tuples(POSITIONS, POSITIONS).map(lambda pair: Span(min(pair), max(pair), TOTAL))


def part(span: Span, etag: str | None = '"a"') -> Part:
    return Part(span, CONTENT[span.first : span.last + 1], etag)


def at(first: int, last: int, etag: str | None = '"a"') -> Part:
    return part(Span(first, last, TOTAL), etag)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["bytes 2-4/10"], Span(2, 4, 10), id="14.4"),
        pytest.param(["BYTES 0-2/3"], Span(0, 2, 3), id="14.1-case"),
        pytest.param(["bytes 7-9/10"], Span(7, 9, 10), id="14.4-last"),
        pytest.param(["bytes 2-4/*"], None, id="14.4-unknown-total"),
        pytest.param(["bytes */10"], None, id="14.4-unsatisfied"),
        pytest.param(["bytes 8-10/10"], None, id="14.4-beyond-total"),
        pytest.param(["bytes 4-2/10"], None, id="14.4-backwards"),
        pytest.param(["bytes 2-5/10"], None, id="14.4-longer-than-the-content"),
        pytest.param(["bytes 2-3/10"], None, id="14.4-shorter-than-the-content"),
        pytest.param(["bytes=2-4/10"], None, id="14.4-syntax"),
        pytest.param(["items 2-4/10"], None, id="14.4-unit"),
        pytest.param([f"bytes 2-4/{'9' * 5000}"], None, id="14.4-overflowing"),
        pytest.param(["bytes 2-4/10", "bytes 2-4/10"], None, id="5.3-two-lines"),
        pytest.param([], None, id="15.3.7.2-several-parts"),
    ],
)
def test_part_of(lines: list[str], expected: Span | None) -> None:
    fields = CIMultiDict([("Content-Range", line) for line in lines], ETag='"a"')
    assert part_of(fields, b"abc") == (expected and Part(expected, b"abc", '"a"'))


def test_3_3_part_of_without_content() -> None:
    assert part_of(CIMultiDict({"Content-Range": "bytes 1-0/10"}), b"") is None


def test_3_4_part_of_without_etag() -> None:
    assert part_of(CIMultiDict({"Content-Range": "bytes 0-0/10"}), b"a") == Part(Span(0, 0, 10), b"a", None)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(at(0, 3), at(4, 6), at(0, 6), id="3.4-touching"),
        pytest.param(at(0, 3), at(2, 6), at(0, 6), id="3.4-overlapping"),
        pytest.param(at(0, 9), at(2, 6), at(0, 9), id="3.4-within"),
        pytest.param(at(2, 4), at(2, 6), at(2, 6), id="3.4-same-first"),
        pytest.param(at(2, 6), at(4, 6), at(2, 6), id="3.4-same-last"),
        pytest.param(at(2, 4), at(2, 4), at(2, 4), id="3.4-same"),
        pytest.param(at(0, 3), at(5, 6), None, id="3.4-apart"),
        pytest.param(at(0, 3, 'W/"a"'), at(4, 6, 'W/"a"'), None, id="15.3.7.3-weak"),
        pytest.param(at(0, 3), at(4, 6, '"b"'), None, id="15.3.7.3-other"),
        pytest.param(at(0, 3), at(4, 6, None), None, id="15.3.7.3-one-without"),
        pytest.param(at(0, 3, None), at(4, 6, None), None, id="15.3.7.3-both-without"),
        pytest.param(at(0, 3), Part(Span(4, 4, 99), b"4", '"a"'), None, id="14.4-another-total"),
    ],
)
def test_combined(one: Part, other: Part, expected: Part | None) -> None:
    assert combined(one, other) == expected
    assert combined(other, one) == expected


def test_3_4_whole() -> None:
    assert at(0, 9).whole
    assert not at(0, 8).whole
    assert not at(1, 9).whole


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param((2, 6), b"23456", id="3.4-same"),
        pytest.param((3, 5), b"345", id="3.4-within"),
        pytest.param((2, 2), b"2", id="3.4-first"),
        pytest.param((6, 6), b"6", id="3.4-last"),
        pytest.param((4, 7), None, id="3.4-beyond-its-end"),
        pytest.param((1, 4), None, id="3.4-before-its-beginning"),
        pytest.param((0, 9), None, id="3.4-around"),
        pytest.param((7, 9), None, id="3.4-touching"),
        pytest.param((0, 1), None, id="3.4-touching-backwards"),
    ],
)
def test_cut(wanted: tuple[int, int], expected: bytes | None) -> None:
    assert at(2, 6).cut(Span(*wanted, TOTAL)) == expected


@given(SPANS, SPANS)
def test_3_4_a_combination_holds_the_bytes_of_both(one: Span, other: Span) -> None:
    both = combined(part(one), part(other))
    if both is None:
        assert one.last + 1 < other.first or other.last + 1 < one.first
    else:
        assert both == at(min(one.first, other.first), max(one.last, other.last))
