import pytest
from ledger.fleets import granted
from ledger.samples import CHARGE, reserve

from gateway.ledger import encoding
from gateway.ledger.records import Position, Record
from gateway.ledger.ring import Ring
from gateway.ledger.streaming import Gap, Place, Streamed, following, group, positions, streamed


def entry(number: int, *records: Record, shard: int = 3) -> Streamed:
    payload = encoding.encode((record, 1) for record in records)
    return streamed(shard, f"{number}-0", {b"s": b"%d" % number, b"g": payload})


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({b"s": b"1"}, id="no records"),
        pytest.param({b"g": b"[]"}, id="no number"),
        pytest.param({b"s": b"x", b"g": b"[]"}, id="another number"),
        pytest.param({b"s": b"1", b"g": b'[["charge",1,[]]]'}, id="no record"),
        pytest.param({b"s": b"1", b"g": b"\xff"}, id="no text"),
    ],
)
def test_what_is_no_entry_is_a_gap(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(Gap, match="entry 1-0 of shard 3 cannot be read"):
        streamed(3, "1-0", fields)


def test_what_is_known_is_left_out_and_nothing_is_passed_over() -> None:
    entries = [entry(number) for number in range(1, 5)]
    assert following(Place("2-0", 2), entries) == entries[2:]
    assert following(Place("9-0", 9), entries) == []
    with pytest.raises(Gap, match="records 2 to 3 of shard 3 are missing"):
        following(Place("1-0", 1), entries[3:])
    with pytest.raises(Gap, match="records 1 to 1"):
        following(Place(), [entries[1]])


def test_a_group_says_up_to_where_it_goes_and_whom_it_meets_first() -> None:
    entries = [
        entry(1, granted()),
        entry(2, CHARGE, reserve(1)._replace(holder="ci")),
        entry(7, granted(9, "b"), shard=5),
    ]
    reached = positions(entries, {"ci": 3})
    assert reached == [Position(3, "2-0", 2, ("acme",)), Position(5, "7-0", 7, ("b",))]
    records = [record for streamed in entries for record in streamed.entries]
    payload, told = group(entries, reached)
    assert told == [*records, *((position, 1) for position in reached)]
    assert encoding.decode(payload) == told


def test_equal_charges_are_one_in_a_group() -> None:
    other = CHARGE._replace(account="b")
    entries = [entry(1, CHARGE), entry(2, CHARGE, other), entry(3, granted(), other), entry(4, CHARGE)]
    payload, told = group(entries, [])
    assert told == [(granted(), 1), (other, 1), (CHARGE, 3), (other, 1)]
    assert encoding.decode(payload) == told


def test_entries_without_records_make_a_group_all_the_same() -> None:
    payload, told = group([entry(1)], [Position(3, "1-0", 1, ())])
    assert told == encoding.decode(payload) == [(Position(3, "1-0", 1, ()), 1)]


def test_a_ring_remembers_the_latest_within_its_bytes() -> None:
    ring = Ring(most=5 * 402)
    for number in range(1, 9):
        ring.add(entry(number))
    assert ring.latest(3) == 8
    assert [one.number for one in ring.after(3, 5, 2)] == [6, 7]
    assert [one.number for one in ring.after(3, 3, 9)] == [4, 5, 6, 7, 8]
    assert ring.after(3, 2, 9) == []
    assert ring.after(3, 8, 9) == []
    assert [one.number for one in ring.upto(3, 6)] == [4, 5, 6]
    assert ring.upto(3, 9) == ring.upto(3, 3) == ring.upto(4, 1) == []
    assert (ring.latest(4), ring.after(4, 0, 1)) == (0, [])


def test_a_ring_forgets_the_oldest_of_all_shards() -> None:
    ring = Ring(most=3 * 402)
    for number, shard in [(1, 1), (1, 2), (2, 1), (2, 2)]:
        ring.add(entry(number, shard=shard))
    assert ring.after(1, 0, 9) == []
    assert [one.number for one in ring.after(2, 0, 9)] == [1, 2]
