from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger.folders import LINES, NOVEMBER, Store, correction, filled, grant, lookup, release, reserve, settle

from gateway.errors import BadStart
from gateway.ledger.export import Exported, export, minute_of
from gateway.ledger.reader import reading

MINUTE = int(NOVEMBER // 60)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "var")) as store:
        yield store


def kinds(exported: list[Exported]) -> list[tuple[int | None, str]]:
    return [(record.number, record.kind) for record in exported]


def test_sealed_records_first_then_the_others(store: Store) -> None:
    store.post(grant("ci"), lookup("ci", 2))
    store.seal(NOVEMBER + 60)
    store.post(lookup("ci", 3, NOVEMBER + 60), correction("ci", 5, NOVEMBER + 60))
    reserved = reserve(1, "ci", at=NOVEMBER + 60)
    store.post(lookup("ci", 4, NOVEMBER + 60), reserved, release(reserved), booked=False)
    found = list(export(store.folder, MINUTE))
    assert kinds(found) == [
        (1, "grant"),
        (2, "lookups"),
        (3, "correction"),
        (None, "release"),
        (None, "lookups"),
        (None, "lookups"),
    ]
    assert [record.sealed for record in found] == [True] * 3 + [False] * 3
    assert [record.tokens for record in found] == [1000, 2, 5, 0, 3, 4]


def test_what_a_record_says(store: Store) -> None:
    reserved = reserve(171, "ci", request="=1+1")
    store.post(reserved, settle(reserved))
    assert list(export(store.folder, MINUTE)) == [
        Exported(
            number=1,
            sealed=True,
            kind="charge",
            minute="2026-11-01T00:00:00.000Z",
            account="ci",
            holder="ci",
            organization="acme",
            route="product",
            upstream="api",
            tokens=9,
            count=1,
            granted=0,
            charged=9,
            lapsed=0,
            cost=0,
            outcomes={"refreshed": 1},
            receipt="rcpt_ab",
            request_id="=1+1",
            began="2026-11-01T00:00:00.000Z",
            ended="2026-11-01T00:00:01.500Z",
            reserved=9,
            lines=[list(line) for line in LINES],  # type: ignore[misc]  # as JSON has them
            details={},
        )
    ]


def test_details_of_other_records(store: Store) -> None:
    store.post(grant("ci"), correction("ci", 5))
    assert [record.details for record in export(store.folder, MINUTE)] == [
        {"period": 7, "given": 1000},
        {"reason": "goodwill"},
    ]


def test_a_span_of_minutes(store: Store) -> None:
    for minute in range(5):
        store.post(lookup("ci", 1 + minute, NOVEMBER + 60 * minute))
    store.seal(NOVEMBER + 180)
    found = export(store.folder, MINUTE + 1, MINUTE + 4)
    assert [(record.tokens, record.sealed) for record in found] == [(2, True), (3, True), (4, False)]
    assert list(export(store.folder, MINUTE + 5)) == []


def test_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(filled(tmp_path / "var")) as store:
        whole = list(export(store.folder, 0))
        monkeypatch.setattr("gateway.ledger.export._PAGE", 2)
        assert list(export(store.folder, 0)) == whole
        with reading(store.folder) as db:
            assert len(whole) == db.execute("SELECT count(*) FROM postings").fetchone()[0]


def test_what_is_sealed_meanwhile_comes_once(store: Store) -> None:
    store.post(grant("ci"), lookup("ci", 2))
    found = export(store.folder, MINUTE)
    assert next(found).kind == "grant"
    store.post(lookup("ci", 3, NOVEMBER + 60))
    store.seal(NOVEMBER + 60)
    assert kinds(list(found)) == [(2, "lookups"), (None, "lookups")]


def test_a_slow_consumer_holds_nothing_up(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "var")) as store:
        found = export(store.folder, 0)
        next(found)
        store.post(lookup("ci", 3, NOVEMBER + 300))
        assert store.tables.checkpoint()
        assert len(list(found)) > 1


def test_a_gap_by_pruning_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.export._PAGE", 1)
    for minute in range(4):
        store.post(lookup("ci", 1, NOVEMBER + 60 * minute))
    store.seal(NOVEMBER + 240)
    found = export(store.folder, MINUTE)
    next(found)
    store.tables.prune(NOVEMBER + 180, NOVEMBER + 300)
    with pytest.raises(BadStart, match="record 2 was pruned"):
        list(found)


MOMENTS = {
    "a date": ("2026-11-01", "UTC", MINUTE),
    "a date elsewhere": ("2026-11-01", "America/New_York", MINUTE + 240),
    "a time": ("2026-11-01T01:30:59Z", "America/New_York", MINUTE + 90),
}


@pytest.mark.parametrize(("text", "timezone", "minute"), MOMENTS.values(), ids=MOMENTS)
def test_moments(text: str, timezone: str, minute: int) -> None:
    assert minute_of(text, timezone) == minute


NO_MOMENTS = ["", "yesterday", "2026-11", "2026-11-31", "20261101", "2026-11-0١"]
NO_MOMENTS += ["2026-11-01T25:00:00Z", "2026-11-01T10:00:00"]


@pytest.mark.parametrize("text", NO_MOMENTS)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="must be a date such as"):
        minute_of(text, "Asia/Tokyo")
