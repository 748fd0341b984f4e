from typing import get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.encoding import _KINDS, decode, encode, line, payload
from gateway.ledger.records import (
    Charge,
    Correction,
    Entry,
    Forced,
    Grant,
    Joined,
    Kept,
    Lapse,
    LedgerCorrupt,
    Lines,
    Opening,
    Position,
    Record,
    Refund,
    Release,
    Renamed,
    Reserve,
    Sale,
    Settle,
    Spend,
    Term,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TOKENS = st.integers(0, 2**53)
TIMES = st.floats(0, 1e11)
TERMS = st.builds(Term, st.integers(-1, 2**40), TOKENS)
LINES = st.lists(st.tuples(NAMES, TOKENS), max_size=3).map(tuple)
RESERVES = st.builds(
    Reserve,
    TOKENS,
    NAMES,
    NAMES,
    NAMES,
    NAMES,
    NAMES,
    st.none() | st.integers(0, 2**40),
    TOKENS,
    LINES,
    NAMES,
    TIMES,
)
RECORDS = st.one_of(
    st.builds(Grant, NAMES, TOKENS, TERMS, TERMS, TIMES),
    st.builds(Lapse, NAMES, TOKENS, TIMES),
    st.builds(Correction, NAMES, st.integers(-(2**53), 2**53), NAMES, TIMES),
    st.builds(Renamed, NAMES, NAMES, TOKENS, TOKENS, TOKENS, TOKENS, TERMS, TERMS, TERMS, TIMES),
    st.builds(Charge, NAMES, NAMES, NAMES, NAMES, NAMES, TOKENS, TOKENS, NAMES, st.booleans()),
    RESERVES,
    st.builds(Sale, RESERVES, NAMES),
    st.builds(Settle, RESERVES, TOKENS, st.booleans(), NAMES, TIMES),
    st.builds(Release, RESERVES, st.booleans(), NAMES, TIMES),
    st.builds(Refund, RESERVES, TOKENS, st.booleans(), NAMES, TIMES),
    st.builds(Spend, NAMES, NAMES, NAMES, NAMES, TOKENS, TOKENS),
    st.builds(Kept, NAMES, NAMES, NAMES, TOKENS, TIMES, NAMES),
    st.builds(Forced, NAMES, TIMES, TIMES, NAMES, TIMES),
    st.builds(Joined, NAMES, TIMES),
    st.builds(Opening, NAMES, TOKENS, TOKENS, TOKENS, TOKENS, TERMS, TIMES),
    st.builds(Position, st.integers(0, 15), NAMES, TOKENS, st.lists(NAMES, max_size=3).map(tuple)),
)


def test_every_kind_of_record_is_written_and_read() -> None:
    assert set(_KINDS) == set(get_args(Record))


@given(st.lists(st.tuples(RECORDS, st.integers(1, 1000)), max_size=5))
def test_a_group_reads_as_it_was_written(entries: list[Entry]) -> None:
    found = decode(encode(entries))
    assert found == entries
    assert [type(record) for record, _ in found] == [type(record) for record, _ in entries]


@given(st.lists(st.tuples(RECORDS, st.integers(1, 2**40)), max_size=5))
def test_a_line_says_how_often_it_is_there(entries: list[Entry]) -> None:
    assert payload([line(record) % count for record, count in entries]) == encode(entries)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"[[", id="not JSON"),
        pytest.param(b"7", id="not a list"),
        pytest.param(b'[["lapse",1]]', id="no fields"),
        pytest.param(orjson.dumps([["lapse", 1, ["acme"]]]), id="a field missing"),
        pytest.param(orjson.dumps([["lapse", 1, ["acme", "7", 1.0]]]), id="a field of another type"),
        pytest.param(orjson.dumps([["lapse", 1, ["acme", 7]]]), id="the former version's"),
        pytest.param(orjson.dumps([["gift", 1, ["acme", 7, 1.0]]]), id="unknown kind"),
        pytest.param(orjson.dumps([["grant", 1, ["acme", 7, [1], [1, 2], 1.0]]]), id="half a term"),
        pytest.param(orjson.dumps([["reserve", 1, [1, "a"]]]), id="half a reservation"),
        pytest.param(orjson.dumps([["release", 1, [[1, "a"], True, "x", 1.0]]]), id="half a reservation inside"),
    ],
)
def test_what_was_not_written_so_is_refused(payload: bytes) -> None:
    with pytest.raises(LedgerCorrupt):
        decode(payload)


def test_an_integer_beyond_64_bits_is_not_written() -> None:
    with pytest.raises(TypeError):
        encode([(Lapse("acme", 2**64, 1.0), 1)])


@pytest.mark.parametrize(
    ("tokens", "lines", "plain"),
    [
        pytest.param(1, (("base", 1),), True, id="base alone"),
        pytest.param(6, (("base", 1), ("offers", 5)), False, id="with options"),
        pytest.param(4, (("base", 1), ("force_refresh", 3)), False, id="with a surcharge"),
        pytest.param(1, (("base", 1), ("offers", 0)), True, id="options for nothing"),
        pytest.param(0, (("base", 0),), True, id="for nothing"),
        pytest.param(5, (), True, id="no lines"),
    ],
)
def test_what_costs_its_base_alone_is_plain(tokens: int, lines: Lines, plain: bool) -> None:
    assert Reserve(1, "ci", "acme", "acme", "p", "api", 7, tokens, lines, "x", 1.0).plain is plain
