"""What the book does when a minute is over: it seals, forgets and prunes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger.booking import Rig
from ledger.samples import CHARGE, FORCED, GRANT, rows
from support.polling import eventually

from gateway.ledger import sealing
from gateway.ledger.doubt import PATIENCE
from gateway.ledger.records import Charge, Kept


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def now(rig: Rig) -> Charge:
    return CHARGE._replace(minute=int(rig.clock.wall() // 60))


def open_rows(rig: Rig) -> int:
    return len(rows(rig.path, "SELECT * FROM open"))


def test_a_minute_that_is_over_is_sealed_with_the_groups_known_so_far(rig: Rig) -> None:
    rig.post(GRANT)
    rig.post(now(rig))
    rig.book.drain()
    assert open_rows(rig) == 1
    last = rig.write(now(rig))
    rig.clock.advance(65.0)
    rig.book.follow(last)
    rig.book.drain()
    assert open_rows(rig) == 0
    assert rows(rig.path, "SELECT count FROM chain WHERE kind = 'lookups'") == [(2,)]
    rig.audit()


def test_a_minute_is_sealed_when_it_ends_though_nothing_arrives(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.clock.advance(64.99)
    rig.post(GRANT, now(rig)._replace(minute=int(rig.clock.wall() // 60) - 1))
    rig.book.reached(1).result(20)
    assert open_rows(rig) == 1
    rig.clock.advance(0.01)
    eventually(lambda: open_rows(rig) == 0)
    rig.close()


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_costs_nothing_that_is_kept(tmp_path: Path, jump: float) -> None:
    rig = Rig(tmp_path, keep=1800.0)
    rig.post(GRANT._replace(at=rig.clock.wall()), now(rig))
    rig.post(Kept("ci", "key", "", 1, rig.clock.wall() + 1800.0, ""))
    rig.post(FORCED._replace(at=rig.clock.wall(), until=rig.clock.wall() + 60.0, uptime=rig.clock.steady()))
    rig.book.drain()
    rig.clock.wall_now += jump
    for _ in range(3):
        rig.post(now(rig))
        rig.clock.wall_now += 65.0
        rig.book.drain()
    assert rig.lookups() == 4
    assert rows(rig.path, "SELECT kind FROM chain WHERE kind = 'checkpoint'") == []
    assert len(rows(rig.path, "SELECT * FROM answers")) == 1
    assert len(rows(rig.path, "SELECT * FROM forced")) == 1
    rig.audit()
    rig.close()


def test_a_clock_that_is_a_year_ahead_for_a_moment_closes_nothing(rig: Rig) -> None:
    begun = rig.clock.wall()
    rig.post(GRANT, now(rig))
    rig.clock.wall_now += 365 * 86400.0
    for _ in range(2):
        rig.clock.advance(65.0)
        rig.book.drain()
    rig.clock.wall_now = rig.clock.steady()
    rig.post(now(rig))
    rig.clock.advance(65.0)
    rig.book.drain()
    assert rows(rig.path, "SELECT minute FROM chain WHERE kind = 'lookups'") == [(begun // 60,), (begun // 60 + 2,)]
    assert open_rows(rig) == 0


def test_a_clock_that_stays_ahead_is_believed(rig: Rig) -> None:
    rig.clock.wall_now += 2 * PATIENCE
    rig.post(GRANT, now(rig))
    rig.clock.advance(65.0)
    rig.book.drain()
    assert open_rows(rig) == 1
    rig.clock.advance(PATIENCE)
    rig.book.drain()
    assert open_rows(rig) == 0


def test_what_is_kept_long_enough_goes_when_a_minute_is_sealed(tmp_path: Path) -> None:
    rig = Rig(tmp_path, keep=1800.0)
    rig.post(GRANT._replace(at=rig.clock.wall()), now(rig), Kept("ci", "key", "", 1, rig.clock.wall() + 60.0, ""))
    rig.book.drain()
    for _ in range(35):
        rig.clock.advance(60.0)
        rig.book.drain()
    assert rows(rig.path, "SELECT kind FROM chain") == [("checkpoint",)]
    assert rows(rig.path, "SELECT * FROM answers") == []
    assert rig.sums() == (2000, 6, 0, 0, 1994)
    rig.audit()
    rig.close()


def test_a_minute_that_cannot_be_sealed_is_sealed_later_and_groups_go_first(rig: Rig) -> None:
    rig.post(GRANT, now(rig))
    rig.book.drain()
    rig.clock.advance(65.0)
    other = rig.lock()
    rig.book._wake()
    eventually(lambda: not rig.book.healthy)
    other.execute("ROLLBACK")
    other.close()
    rig.book.drain()
    assert rig.book.healthy
    assert open_rows(rig) == 0
    rig.audit()


def test_much_to_tidy_up_is_done_in_steps_and_groups_go_in_between(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH", 2)
    rig.post(GRANT, *(now(rig)._replace(account=f"a{number}") for number in range(7)))
    rig.book.drain()
    steps, seal = list[int](), rig.book._tables.seal

    def seal_and_post(wall: float) -> bool:
        rig.post(now(rig))
        steps.append(rig.book.applied)
        return seal(wall)

    monkeypatch.setattr(rig.book._tables, "seal", seal_and_post)
    rig.clock.advance(65.0)
    rig.book.drain()
    assert len(steps) > 3
    assert steps == list(range(1, len(steps) + 1))
    assert rig.lookups() == 7 + len(steps)
    rig.audit()
