"""What is listed of made keys."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from keys.rings import DAY, Disk, Ring, create, loaded, overlap
from support.clock import FakeClock

from gateway.errors import BadStart
from gateway.keys.database import FILE, KeyDatabase
from gateway.keys.directory import Directory
from gateway.keys.listing import instant, made, read, revoked, rows
from gateway.keys.orders import Unavailable


async def test_rows_say_whose_a_key_is_and_what_became_of_it(tmp_path: Path) -> None:
    ring = await Ring.open(Disk(tmp_path), FakeClock(), loaded(tmp_path))
    await ring.keyring.create(create(id="shop", organization="acme", expires="2026-02-01"))
    await ring.keyring.create(create(id="alpha"))
    await ring.keyring.rotate("alpha", overlap("1h"))
    await ring.keyring.create(create(id="gone", test=True))
    await ring.keyring.revoke("gone")
    ring.clock.advance(DAY)
    told = await ring.keyring.listed(0, -1)
    names = ("number", "account", "organization", "plan", "test", "state", "expires", "revoked")
    assert [tuple(row[name] for name in names) for row in told] == [
        (1, "shop", "acme", "pro", False, "valid", "2026-02-01T00:00:00Z", None),
        (2, "alpha", "alpha", "pro", False, "expired", "2026-01-15T13:00:00Z", None),
        (3, "alpha", "alpha", "pro", False, "valid", None, None),
        (4, "gone", "gone", "unlimited", True, "revoked", None, "2026-01-15T12:00:00Z"),
    ]
    assert {row["created"] for row in told} == {"2026-01-15T12:00:00Z"}
    assert [row["number"] for row in await ring.keyring.listed(1, 2)] == [2, 3]
    directory = Directory(loaded(tmp_path, keys=[]))
    dropped = await ring.made.read(lambda database: rows(database, directory, ring.clock.wall()))
    assert [row["state"] for row in dropped] == ["valid", "dropped", "dropped", "revoked"]
    assert dropped[1]["organization"] is None
    await ring.close()


async def test_a_new_key_is_told_once_with_what_ends_for_it(tmp_path: Path) -> None:
    ring = await Ring.open(Disk(tmp_path), FakeClock(), loaded(tmp_path))
    first = await ring.keyring.create(create(id="alpha"))
    second = await ring.keyring.rotate("alpha", overlap("1h"))
    third = await ring.keyring.rotate("alpha", overlap("0s"))
    assert first.key is not None
    assert made(first) == {
        "account": "alpha",
        "key": first.secret,
        "number": 1,
        "hint": first.key.hint,
        "test": False,
        "ending": [],
        "revoked": [],
    }
    ending = {"number": 1, "hint": first.key.hint, "expires": "2026-01-15T13:00:00Z"}
    assert made(second)["ending"] == [ending]
    gone = revoked(third)["revoked"]
    assert isinstance(gone, list)
    assert [key["number"] for key in gone] == [1, 2]
    assert made(third)["revoked"] == gone
    await ring.close()


async def test_a_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """As a whole by a command, for now by a gateway."""
    ring = await Ring.open(Disk(tmp_path), FakeClock(), loaded(tmp_path))
    await ring.keyring.create(create(id="shop"))
    directory, wall = Directory(ring.config), ring.clock.wall()
    assert [row["number"] for row in read(tmp_path, directory, wall)] == [1]
    assert read(tmp_path / "none", directory, wall) == []
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("DROP TABLE accounts")
    with pytest.raises(BadStart, match="cannot be read: no such table"):
        read(tmp_path, directory, wall)
    with pytest.raises(Unavailable, match="no such table"):
        await ring.keyring.listed(0, -1)
    await ring.close()


def test_moments_are_in_utc() -> None:
    assert (instant(None), instant(0.0)) == (None, "1970-01-01T00:00:00Z")


async def test_a_page_reads_no_account_beyond_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = await Ring.open(Disk(tmp_path), FakeClock(), loaded(tmp_path))
    for id_ in ("one", "two", "three"):
        await ring.keyring.create(create(id=id_))
    monkeypatch.setattr(KeyDatabase, "accounts", lambda _: pytest.fail("a revocation would wait for every account"))
    assert [row["account"] for row in await ring.keyring.listed(1, 1)] == ["two"]
    await ring.close()
