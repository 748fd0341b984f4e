from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger.folders import (
    DECEMBER,
    NOVEMBER,
    Store,
    correction,
    filled,
    grant,
    lookup,
    refund,
    release,
    reserve,
    settle,
    spend,
)

from gateway.errors import BadStart
from gateway.ledger.reader import reading
from gateway.ledger.records import HOUSE, Record, Reserve
from gateway.ledger.usage import By, Month, Sums, Usage, usage

pytestmark = pytest.mark.slow

DAY = 86400


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "var")) as store:
        yield store


def told(folder: Path, by: By = By.key, month: str = "2026-11", timezone: str = "UTC") -> Usage:
    with reading(folder) as db:
        return usage(db, Month(month, timezone), by)


EXPECTED = {
    By.key: [Sums("ci", 9, 20, 6, 4), Sums("shop", 2, 2, 0, 2)],
    By.organization: [Sums("acme", 11, 22, 6, 6)],
    By.route: [Sums("product", 11, 22, 6, 6)],
    By.upstream: [Sums("api", 11, 22, 6, 6)],
    By.day: [Sums("2026-11-01", 11, 22, 6, 6)],
    By.outcome: [
        Sums("hit", 6, 11),
        Sums("refreshed", 1, 9),
        Sums("stale", 2, 2),
        Sums("truncated", 0, -6, 6),
        Sums("undelivered", 1, 6),
        Sums("upstream_error", 1, 0),
        Sums("", 0, 0, 0, 6),
    ],
}


@pytest.mark.parametrize("by", By, ids=lambda by: by.value)
def test_groups(tmp_path: Path, by: By) -> None:
    with closing(filled(tmp_path / "var")) as store:
        found = told(store.folder, by)
    assert list(found.rows) == EXPECTED[by]
    assert found.total == Sums("total", 11, 22, 6, 6)


def test_the_houses_fetches_are_a_row_of_their_own(store: Store) -> None:
    store.post(lookup("zoe"), lookup(HOUSE, 3), lookup(HOUSE, 3, NOVEMBER + DAY), spend(HOUSE, 5))
    for by in set(By) - {By.upstream}:
        assert told(store.folder, by).rows[-1] == Sums(HOUSE, 2, 6, 0, 5)
        assert len(told(store.folder, by).rows) == 2
    # A vendor's bill has them among all others.
    assert [row[1:] for row in told(store.folder, By.upstream).rows] == [(3, 7, 0, 5)]


def test_what_was_reserved_anew_is_one_request(store: Store) -> None:
    plain, dear = reserve(1, "ci", 1), reserve(2, "ci")
    store.post(plain, dear)
    store.post(release(plain, "repriced"), release(dear, "repriced"), release(reserve(3, "ci", 1), "uncharged"))
    reserved = reserve(4, "ci")
    store.post(reserved, settle(reserved))
    assert told(store.folder).rows == (Sums("ci", 2, 9),)
    assert told(store.folder, By.outcome).rows == (Sums("refreshed", 1, 9), Sums("uncharged", 1))


def test_grants_and_corrections_are_no_usage(store: Store) -> None:
    store.post(grant("ci"), correction("ci", 5))
    assert told(store.folder) == Usage("2026-11", "UTC", By.key, False, (), Sums("total"))


def test_months_and_days_are_the_timezones(store: Store) -> None:
    # 2026-11-01 begins at 4 UTC in New York, which goes off summer time on that day.
    for at in (NOVEMBER + 4 * 3600 - 60, NOVEMBER + 4 * 3600, NOVEMBER + 29 * 3600 - 60, NOVEMBER + 29 * 3600):
        store.post(lookup("ci", at=at))
    found = told(store.folder, By.day, timezone="America/New_York")
    assert found.rows == (Sums("2026-11-01", 2, 2), Sums("2026-11-02", 1, 1))
    assert told(store.folder, By.day).rows == (Sums("2026-11-01", 2, 2), Sums("2026-11-02", 2, 2))
    assert told(store.folder, month="2026-10", timezone="America/New_York").total == Sums("total", 1, 1)


def test_a_month_is_closed_once_its_last_minute_is_sealed_and_changes_no_more(store: Store) -> None:
    store.post(lookup("ci", at=DECEMBER - 60))
    store.seal(DECEMBER - 60)
    assert not told(store.folder).closed
    store.seal(DECEMBER)
    before = [told(store.folder, by) for by in By]
    assert all(found.closed for found in before)
    store.post(lookup("ci", at=DECEMBER - 60), spend("ci", 2, NOVEMBER))
    store.post(refund(reserve(1, "ci", at=DECEMBER - 60)), booked=False)
    assert [told(store.folder, by) for by in By] == before
    assert told(store.folder, month="2026-12").total == Sums("total", 1, 1 - 9, 9, 2)


OPERATIONS = st.builds(
    lambda number, account, at: reserve(number, account, at=NOVEMBER + at),
    st.integers(1, 10**6),
    st.sampled_from(["ci", "shop", HOUSE]),
    st.integers(0, 29 * DAY),
)


def ended(reserved: Reserve) -> list[Record]:
    match reserved.id % 4:
        case 0:
            return [release(reserved)]
        case 1:
            return [settle(reserved, 6, "miss")]
        case 2:
            return [settle(reserved), refund(reserved)]
        case _:
            return [
                release(reserved, "repriced"),
                lookup(reserved.account, 5, reserved.at),
                spend("ci", 3, reserved.at),
            ]


@given(st.lists(OPERATIONS, max_size=15, unique_by=lambda reserved: reserved.id))
def test_every_grouping_has_the_same_total(tmp_path_factory: pytest.TempPathFactory, operations: list[Reserve]) -> None:
    with closing(Store(tmp_path_factory.mktemp("s") / "var")) as store:
        for reserved in operations:
            store.post(reserved, *ended(reserved))
        found = [told(store.folder, by) for by in By]
    assert len({usage_.total for usage_ in found}) == 1
    for usage_ in found:
        assert [sum(column) for column in zip(*(row[1:] for row in usage_.rows), strict=True)] in (
            list(usage_.total[1:]),
            [],
        )


def test_a_month_whose_records_are_pruned_is_refused(store: Store) -> None:
    for at in (NOVEMBER, NOVEMBER + 20 * DAY, DECEMBER):
        store.post(lookup("ci", at=at))
    store.seal(DECEMBER + 60)
    store.tables.prune(NOVEMBER + 10 * DAY, DECEMBER + 120)
    with pytest.raises(BadStart, match="2026-11 are pruned"):
        told(store.folder)
    assert told(store.folder, month="2026-12").total == Sums("total", 1, 1)


def test_a_month_that_is_all_there_is_told_though_all_before_it_is_pruned(store: Store) -> None:
    for at in (NOVEMBER, DECEMBER):
        store.post(lookup("ci", at=at))
    store.seal(DECEMBER + 60)
    store.tables.prune(DECEMBER, DECEMBER + 120)
    assert told(store.folder, month="2026-12").total == Sums("total", 1, 1)
    with pytest.raises(BadStart, match="2026-11 are pruned"):
        told(store.folder)


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "2026-1", "26-01", "2026-11-01", "1969-12", "3000-01", "2026-1١"]
)
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(ValueError, match="a month such as"):
        Month(text, "UTC")


def test_an_unknown_timezone() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        Month("2026-11", "Atlantis/Capital")


@given(
    st.integers(10**6, 2**34),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Beirut", "Pacific/Apia", "Asia/Kathmandu"]),
)
def test_a_months_days_are_the_whole_of_it(at: int, timezone: str) -> None:
    month = Month.at(at, timezone)
    days = list(month.days)
    assert (days[0].first, days[-1].end) == month.whole[1:]
    assert month.whole.first <= at // 60 < month.whole.end
    assert all(day.end == following.first for day, following in pairwise(days))


def test_the_rows_with_most_tokens_and_the_rest(store: Store) -> None:
    store.post(*[lookup(name, tokens) for name, tokens in (("b", 5), ("a", 5), ("c", 9), (HOUSE, 5), ("d", 1))])
    with reading(store.folder) as db:
        top = {most: usage(db, Month("2026-11", "UTC"), By.key, most) for most in (2, 5, 6)}
    rows = [Sums("c", 1, 9), Sums("a", 1, 5), Sums("b", 1, 5), Sums(HOUSE, 1, 5), Sums("d", 1, 1)]
    assert (top[2].rows, top[2].rest, top[2].total) == (tuple(rows[:2]), Sums("rest", 3, 11), Sums("total", 5, 25))
    assert [(top[most].rows, top[most].rest) for most in (5, 6)] == [(tuple(rows), None)] * 2
    assert top[5].first(2) == top[2]
    assert top[2].first(1) == top[5].first(1)


SPENT = st.tuples(st.sampled_from("abcde"), st.integers(0, 3), st.integers(0, 2))


@settings(max_examples=25)
@given(st.lists(SPENT, max_size=20), st.integers(1, 6), st.sampled_from(By))
def test_the_top_is_that_of_all_rows(
    tmp_path_factory: pytest.TempPathFactory, spent: list[tuple[str, int, int]], most: int, by: By
) -> None:
    with closing(Store(tmp_path_factory.mktemp("ledger"))) as store:
        for account, tokens, day in spent:
            store.post(lookup(account, tokens, NOVEMBER + day * DAY, outcome="hit" if tokens else "stale"))
        with reading(store.folder) as db:
            month = Month("2026-11", "UTC")
            whole, top = usage(db, month, by), usage(db, month, by, most)
    assert top == whole.most(most)
    assert top.rows == tuple(sorted(whole.rows, key=lambda row: -row.tokens)[:most])
    assert (top.rest is None) is (len(whole.rows) <= most)
    parts = [row[1:] for row in (*top.rows, *([top.rest] if top.rest else []))]
    assert tuple(map(sum, zip((0, 0, 0, 0), *parts, strict=True))) == top.total[1:]
