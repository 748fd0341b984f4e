import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.records import (
    Charge,
    Entry,
    Forced,
    Grant,
    Lapse,
    LedgerCorrupt,
    Refund,
    Release,
    Reserve,
    Settle,
    Term,
    decode,
    encode,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TOKENS = st.integers(0, 2**53)
TIMES = st.floats(0, 1e11)
TERMS = st.builds(Term, st.integers(-1, 2**40), TOKENS)
LINES = st.lists(st.tuples(NAMES, TOKENS), max_size=3).map(tuple)
RESERVES = st.builds(
    Reserve, TOKENS, NAMES, NAMES, NAMES, NAMES, st.none() | st.integers(0, 2**40), TOKENS, LINES, TIMES
)
RECORDS = st.one_of(
    st.builds(Grant, NAMES, TOKENS, TERMS, TERMS),
    st.builds(Lapse, NAMES, TOKENS),
    st.builds(Charge, NAMES, NAMES, NAMES, TOKENS, TOKENS, TOKENS, st.booleans()),
    RESERVES,
    st.builds(Settle, RESERVES, TOKENS, st.booleans(), NAMES, TIMES),
    st.builds(Release, RESERVES, st.booleans(), NAMES, TIMES),
    st.builds(Refund, RESERVES, TOKENS, st.booleans(), NAMES, TIMES),
    st.builds(Forced, NAMES, TIMES, TIMES),
)


@given(st.lists(st.tuples(RECORDS, st.integers(1, 1000)), max_size=5))
def test_a_group_reads_as_it_was_written(entries: list[Entry]) -> None:
    found = decode(encode(entries))
    assert found == entries
    assert [type(record) for record, _ in found] == [type(record) for record, _ in entries]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"[[", id="not JSON"),
        pytest.param(b"7", id="not a list"),
        pytest.param(b'[["lapse",1]]', id="no fields"),
        pytest.param(orjson.dumps([["lapse", 1, ["acme"]]]), id="a field missing"),
        pytest.param(orjson.dumps([["lapse", 1, ["acme", "7"]]]), id="a field of another type"),
        pytest.param(orjson.dumps([["gift", 1, ["acme", 7]]]), id="unknown kind"),
        pytest.param(orjson.dumps([["reserve", 1, [1, "a"]]]), id="half a reservation"),
        pytest.param(orjson.dumps([["release", 1, [[1, "a"], True, "x", 1.0]]]), id="half a reservation inside"),
    ],
)
def test_what_was_not_written_so_is_refused(payload: bytes) -> None:
    with pytest.raises(LedgerCorrupt):
        decode(payload)


def test_an_integer_beyond_64_bits_is_not_written() -> None:
    with pytest.raises(TypeError):
        encode([(Lapse("acme", 2**64), 1)])
