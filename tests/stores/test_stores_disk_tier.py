"""DiskTier: the contract, what it holds at most, what goes first, and files that went bad."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores.fetches import StillClock
from stores.samples import sample, variant
from stores.second_tier_contract import KEY, OTHER, SecondTierContract
from support.polling import eventually

from gateway.ports import SecondTier
from gateway.stores import TierUnavailable
from gateway.stores.disk.disk import Disk
from gateway.stores.disk.file import FILE, NOTES, made
from gateway.stores.disk.tier import DiskTier

LIMIT = 16 << 20


def opened(folder: Path, limit: int = LIMIT, *, held: frozenset[str] = frozenset()) -> Disk:
    """What is in the folder, as a process finds it whose memory holds the keys `held`."""
    disk = Disk.open(folder, limit, StillClock(), held.__contains__)
    assert disk is not None
    return disk


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    disk = opened(tmp_path)
    yield disk
    await disk.close(settled=True)


@pytest.fixture
async def tier(disk: Disk) -> DiskTier:
    return disk.tier


class TestDiskTier(SecondTierContract):
    @pytest.fixture
    async def tier(self, disk: Disk) -> SecondTier:
        return disk.tier


async def counted(tier: DiskTier) -> None:
    """Wait until it knows what there is."""
    await asyncio.to_thread(eventually, lambda: tier._census is not None)


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file."""
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def fill(tier: DiskTier, count: int, size: int) -> asyncio.Future[list[None]]:
    """So many responses with bodies of so many bytes; any of them stands for all of its page."""
    return asyncio.gather(*(tier.save(sample(f"key {n}", body=bytes([n % 256]) * size)) for n in range(count)))


async def test_a_load_of_what_is_not_there_waits_for_nothing(tier: DiskTier) -> None:
    await counted(tier)
    loading = tier.load(KEY)
    with pytest.raises(StopIteration) as ended:
        loading.send(None)
    assert ended.value.value == ()


async def test_what_is_there_is_known_after_a_restart_and_while_it_is_found_out(tmp_path: Path) -> None:
    first = opened(tmp_path)
    await fill(first.tier, 50, 10)
    await first.close(settled=True)
    second = opened(tmp_path)
    early = await second.tier.load("key 7")
    await counted(second.tier)
    assert (len(early), len(await second.tier.load("key 9")), second.tier.count) == (1, 1, 50)
    await second.close(settled=True)


async def test_all_files_together_stay_within_the_limit(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    for _ in range(3):
        await fill(disk.tier, 200, 100_000)
        assert sum(sizes(tmp_path).values()) <= LIMIT
    assert LIMIT * 2 // 3 < disk.tier.bytes <= LIMIT
    assert disk.tier.evictions > 200
    await disk.close(settled=True)


async def test_what_was_used_least_recently_goes_first(tmp_path: Path) -> None:
    disk = opened(tmp_path, held=frozenset({"key 1"}))
    await fill(disk.tier, 10, 300_000)
    await disk.tier.load("key 0")
    for n in range(100, 150):
        await disk.tier.save(sample(f"key {n}", body=bytes(300_000)))
        if n % 20 == 0:
            assert await disk.tier.load("key 0")
    there = [n for n in (*range(10), 149) if await disk.tier.load(f"key {n}")]
    assert there == [0, 1, 149]
    await disk.close(settled=True)


async def test_memory_that_holds_everything_keeps_nothing_from_going(tmp_path: Path) -> None:
    disk = Disk.open(tmp_path, LIMIT, StillClock(), lambda _: True)
    assert disk is not None
    await fill(disk.tier, 600, 100_000)
    assert disk.tier.evictions > 400
    await disk.close(settled=True)


async def test_what_is_too_large_only_takes_out_what_it_replaces(tier: DiskTier) -> None:
    await tier.save(sample(KEY))
    await tier.save(sample(KEY, body=bytes(LIMIT // 8), began=1001.0))
    assert (await tier.load(KEY), tier.count) == ((), 0)


async def test_a_lower_limit_is_kept_to_soon(tmp_path: Path) -> None:
    disk = opened(tmp_path, 4 * LIMIT)
    await fill(disk.tier, 500, 100_000)
    await disk.close(settled=True)
    disk = opened(tmp_path)
    await asyncio.to_thread(eventually, lambda: sizes(tmp_path)[FILE] <= LIMIT)
    assert await disk.tier.load("key 499")
    await disk.close(settled=True)


async def test_more_marks_than_are_kept_outdate_what_is_older_than_the_oldest(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    await disk.tier.save(sample(KEY, began=500.0))
    await disk.tier.save(sample(OTHER, began=1500.0, groups=("group 1399",)))
    for n in range(4200):
        await disk.tier.drop((f"group {n}",), 1000.0 + n / 10, None)
    assert await disk.tier.load(KEY) == ()
    assert [stored.began for stored in await disk.tier.load(OTHER)] == [1500.0]
    await disk.close(settled=True)


def test_its_files_are_for_the_gateway_alone(disk: Disk, tmp_path: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {FILE: 0o600, f"{FILE}-wal": 0o600, NOTES: 0o600}


async def test_a_closed_one_is_unavailable(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    await disk.close(settled=True)
    with pytest.raises(TierUnavailable):
        await disk.tier.save(sample(KEY))


class _Full:
    """A connection on which what writes fails, on demand."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.code: int | None = None

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if self.code is not None and not sql.startswith(("SELECT", "PRAGMA", "ROLLBACK", "BEGIN")):
            error = sqlite3.OperationalError("told to")
            error.sqlite_errorcode, error.sqlite_errorname = self.code, "SQLITE_TEST"
            raise error
        return self._db.execute(sql, *parameters)

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR])
async def test_a_disk_that_takes_nothing_is_told_once_and_what_is_there_is_found(
    tmp_path: Path, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = opened(tmp_path)
    await disk.tier.save(sample(KEY))
    assert disk.tier._shelf is not None
    full = _Full(disk.tier._db)
    disk.tier._db = disk.tier._shelf._db = full  # type: ignore[assignment]
    full.code = code
    for _ in range(3):
        with pytest.raises(TierUnavailable):
            await disk.tier.save(sample(OTHER))
    assert (disk.tier.up, disk.tier.count, len(await disk.tier.load(KEY))) == (False, 1, 1)
    full.code = None
    await disk.tier.save(sample(OTHER))
    assert (disk.tier.up, len(await disk.tier.load(OTHER))) == (True, 1)
    await disk.close(settled=True)
    assert capfd.readouterr().out.count("cannot be used") == 1


async def test_a_file_that_is_damaged_while_it_is_used_is_made_anew(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    await fill(disk.tier, 500, 2000)
    disk.tier._db.execute("PRAGMA cache_size = 0")
    disk.tier._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xee" * 4096 * 200)
    for n in range(500):
        try:
            await disk.tier.load(f"key {n}")
            await disk.tier.save(sample(f"more {n}", body=bytes(5000)))
        except TierUnavailable:
            break
    else:
        pytest.fail("nothing was found to be damaged")
    await disk.tier.save(sample(KEY))
    assert (len(await disk.tier.load(KEY)), disk.tier.count, disk.tier.up) == (1, 1, True)
    await disk.close(settled=True)


def test_a_file_is_made_with_room_for_no_more_than_the_limit(tmp_path: Path) -> None:
    db = made(tmp_path, LIMIT)
    assert db.execute("PRAGMA max_page_count").fetchone()[0] * 4096 < LIMIT
    db.close()


_keys, _groups = st.sampled_from("ab"), st.sampled_from("gh")
_steps = st.one_of(
    st.tuples(st.just("save"), _keys, st.sampled_from(["", "de"]), st.integers(0, 9), _groups, st.booleans()),
    st.tuples(st.just("drop"), _groups, st.integers(0, 9), st.sampled_from([None, "a", "b"])),
    st.tuples(st.just("purge"), st.integers(0, 9)),
    st.just(("restart",)),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_steps, max_size=20))
async def test_it_finds_what_a_list_of_all_that_happened_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("disk")
    disk = opened(folder)
    held: dict[tuple[str, str], tuple[float, str]] = {}
    drops: list[tuple[str, float, str | None]] = []
    purged = 0.0
    for step in steps:
        match step:
            case ("save", key, language, began, group, outdated):
                selecting = variant(language) if language else ()
                stored = sample(key, began=float(began), groups=(group,), selecting=selecting)
                await disk.tier.save(stored.replaced(outdated=outdated))
                if held.get((key, language), (-1.0, ""))[0] <= began:
                    held.pop((key, language), None)
                    if not outdated:
                        held[key, language] = float(began), group
            case ("drop", group, before, keep):
                await disk.tier.drop((group,), float(before), keep)
                drops.append((group, float(before), keep))
            case ("purge", before):
                await disk.tier.purge(("everything",), float(before), hard=True)
                purged = max(purged, before)
            case _:
                await disk.close(settled=len(drops) % 2 == 0)
                disk = opened(folder)
    for key in "ab":
        found = {(key, dict(stored.selecting).get("accept-language", "")) for stored in await disk.tier.load(key)}
        marked = {
            place
            for place, (began, group) in held.items()
            if began < purged or any(began < before for name, before, keep in drops if name == group and keep != key)
        }
        assert {place for place in held if place[0] == key} - marked >= found
        plain = {place for place in held if place[0] == key and not any(name == held[place][1] for name, _, _ in drops)}
        assert found >= {place for place in plain if held[place][0] >= purged}
    await disk.close(settled=True)
