import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger.folders import NOVEMBER, Store, refund, release, reserve, settle

from gateway.errors import Reason
from gateway.ledger.receipts import _OPERATIONS, operation_of, receipt, receipt_id, receipts, utc
from gateway.ledger.recovery import BOOK


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "var")) as store:
        yield store


@pytest.fixture
def db(store: Store) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(store.folder / BOOK)) as db:
        yield db


def test_a_charge_with_the_lines_that_were_paid(store: Store, db: sqlite3.Connection) -> None:
    reserved = reserve(171, "ci", request="abc")
    store.post(reserved, settle(reserved, 6, "undelivered"))
    assert receipt(db, "ci", 171) == {
        "id": "rcpt_ab",
        "request_id": "abc",
        "route": "product",
        "at": "2026-11-01T00:00:01.500Z",
        "tokens": 6,
        "charged": 6,
        "refunded": 0,
        "outcome": "undelivered",
        "why": "A force refresh that brought no news: the upstream refused the request (4xx).",
        "lines": [{"name": "base", "tokens": 1}, {"name": "offers", "tokens": 5}],
        "reserved": 9,
    }


def test_a_refund_is_part_of_the_receipt(store: Store, db: sqlite3.Connection) -> None:
    reserved = reserve(1, "ci")
    store.post(reserved, settle(reserved, 9, "passed"))
    store.post(refund(reserved))
    found = receipt(db, "ci", 1)
    assert found is not None
    assert (found["tokens"], found["charged"], found["refunded"]) == (0, 9, 9)
    assert (found["outcome"], found["at"]) == ("truncated", "2026-11-01T00:00:02.000Z")
    assert [line["tokens"] for line in found["lines"]] == [1, 5, 3]  # type: ignore[attr-defined]  # a list of dicts


WHYS = {
    "upstream_error": Reason.upstream_error.title,
    "abandoned": "The gateway died meanwhile; given back at its next start.",
    "an outcome of former times": "an outcome of former times",
}


@pytest.mark.parametrize(("outcome", "why"), WHYS.items(), ids=WHYS)
def test_what_ended_free_says_why(store: Store, db: sqlite3.Connection, outcome: str, why: str) -> None:
    reserved = reserve(1, "ci")
    store.post(reserved, release(reserved, outcome))
    found = receipt(db, "ci", 1)
    assert found is not None
    assert (found["tokens"], found["why"], found["lines"]) == (0, why, [])


def test_a_receipt_is_its_accounts_alone(store: Store, db: sqlite3.Connection) -> None:
    reserved = reserve(1, "ci")
    store.post(reserved, settle(reserved))
    assert receipt(db, "shop", 1) is None
    assert receipt(db, "ci", 2) is None
    assert receipts(db, "shop") == []


def test_what_is_under_way_has_none_yet(store: Store, db: sqlite3.Connection) -> None:
    store.post(reserve(1, "ci"))
    assert receipt(db, "ci", 1) is None


def test_the_newest_first_and_by_request(store: Store, db: sqlite3.Connection) -> None:
    for number, request in enumerate(("a", "b", "a", "c"), start=1):
        reserved = reserve(number, "ci", at=NOVEMBER + number, request=request)
        store.post(reserved, settle(reserved))
    assert [found["id"] for found in receipts(db, "ci")] == ["rcpt_4", "rcpt_3", "rcpt_2", "rcpt_1"]
    assert [found["id"] for found in receipts(db, "ci", most=2)] == ["rcpt_4", "rcpt_3"]
    assert [found["id"] for found in receipts(db, "ci", request="a")] == ["rcpt_3", "rcpt_1"]


@pytest.mark.parametrize("narrowed", [("ended.operation = ?", 1), ("ended.request = ?", "a")], ids=lambda pair: pair[0])
def test_receipts_are_found_by_index(db: sqlite3.Connection, narrowed: tuple[str, object]) -> None:
    condition, value = narrowed
    plan = db.execute(f"EXPLAIN QUERY PLAN {_OPERATIONS} AND {condition}", ("ci", value)).fetchall()
    assert plan
    assert not [step for step in plan if step[3].startswith("SCAN")]


@given(st.integers(1, 2**63 - 1))
def test_an_id_is_read_back(operation: int) -> None:
    assert operation_of(receipt_id(operation)) == operation


NO_IDS = ["", "rcpt_", "rcpt_0", "rcpt_01", "rcpt_AB", "rcpt_g", "rcpt_ffffffffffffffff", "rcpt_1\n", "x_1", "rcpt_٣"]


@pytest.mark.parametrize("text", NO_IDS)
def test_what_is_no_id(text: str) -> None:
    assert operation_of(text) is None


def test_moments() -> None:
    assert utc(NOVEMBER + 0.25) == "2026-11-01T00:00:00.250Z"
