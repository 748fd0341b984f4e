"""The issue's figure: a day of 10,000 lookups a second by 1,000 accounts stays under 500 MB on disk."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger.auditing import audit

from gateway.ledger.accounts import Balance
from gateway.ledger.journal import SEGMENT
from gateway.ledger.records import BEFORE_ANY, Charge, Entry, Grant, Release, Reserve, Term
from gateway.ledger.tables import Tables

pytestmark = pytest.mark.slow

ACCOUNTS = 1000
PER_SECOND = 10_000
BEGIN = 29_000_000
DAY = 500_000_000
GRANTED = 10**12


def lookups(minute: int) -> Iterator[Entry]:
    """A minute of the traffic, evenly spread: of each account's lookups one in a hundred is no hit, and one is free."""
    for number in range(ACCOUNTS):
        account, organization = f"account-{number:04}", f"organization-{number % 100:03}"
        count, at = PER_SECOND * 60 // ACCOUNTS - 1, 60.0 * minute
        charge = Charge(account, account, organization, "product", "retailer", 1, minute, "hit", unlimited=False)
        yield charge, count - count // 100
        yield charge._replace(outcome="stale"), count // 100
        if number % 100 == minute % 100:
            lines, id_ = (("base", 1),), minute * ACCOUNTS + number
            reserve = Reserve(id_, account, account, organization, "product", "retailer", 1, 1, lines, "request", at)
            yield reserve, 1
            yield Release(reserve, False, "upstream_error", at), 1


def grants() -> list[Entry]:
    names = (f"account-{number:04}" for number in range(ACCOUNTS))
    return [(Grant(name, GRANTED, Term(1, GRANTED), BEFORE_ANY, 60.0 * BEGIN), 1) for name in names]


def test_an_hour_takes_a_24th_of_what_a_day_may(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite3"
    with closing(Tables(path, "process")) as tables:
        tables.apply([(1, grants())])
        for minute in range(60):
            tables.apply([(minute + 2, list(lookups(BEGIN + minute)))])
            while tables.seal(60.0 * (BEGIN + minute + 1) + 10.0):
                pass
        log = path.with_name(f"{path.name}-wal").stat().st_size
        assert tables.checkpoint()
        day = 24 * path.stat().st_size + log + 2 * SEGMENT
        assert day < DAY
        # As many records as there are minutes and accounts, or it would be small for the wrong reason.
        assert tables._db.execute("SELECT count(*) FROM chain WHERE kind = 'lookups'").fetchone()[0] >= 60 * ACCOUNTS
        charged = (PER_SECOND * 60 // ACCOUNTS - 1) * 60
        assert tables.load().balances["account-0007"] == Balance(
            GRANTED, charged, 0, 0, GRANTED - charged, Term(1, GRANTED)
        )
        audit(tables._db)
