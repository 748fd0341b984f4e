"""The key database on a real disk: what is written stays, what fails changes nothing, what is damaged is told."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.gateway import ROOT

from gateway.errors import BadStart
from gateway.keys.database import FILE, Change, KeyDatabase, MadeAccount, MadeKey

ACCOUNT = MadeAccount("shop", "acme", "pro", "10/s", "lookup refresh", 2000.0, 5.0)


def made(digest: bytes, account: str = "shop", hint: str = "rk_live_…aaaa", *, test: bool = False) -> MadeKey:
    return MadeKey(0, digest, account, hint, test, created=5.0)


def added(database: KeyDatabase, *digests: bytes) -> list[int]:
    return [database.apply(Change(5.0, key=made(digest))) for digest in digests]


def test_what_was_written_is_read_by_the_next(tmp_path: Path) -> None:
    database = KeyDatabase.open(tmp_path)
    assert database.apply(Change(5.0, account=ACCOUNT, key=made(b"a", test=True))) == 1
    database.close()
    database = KeyDatabase.open(tmp_path)
    assert database.accounts() == {"shop": ACCOUNT}
    assert database.account("shop") == ACCOUNT
    assert database.account("none") is None
    assert list(database.unrevoked()) == [MadeKey(1, b"a", "shop", "rk_live_…aaaa", True, 5.0)]
    database.close()


def test_how_keys_are_found(tmp_path: Path) -> None:
    database = KeyDatabase.open(tmp_path)
    for number, account in enumerate(["a", "b", "a", "a"]):
        database.apply(Change(5.0, key=made(bytes([number]), account, f"rk_live_…{number % 2}")))
    assert [key.number for key in database.listed()] == [1, 2, 3, 4]
    assert [key.number for key in database.listed(after=1, most=2)] == [2, 3]
    assert [key.number for key in database.keys_of("a")] == [1, 3, 4]
    assert [key.number for key in database.hinted("rk_live_…1")] == [2, 4]
    assert [key.account for key in database.numbered(2)] == ["b"]
    assert database.numbered(5) == database.hinted("?") == database.keys_of("c") == []
    database.close()


def test_a_change_revokes_and_ends(tmp_path: Path) -> None:
    database = KeyDatabase.open(tmp_path)
    first, second, third = added(database, b"a", b"b", b"c")
    assert database.apply(Change(7.0, revoked=(first,), until=9.0, ending=(second,))) == 0
    assert [(key.expires, key.revoked) for key in database.listed()] == [(None, 7.0), (9.0, None), (None, None)]
    assert [key.number for key in database.unrevoked()] == [second, third]
    database.close()


def test_a_change_that_fails_halfway_changes_nothing(tmp_path: Path) -> None:
    database = KeyDatabase.open(tmp_path)
    (first,) = added(database, b"a")
    with pytest.raises(sqlite3.IntegrityError):
        database.apply(Change(7.0, revoked=(first,), account=ACCOUNT, key=made(b"a")))
    assert database.accounts() == {}
    assert [key.revoked for key in database.listed()] == [None]
    assert added(database, b"b") == [2]
    database.close()


def test_a_locked_file_is_an_error_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.keys.database._PATIENCE", 0.0)
    database = KeyDatabase.open(tmp_path)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        added(database, b"a")
    other.execute("ROLLBACK")
    other.close()
    assert database.listed() == []
    assert added(database, b"a") == [1]
    database.close()


def test_a_full_disk_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    database = KeyDatabase.open(tmp_path)
    added(database, b"first")
    pages = database._db.execute("PRAGMA page_count").fetchone()[0]
    database._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        database.apply(Change(5.0, revoked=(1,), key=made(b"x" * 100_000)))
    assert [key.digest for key in database.unrevoked()] == [b"first"]
    database._db.execute("PRAGMA max_page_count = 1000000")
    assert added(database, b"second") == [2]
    database.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from gateway.keys.database import Change, KeyDatabase, MadeKey
database = KeyDatabase.open(Path(sys.argv[1]))
database.apply(Change(5.0, key=MadeKey(0, b"whole", "shop", "", False, 5.0)))
db = database._db
db.execute("PRAGMA cache_size = 1")
db.execute("PRAGMA cache_spill = 1")
db.execute("BEGIN IMMEDIATE")
db.executemany("INSERT INTO keys VALUES (NULL, ?, 'half', '', 0, 5.0, NULL, NULL)", [(b"%d" % n,) for n in range(9999)])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("opening", ["open", "reading"])
def test_what_a_killed_process_left_half_written_is_taken_back(tmp_path: Path, opening: str) -> None:
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environ, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / f"{FILE}-journal").stat().st_size > 0
    database = getattr(KeyDatabase, opening)(tmp_path)
    assert [key.digest for key in database.listed()] == [b"whole"]
    database.close()


def test_reading_changes_nothing(tmp_path: Path) -> None:
    assert KeyDatabase.reading(tmp_path) is None
    (tmp_path / FILE).touch()
    assert KeyDatabase.reading(tmp_path) is None
    writing = KeyDatabase.open(tmp_path)
    added(writing, b"a")
    reading = KeyDatabase.reading(tmp_path)
    assert reading is not None
    assert [key.number for key in reading.listed()] == [1]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        added(reading, b"b")
    added(writing, b"c")
    assert [key.number for key in reading.listed()] == [1, 2]
    reading.close()
    writing.close()


def spoiled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 + 3] ^= 0xFF
    path.write_bytes(content)


def of_another_version(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()


def of_something_else(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (a)")
    db.close()


UNUSABLE = {
    "no database": (lambda path: path.write_text("something else, long enough to be read"), "not a database"),
    "cut off": (lambda path: os.truncate(path, 5000), "malformed|damaged"),
    "a damaged page": (spoiled, "malformed|damaged"),
    "another version": (of_another_version, "has version 7, and this gateway reads 1"),
    "another application's": (of_something_else, "has version 0"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "unable to open"),
}


@pytest.mark.parametrize(("spoil", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_one_clear_line(tmp_path: Path, spoil: object, words: str) -> None:
    KeyDatabase.open(tmp_path).close()
    assert callable(spoil)
    spoil(tmp_path / FILE)
    with pytest.raises(BadStart, match=words) as caught:
        KeyDatabase.open(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reading_tells_of_it_too(tmp_path: Path) -> None:
    KeyDatabase.open(tmp_path).close()
    of_another_version(tmp_path / FILE)
    with pytest.raises(BadStart, match="has version 7"):
        KeyDatabase.reading(tmp_path)


def test_a_key_ends_with_whichever_comes_first() -> None:
    key = made(b"a")
    assert (key.end(None), key.end(3.0)) == (None, 3.0)
    assert (key._replace(expires=2.0).end(3.0), key._replace(expires=4.0).end(3.0)) == (2.0, 3.0)
    assert key._replace(expires=2.0).holds(1.9)
    assert not key._replace(expires=2.0).holds(2.0)
    assert not key._replace(revoked=2.0).holds(1.0)


def test_the_file_is_for_its_own_user_alone(tmp_path: Path) -> None:
    KeyDatabase.open(tmp_path).close()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
