import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from ledger.booking import Rig
from ledger.samples import CHARGE, GRANT
from structlog.testing import capture_logs
from support.polling import eventually

from gateway.ledger import backlog, book

pytestmark = pytest.mark.slow


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def test_everything_submitted_is_applied_once(rig: Rig) -> None:
    rig.post(GRANT)
    for _ in range(100):
        rig.post(CHARGE)
    rig.book.drain()
    assert rig.book.applied == 101
    assert rig.lookups() == 100
    assert rig.sums() == (2000, 600, 0, 0, 1400)
    assert rig.book.healthy


def test_what_was_not_submitted_is_read_from_the_journal(rig: Rig) -> None:
    for _ in range(10):
        rig.write(CHARGE, count=2)
    rig.post(CHARGE)
    rig.book.drain()
    assert rig.book.applied == 11
    assert rig.lookups() == 21


def test_groups_that_may_still_be_retracted_are_left_alone(rig: Rig) -> None:
    rig.write(CHARGE)
    rig.book.follow(rig.write(CHARGE))
    rig.write(CHARGE)
    rig.book.drain()
    assert rig.book.applied == 2
    assert rig.lookups() == 2


def test_a_locked_book_is_tried_again_until_it_is_free(rig: Rig) -> None:
    other = rig.lock()
    rig.post(CHARGE)
    eventually(lambda: not rig.book.healthy)
    rig.post(CHARGE)
    other.execute("ROLLBACK")
    other.close()
    rig.book.drain()
    assert rig.book.healthy
    assert rig.lookups() == 2


def test_a_full_disk_is_waited_for_and_told(rig: Rig) -> None:
    rig.book._tables._db.execute("PRAGMA max_page_count = 1")
    with capture_logs() as lines:
        for number in range(200):
            rig.post(CHARGE._replace(account=f"{number:0>100}"))
        eventually(lambda: not rig.book.healthy)
        rig.book._tables._db.execute("PRAGMA max_page_count = 1073741823")
        rig.book.drain()
    told = [(line["event"], line["part"], line.get("reason")) for line in lines]
    assert told == [("ledger not written", "book", "SQLITE_FULL"), ("ledger written again", "book", None)]
    assert rig.book.healthy
    assert rig.lookups() == 200


def test_far_behind_it_queues_no_more_than_its_bound(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST", 5)
    monkeypatch.setattr(book, "BATCH", 3)
    other = rig.lock()
    for _ in range(10):
        rig.post(CHARGE)
    eventually(lambda: not rig.book.healthy)
    for number in range(20):
        rig.post(CHARGE._replace(account=f"a{number}"))
    waiting = rig.book._backlog.take()
    assert waiting is not None
    assert len(waiting) == 5
    other.execute("ROLLBACK")
    other.close()
    rig.book.drain()
    for _ in range(4):
        rig.post(CHARGE)
    rig.book.drain()
    assert rig.lookups() == 34


def test_what_is_read_from_the_journal_ends_where_memory_goes_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "BATCH", 3)
    monkeypatch.setattr(book, "SLICE", 2)
    for _ in range(8):
        rig.write(CHARGE)
    rig.book._backlog.add(rig.write(CHARGE), [(CHARGE, 1)], ())
    rig.post(CHARGE)
    rig.book.drain()
    assert rig.book.applied == 10
    assert rig.lookups() == 10


def test_closing_gives_up_what_cannot_be_applied_and_the_next_book_goes_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.post(CHARGE)
    rig.book.drain()
    other = rig.lock()
    rig.post(CHARGE)
    rig.close()
    other.execute("ROLLBACK")
    other.close()
    again = Rig(tmp_path)
    assert again.book.applied == 1
    again.book.follow(2)
    again.book.drain()
    again.audit()
    again.close()
    assert again.lookups() == 2


def test_a_group_that_is_gone_from_the_journal_is_no_silent_loss(rig: Rig) -> None:
    rig.post(CHARGE)
    rig.book.drain()
    rig.book.follow(2)
    eventually(lambda: not rig.book.healthy)
    assert rig.book.applied == 1
    rig.write(CHARGE)
    rig.book.drain()
    assert rig.book.healthy
    assert rig.lookups() == 2


def test_applied_segments_leave_the_journal(tmp_path: Path) -> None:
    rig = Rig(tmp_path, segment=200)
    for _ in range(50):
        rig.post(CHARGE)
    rig.book.drain()
    assert [path.name for path in rig.segments.iterdir()] == [max(path.name for path in rig.segments.iterdir())]
    rig.close()


def test_segments_stay_while_a_reader_keeps_the_book_from_the_disk(tmp_path: Path) -> None:
    rig = Rig(tmp_path, segment=200)
    reader = sqlite3.connect(rig.path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM open").fetchone() == (0,)
    for _ in range(50):
        rig.post(CHARGE)
    rig.book.drain()
    assert len(list(rig.segments.iterdir())) > 1
    assert rig.book.healthy
    reader.close()
    rig.post(CHARGE)
    rig.book.drain()
    assert len(list(rig.segments.iterdir())) == 1
    rig.close()


def test_a_segment_that_cannot_be_removed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, segment=200)
    with monkeypatch.context() as broken:
        broken.setattr(rig.journal, "drop", refuse)
        for _ in range(50):
            rig.post(CHARGE)
        eventually(lambda: not rig.book.healthy)
    rig.book.drain()
    assert rig.book.healthy
    assert len(list(rig.segments.iterdir())) == 1
    assert rig.lookups() == 50
    rig.close()


def refuse(upto: int) -> None:
    raise PermissionError(f"groups up to {upto} stay")


# Those who wait for the book


def test_whoever_waits_for_a_group_goes_on_once_the_book_holds_it(rig: Rig) -> None:
    assert rig.book.reached(0).done()
    rig.post(CHARGE)
    rig.post(CHARGE)
    rig.book.reached(1).result(20)
    assert rig.lookups() >= 1
    rig.book.reached(2).result(20)
    assert rig.lookups() == 2


def test_whoever_leaves_meanwhile_is_not_missed(rig: Rig) -> None:
    other = rig.lock()
    rig.post(CHARGE)
    leaving = [rig.book.reached(1) for _ in range(50)]
    assert all(future.cancel() for future in leaving)
    staying = rig.book.reached(1)
    assert len(rig.book._waiting) == 1
    other.execute("ROLLBACK")
    other.close()
    staying.result(20)


def test_closing_lets_everybody_go_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    other = rig.lock()
    rig.post(CHARGE)
    waiting = rig.book.reached(1)
    rig.close()
    assert waiting.done()
    assert rig.book.applied == 0
    assert rig.book.reached(1).done()
    other.close()


def test_waiting_never_holds_up_the_loop(rig: Rig) -> None:
    other = rig.lock()

    async def post_while_locked() -> None:
        for _ in range(100):
            rig.post(CHARGE)
            waiting: Future[None] = rig.book.reached(rig.journal.sequence)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(waiting), 0)

    asyncio.run(post_while_locked())
    other.execute("ROLLBACK")
    other.close()
    rig.book.drain()
    assert rig.lookups() == 100
