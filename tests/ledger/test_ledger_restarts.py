"""The start and the end of a ledger: what was posted is there again, and what is damaged is a bad start."""

from pathlib import Path

import pytest
from ledger.ledgers import full_disk, opened
from ledger.samples import CHARGE, FORCED, GRANT, reserve, rows
from support.clock import FakeClock

from gateway.errors import BadStart, Problem, Reason
from gateway.ledger.accounts import Balance
from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Settle, Term


async def test_what_was_posted_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for record in (GRANT, CHARGE, CHARGE, FORCED._replace(until=1e12)):
            ledger.post(record)
    async with opened(tmp_path) as ledger:
        assert ledger.accounts.balance("acme") == Balance(2000, 12, 0, 0, 1988, Term(7, 2000))
        assert ledger.forced == (FORCED._replace(until=1e12),)
        assert await ledger.drift() == 0


async def test_the_journal_alone_is_enough(tmp_path: Path) -> None:
    async with opened(tmp_path / "one") as ledger:
        for record in (GRANT, CHARGE, reserve(4), FORCED, FORCED):
            ledger.post(record)
        await ledger.committed()
    for path in (tmp_path / "one").glob("book*"):
        path.unlink()
    async with opened(tmp_path / "one") as ledger:
        assert ledger.accounts.balance("acme") == Balance(2000, 6, 0, 0, 1994, Term(7, 2000))
        assert ledger.forced == (FORCED, FORCED)
        assert ledger.next_id() == 5
        ledger._book.drain()
        assert await ledger.drift() == 0


async def test_open_reservations_are_released_at_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for record in (GRANT, reserve(1), reserve(2, 5), Settle(reserve(1), 9, False, "miss", 51.0), reserve(3)):
            ledger.post(record)
    for _ in range(2):
        async with opened(tmp_path) as ledger:
            assert ledger.accounts.balance("acme") == Balance(2000, 9, 0, 0, 1991, Term(7, 2000))
            assert ledger.accounts.open == {}
    operations = "SELECT operation, charged, outcomes FROM chain WHERE operation IS NOT NULL"
    assert rows(tmp_path / "book.sqlite3", operations) == [
        (1, 9, '{"miss":1}'),
        (2, 0, '{"abandoned":1}'),
        (3, 0, '{"abandoned":1}'),
    ]


async def test_ids_are_never_given_twice(tmp_path: Path) -> None:
    given = list[int]()
    for _ in range(3):
        async with opened(tmp_path) as ledger:
            for _ in range(2):
                given.append(ledger.next_id())
                ledger.post(reserve(given[-1], 0))
    assert given == [1, 2, 3, 4, 5, 6]


async def test_closed_it_takes_nothing(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    await ledger.close()
    with pytest.raises(Problem) as caught:
        ledger.post(CHARGE)
    assert caught.value.reason is Reason.ledger_unavailable
    assert ledger.accounts.balance("acme") == Balance()


async def test_closing_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger.open(tmp_path, "process", FakeClock())
    ledger.post(CHARGE)
    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        await ledger.close()
    async with opened(tmp_path) as ledger:
        assert ledger.accounts.balance("acme") == Balance()


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(BadStart, match="in use by another process"):
            Ledger.open(tmp_path, "process", FakeClock())
    async with opened(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_a_bad_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadStart, match="cannot be written: Not a directory"):
        Ledger.open(tmp_path / "file" / "var", "process", FakeClock())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda folder: (folder / "book.sqlite3").write_bytes(b"x" * 9000), "not a database", id="book"),
        pytest.param(lambda folder: min((folder / "journal").iterdir()).unlink(), "is not there", id="segment"),
        pytest.param(lambda folder: flip(min((folder / "journal").iterdir())), "damaged", id="group"),
    ],
)
async def test_a_damaged_ledger_is_a_bad_start_and_is_let_go(tmp_path: Path, damage: object, message: str) -> None:
    await spend_in_segments(tmp_path)
    assert callable(damage)
    damage(tmp_path)
    for _ in range(2):
        with pytest.raises(BadStart, match=message):
            Ledger.open(tmp_path, "process", FakeClock())


async def spend_in_segments(folder: Path) -> None:
    """Leaves journal segments that the book has not applied: it is put back to how it was before them."""
    empty = Ledger.open(folder, "process", FakeClock())
    await empty.close()
    book = (folder / "book.sqlite3").read_bytes()
    ledger = Ledger.open(folder, "process", FakeClock())
    for number in range(4):
        ledger.post(CHARGE._replace(minute=number))
        await ledger.committed()
    await ledger.close()
    (folder / "book.sqlite3").write_bytes(book)
    first = min((folder / "journal").iterdir())
    text = first.read_bytes()
    second = len(text) // 2
    first.write_bytes(text[:second])
    first.with_name(f"{3:020}.journal").write_bytes(text[second:])


def flip(path: Path) -> None:
    text = bytearray(path.read_bytes())
    text[30] ^= 1
    path.write_bytes(text)


async def test_a_start_that_cannot_write_its_releases_is_a_bad_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(reserve(1))
    monkeypatch.setattr("os.write", full_disk)
    with pytest.raises(BadStart, match="No space left"):
        Ledger.open(tmp_path, "process", FakeClock())
