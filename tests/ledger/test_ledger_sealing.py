from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger.auditing import audit
from ledger.samples import CHARGE

from gateway.ledger import sealing
from gateway.ledger.records import Spend
from gateway.ledger.sealing import GRACE, due, over
from gateway.ledger.tables import Tables

NOW = CHARGE.minute
END = 60.0 * (NOW + 1) + GRACE


@pytest.fixture
def tables() -> Iterator[Tables]:
    with closing(Tables(Path(":memory:"), "process")) as tables:
        yield tables


def sealed(tables: Tables) -> list[tuple[object, ...]]:
    return tables._db.execute("SELECT kind, minute, account, count, charged, cost, outcomes FROM chain").fetchall()


def lookups(tables: Tables) -> int:
    """Lookups of the chain and of open rows together."""
    query = "SELECT sum(count) FROM (SELECT count FROM chain UNION ALL SELECT count FROM open)"
    return int(tables._db.execute(query).fetchone()[0])


@pytest.mark.parametrize(
    ("wall", "expected"),
    [(0.0, -2), (64.9, -1), (65.0, 0), (124.9, 0), (125.0, 1), (END - 0.1, NOW - 1), (END, NOW), (END + 59.9, NOW)],
)
def test_over(wall: float, expected: int) -> None:
    assert over(wall) == expected
    assert due(expected) <= max(wall, due(expected)) < due(expected + 1)
    assert over(due(expected)) == expected


def test_minutes_that_are_over_move_into_the_chain_by_key(tables: Tables) -> None:
    later = CHARGE._replace(minute=NOW + 1)
    spend = Spend("ci", "acme", "product", "api", 5, NOW)
    tables.apply([(1, [(later, 1), (spend, 2), (CHARGE._replace(account="b"), 3), (CHARGE._replace(account="a"), 4)])])
    assert not tables.seal(END - 0.1)
    assert sealed(tables) == []
    assert not tables.seal(END)
    assert sealed(tables) == [
        ("lookups", NOW, "a", 4, 24, 0, '{"hit":4}'),
        ("lookups", NOW, "b", 3, 18, 0, '{"hit":3}'),
        ("spend", NOW, "ci", 2, 0, 10, "{}"),
    ]
    assert tables.sealed == NOW
    assert lookups(tables) == 10
    audit(tables._db)


def test_what_comes_late_is_posted_to_the_first_open_minute(tables: Tables) -> None:
    tables.apply([(1, [(CHARGE, 1)])])
    tables.seal(END)
    tables.apply([(2, [(CHARGE, 2)])])
    assert tables._db.execute("SELECT minute, count FROM open").fetchall() == [(NOW + 1, 2)]
    tables.seal(END + 60.0)
    assert [row[1:4] for row in sealed(tables)] == [(NOW, "ci", 1), (NOW + 1, "ci", 2)]
    audit(tables._db)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_loses_and_doubles_nothing(tables: Tables, jump: float) -> None:
    wall, highest = END - 30.0, -1
    for number in range(1, 61):
        wall += 20.0 + (jump if number == 20 else -jump if number == 40 else 0.0)
        tables.apply([(number, [(CHARGE._replace(minute=int(wall // 60)), 1)])])
        tables.seal(wall)
        assert tables.sealed >= highest
        highest = tables.sealed
        assert lookups(tables) == number
        audit(tables._db)
    tables.seal(wall + 7200.0)
    assert sum(int(str(row[3])) for row in sealed(tables)) == 60


def test_a_minute_without_anything_is_sealed_as_well(tables: Tables) -> None:
    tables.seal(END)
    assert (tables.sealed, sealed(tables)) == (NOW, [])
    tables.seal(END - 3600.0)
    assert tables.sealed == NOW


def test_many_rows_are_sealed_by_several_transactions(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH", 4)
    tables.apply([(1, [(CHARGE._replace(account=f"a{n % 5}", minute=NOW + n // 5), 1) for n in range(10)])])
    for _ in range(2):
        assert tables.seal(END + 60.0)
        assert tables.sealed == -1
        audit(tables._db)
    tables.apply([(2, [(CHARGE._replace(account="a0"), 7)])])
    while tables.seal(END + 60.0):
        audit(tables._db)
    assert tables.sealed == NOW + 1
    assert lookups(tables) == 17
    assert tables._db.execute("SELECT count(*) FROM open").fetchone() == (0,)
    audit(tables._db)
