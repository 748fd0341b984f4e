import pytest
from ledger.samples import CHARGE, FORCED, GRANT, reserve

from gateway.ledger.chain import Row
from gateway.ledger.postings import Amounts, OpenKey, Postings
from gateway.ledger.records import (
    BEFORE_ANY,
    Correction,
    Joined,
    Kept,
    Lapse,
    Opening,
    Record,
    Refund,
    Release,
    Renamed,
    Sale,
    Settle,
    Spend,
    Term,
)

NOW = CHARGE.minute
AT = 60.0 * NOW + 1.5
FULL, PLAIN = reserve(4), reserve(5, 1)
UNLIMITED = FULL._replace(period=None)
KEY = OpenKey(NOW, "lookups", "ci", "product", 6, "acme", "acme", "api")
DETAILS = f'{{"lines":[["base",1],["force_refresh",8]],"reserved":9,"began":50.0,"ended":{AT}}}'
SOLD = f'{{"lines":[["base",1],["force_refresh",8]],"reserved":6,"began":{AT},"ended":{AT}}}'
OPERATION = Row("charge", NOW, "ci", "acme", "acme", "product", "api", 4, "request-4", details=DETAILS)
RENAMED = Renamed("old", "new", 100, 60, 10, 30, Term(8, 90), Term(8, 90), BEFORE_ANY, AT)


def gathered(record: Record, count: int = 1, first: int = 0) -> Postings:
    postings = Postings(first)
    postings.add(record, count)
    return postings


@pytest.mark.parametrize(
    ("record", "count", "key", "amounts"),
    [
        pytest.param(CHARGE, 3, KEY, Amounts(3, 0, 18, 0, 0), id="hits"),
        pytest.param(CHARGE._replace(unlimited=True), 2, KEY, Amounts(2, 12, 12, 0, 0), id="unlimited hits"),
        pytest.param(
            Settle(PLAIN, 1, False, "hit", AT), 1, KEY._replace(tokens=1), Amounts(1, 0, 1, 0, 0), id="plain settle"
        ),
        pytest.param(
            Settle(PLAIN._replace(period=None), 1, False, "hit", AT),
            1,
            KEY._replace(tokens=1),
            Amounts(1, 1, 1, 0, 0),
            id="unlimited plain settle",
        ),
        pytest.param(
            Settle(PLAIN, 0, True, "hit", AT), 1, KEY._replace(tokens=0), Amounts(1, 0, 0, 1, 0), id="lapsing settle"
        ),
        pytest.param(
            Release(PLAIN, False, "hit", AT), 1, KEY._replace(tokens=0), Amounts(1, 0, 0, 0, 0), id="plain release"
        ),
        pytest.param(
            Release(PLAIN, True, "hit", AT), 1, KEY._replace(tokens=0), Amounts(1, 0, 0, 1, 0), id="lapsing release"
        ),
    ],
)
def test_plain_lookups_add_up_in_one_row(record: Record, count: int, key: OpenKey, amounts: Amounts) -> None:
    postings = gathered(record, count)
    amounts.outcomes["hit"] = count
    assert postings.open == {key: amounts}
    assert postings.sealed == []


def test_what_differs_in_outcome_alone_is_one_row() -> None:
    postings = gathered(CHARGE, 3)
    postings.add(CHARGE._replace(outcome="stale"), 2)
    postings.add(CHARGE, 1)
    assert postings.open[KEY].outcomes == {"hit": 4, "stale": 2}
    assert postings.open[KEY].count == 6


def test_what_the_vendor_charges_is_nobodys_balance() -> None:
    postings = gathered(Spend("ci", "acme", "product", "api", 7, NOW), 2)
    assert postings.open == {KEY._replace(kind="spend", tokens=0, holder=""): Amounts(2, 0, 0, 0, 14)}
    assert postings.sealed == []


@pytest.mark.parametrize(
    ("record", "row"),
    [
        pytest.param(
            GRANT,
            Row("grant", 0, holder="acme", tokens=2000, granted=2000, details='{"period":7,"given":2000}'),
            id="grant",
        ),
        pytest.param(Lapse("acme", 8, AT), Row("lapse", NOW, holder="acme", tokens=8, lapsed=8), id="lapse"),
        pytest.param(
            Correction("acme", -8, "twice", AT),
            Row("correction", NOW, holder="acme", tokens=-8, granted=-8, details='{"reason":"twice"}'),
            id="correction",
        ),
        pytest.param(
            Opening("acme", 90, 30, 20, 40, Term(8, 60), AT),
            Row("opening", NOW, holder="acme", granted=90, charged=30, lapsed=20, details='{"period":8,"given":60}'),
            id="opening",
        ),
        pytest.param(Joined("fleet", AT), Row("joined", NOW, details='{"fleet":"fleet"}'), id="joined"),
        pytest.param(
            Sale(FULL._replace(tokens=6, at=AT), "hit"),
            OPERATION._replace(tokens=6, count=1, charged=6, outcomes='{"hit":1}', details=SOLD),
            id="sale",
        ),
        pytest.param(
            Sale(UNLIMITED._replace(tokens=6, at=AT), "hit"),
            OPERATION._replace(tokens=6, count=1, granted=6, charged=6, outcomes='{"hit":1}', details=SOLD),
            id="unlimited sale",
        ),
        pytest.param(
            Settle(FULL, 6, False, "miss", AT),
            OPERATION._replace(tokens=6, count=1, charged=6, outcomes='{"miss":1}'),
            id="settle",
        ),
        pytest.param(
            Settle(FULL, 6, True, "miss", AT),
            OPERATION._replace(tokens=6, count=1, charged=6, lapsed=3, outcomes='{"miss":1}'),
            id="lapsing settle",
        ),
        pytest.param(
            Settle(UNLIMITED, 6, False, "miss", AT),
            OPERATION._replace(tokens=6, count=1, granted=6, charged=6, outcomes='{"miss":1}'),
            id="unlimited settle",
        ),
        pytest.param(
            Release(FULL, False, "failed", AT),
            OPERATION._replace(kind="release", count=1, outcomes='{"failed":1}'),
            id="release",
        ),
        pytest.param(
            Release(FULL._replace(request=""), True, "failed", AT),
            OPERATION._replace(kind="release", request=None, count=1, lapsed=9, outcomes='{"failed":1}'),
            id="lapsing release, no request's id",
        ),
        pytest.param(
            Refund(FULL, 6, False, "truncated", AT),
            OPERATION._replace(kind="refund", tokens=-6, charged=-6, outcomes='{"truncated":1}'),
            id="refund",
        ),
        pytest.param(
            Refund(FULL, 6, True, "truncated", AT),
            OPERATION._replace(kind="refund", tokens=-6, charged=-6, lapsed=6, outcomes='{"truncated":1}'),
            id="lapsing refund",
        ),
        pytest.param(
            Refund(UNLIMITED, 6, False, "truncated", AT),
            OPERATION._replace(kind="refund", tokens=-6, granted=-6, charged=-6, outcomes='{"truncated":1}'),
            id="unlimited refund",
        ),
    ],
)
def test_all_else_is_a_record_of_its_own(record: Record, row: Row) -> None:
    postings = gathered(record)
    assert postings.sealed == [row]
    assert postings.open == {}


def test_a_renamed_holder_is_a_record_on_each_side() -> None:
    lost, gained = gathered(RENAMED).sealed
    assert (lost.holder, lost.granted, lost.charged, lost.lapsed) == ("old", -100, -60, -10)
    assert (gained.holder, gained.granted, gained.charged, gained.lapsed) == ("new", 100, 60, 10)
    assert lost.kind == gained.kind == "renamed"
    assert lost.details == gained.details == '{"former":"old","holder":"new"}'


def test_equal_records_of_a_group_are_as_many_in_the_chain() -> None:
    assert len(gathered(Correction("acme", 5, "gift", AT), 3).sealed) == 3


@pytest.mark.parametrize("record", [FULL, FORCED, Kept("ci", "k", "f", 4, 1.0, "")], ids=["reserve", "forced", "kept"])
def test_some_records_are_no_postings(record: Record) -> None:
    postings = gathered(record)
    assert (postings.open, postings.sealed) == ({}, [])


@pytest.mark.parametrize(
    "record",
    [
        CHARGE,
        Spend("ci", "acme", "product", "api", 7, NOW),
        Settle(PLAIN, 1, False, "miss", AT),
        Sale(FULL, "hit"),
        Settle(FULL, 1, False, "miss", AT),
        GRANT,
        Lapse("acme", 8, AT),
        Correction("acme", 1, "gift", AT),
        RENAMED,
    ],
    ids=lambda record: type(record).__name__,
)
def test_nothing_is_posted_to_a_minute_that_is_sealed(record: Record) -> None:
    postings = gathered(record, first=NOW + 5)
    assert {key.minute for key in postings.open} | {row.minute for row in postings.sealed} == {NOW + 5}
