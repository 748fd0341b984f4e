import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger.fleets import granted
from ledger.samples import CHARGE, reserve

from gateway.ledger import encoding
from gateway.ledger.decoding import Decoding
from gateway.ledger.records import Entry, LedgerCorrupt

OTHER = CHARGE._replace(account="a,b", outcome="revalidated")
ENTRIES = st.tuples(st.sampled_from([CHARGE, OTHER, granted(), reserve(1)]), st.integers(-3, 300))


@given(st.lists(st.lists(ENTRIES, max_size=3), max_size=12), st.integers(1, 2))
def test_it_says_what_was_written(groups: list[list[Entry]], most: int) -> None:
    decoding = Decoding(most)
    for entries in groups:
        assert list(decoding(encoding.encode(entries))) == entries


def test_equal_charges_are_the_same_one() -> None:
    decoding = Decoding()
    ((first, one),), ((second, seven),) = (decoding(encoding.encode([(CHARGE, count)])) for count in (1, 7))
    assert (first is second, one, seven) == (True, 1, 7)


def test_it_remembers_so_many_and_no_more() -> None:
    decoding = Decoding(2)
    charges = [CHARGE._replace(minute=minute) for minute in range(3)]
    first, *_ = [decoding(encoding.encode([(charge, 1)]))[0][0] for charge in charges]
    again = decoding(encoding.encode([(charges[0], 1)]))[0][0]
    assert again == first
    assert again is not first


@pytest.mark.parametrize("count", [b"", b"1_0", b"x", b"\xd9\xa1"])
def test_what_is_no_number_is_refused_before_and_after(count: bytes) -> None:
    decoding, payload = Decoding(), encoding.encode([(CHARGE, 1)])
    wrong = payload.replace(b",1,", b",%b," % count, 1)
    for _ in range(2):
        with pytest.raises(LedgerCorrupt):
            decoding(wrong)
        assert list(decoding(payload)) == [(CHARGE, 1)]
