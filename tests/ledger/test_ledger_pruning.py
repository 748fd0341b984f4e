import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from ledger.auditing import audit
from ledger.samples import FORCED

from gateway.ledger import pruning
from gateway.ledger.kept import kept
from gateway.ledger.records import Correction, Kept, Spend
from gateway.ledger.tables import Tables


@pytest.fixture
def tables() -> Iterator[Tables]:
    with closing(Tables(Path(":memory:"), "process")) as tables:
        yield tables


def correct(tables: Tables, *minutes: int) -> None:
    """One record of 5 tokens for each minute, by turns for two holders."""
    gifts = [(Correction(f"holder-{minute % 2}", 5, "gift", 60.0 * minute), 1) for minute in minutes]
    tables.apply([(tables.applied + 1, gifts)])


def chain(tables: Tables) -> list[tuple[int, str]]:
    return tables._db.execute("SELECT number, kind FROM chain ORDER BY number").fetchall()


def carried(tables: Tables) -> list[tuple[str, int]]:
    return tables._db.execute("SELECT holder, granted FROM carried ORDER BY holder").fetchall()


@pytest.mark.parametrize("before", [-math.inf, 0.0, 659.9], ids=["kept for ever", "young", "not quite over"])
def test_what_is_kept_longer_stays(tables: Tables, before: float) -> None:
    correct(tables, 10, 11, 12)
    assert not tables.prune(before, 800.0)
    assert len(chain(tables)) == 3
    assert carried(tables) == []


def test_what_is_older_is_carried_behind_a_checkpoint(tables: Tables) -> None:
    correct(tables, 10, 11, 12, 13)
    before = tables._db.execute("SELECT before FROM chain WHERE number = 4").fetchone()[0]
    assert not tables.prune(780.0, 840.0)
    assert chain(tables) == [(4, "correction"), (5, "checkpoint")]
    assert carried(tables) == [("holder-0", 10), ("holder-1", 5)]
    minute, text = tables._db.execute("SELECT minute, details FROM chain WHERE number = 5").fetchone()
    details = orjson.loads(text)
    assert (minute, details["through"], details["hash"]) == (14, 3, before.hex())
    audit(tables._db)


def test_what_is_carried_adds_up(tables: Tables) -> None:
    for minute in range(10, 40):
        correct(tables, minute)
        tables.prune(60.0 * (minute - 3), 60.0 * minute)
        audit(tables._db)
    assert len(chain(tables)) < 20
    assert sum(granted for _, granted in carried(tables)) >= 5 * 25


def test_only_a_prefix_goes(tables: Tables) -> None:
    correct(tables, 10, 30, 11)
    for _ in range(2):
        assert not tables.prune(900.0, 1800.0)
        assert chain(tables) == [(2, "correction"), (3, "correction"), (4, "checkpoint")]
    audit(tables._db)


def test_all_of_it_may_go_and_a_checkpoint_alone_is_left(tables: Tables) -> None:
    correct(tables, 10, 11)
    assert not tables.prune(1e6, 1e6)
    assert chain(tables) == [(3, "checkpoint")]
    audit(tables._db)
    assert not tables.prune(1e9, 1e9)
    assert chain(tables) == [(3, "checkpoint")]
    correct(tables, 12)
    assert not tables.prune(1e9, 1e9)
    assert chain(tables) == [(5, "checkpoint")]
    audit(tables._db)


def test_one_transaction_removes_no_more_than_its_bound(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 4)
    correct(tables, *range(10, 20))
    assert [tables.prune(1e6, 1e6) for _ in range(3)] == [True, True, False]
    assert [kind for _, kind in chain(tables)] == ["checkpoint"] * 3
    audit(tables._db)


def test_the_checkpoint_is_not_of_a_minute_that_is_sealed(tables: Tables) -> None:
    correct(tables, 10)
    tables.seal(6000.0)
    tables.prune(1e6, 660.0)
    assert tables._db.execute("SELECT minute FROM chain").fetchall() == [(tables.sealed + 1,)]


def test_what_the_vendor_charged_is_carried_by_nobody(tables: Tables) -> None:
    tables.apply([(1, [(Spend("ci", "acme", "product", "api", 5, 3), 1)])])
    tables.seal(600.0)
    assert not tables.prune(1e6, 1e6)
    assert [kind for _, kind in chain(tables)] == ["checkpoint"]
    assert carried(tables) == []
    audit(tables._db)


@pytest.mark.parametrize(
    ("now", "boot", "uptime", "left"),
    [
        pytest.param(219.0, "boot", 129.0, 1, id="still counts"),
        pytest.param(221.0, "boot", 131.0, 0, id="over"),
        pytest.param(3821.0, "boot", 129.0, 1, id="over by a clock that jumped ahead"),
        pytest.param(0.0, "boot", 131.0, 0, id="over, and the clock was set back"),
        pytest.param(219.0, "other", 1e6, 1, id="another boot, by the wall clock"),
        pytest.param(221.0, "other", 0.0, 0, id="another boot, over"),
    ],
)
def test_force_refreshes_are_forgotten_when_they_are_over(
    tables: Tables, now: float, boot: str, uptime: float, left: int
) -> None:
    tables.apply([(1, [(FORCED, 1)])])
    assert not tables.forget(now, boot, uptime)
    assert len(list(tables.forced())) == left


def test_answers_are_forgotten_when_they_are_over_some_at_a_time(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "ANSWERS", 4)
    answers = [(Kept("ci", f"key-{number}", "", number, 100.0 + number, ""), 1) for number in range(10)]
    tables.apply([(1, answers)])
    assert not tables.forget(100.0, "boot", 0.0)
    assert [tables.forget(107.5, "boot", 0.0) for _ in range(3)] == [True, True, False]
    assert [number for number in range(10) if kept(tables._db, "ci", f"key-{number}")] == [8, 9]
