"""Stored responses in one SQLite file: found by cache key, least recently used out first, and never more than fits.

Ids and turns of use are of one count that never goes back, so that none is ever given twice.
"""

import sqlite3
from collections.abc import Callable, Iterable
from hashlib import blake2b
from math import inf
from typing import Any, NamedTuple

from gateway.rfc9111.stored import StoredResponse
from gateway.stores import Mark
from gateway.stores.disk.schema import PAGE, remember, told
from gateway.stores.encoding import decode, decode_json, encode_json, framed
from gateway.stores.memory import VARIANTS
from gateway.stores.purging import Lasting, joined, met
from gateway.stores.selection import read

AT_ONCE = 32
"""Responses put out in one step."""

MOST_OUT = 1024
"""Responses put out in one transaction, at most."""

CHANCES = 256
"""Responses that stay in one transaction because memory has them, at most: then it is everybody's turn."""

_MARGIN = 48
"""Pages that indexes and marks may take in one transaction, besides the responses."""

# Pages in one transaction.
_GIVEN_BACK = 512

_PURGES = 64
# Where a mark was and cannot be read, nothing of its group can be trusted.
_UNREADABLE = Mark(before=inf)


class Kept(NamedTuple):
    """A response to be kept: `pieces` of its value (`encoding.parts`), None to take out what is in its place."""

    key: str
    variant: bytes
    began: float
    received: float
    pieces: tuple[bytes, ...] | None

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return sum(map(len, self.pieces or ()))


class Shelf:
    """What one connection to the file does, within transactions of its caller's. Raises sqlite3.Error.

    `holds` says of a cache key whether memory has it: that counts as a use when it is its turn to go. `evictions` and
    `count` are plain numbers to read. `most` is how many pages may be used; while it is `full`, nothing new is kept.
    """

    def __init__(self, db: sqlite3.Connection, limit: int, holds: Callable[[str], bool]) -> None:
        self._db = db
        self._holds = holds
        # The log before the file takes its part of what is allowed.
        self.most: int = (limit - limit // 8) // PAGE
        self.largest = limit // 16
        self.evictions = 0
        # What came and what went in the transaction under way: ids and digests.
        self.came: list[tuple[int, bytes]] = []
        self.went: list[tuple[int, bytes]] = []
        self.full = False
        self._most_marks = max(1024, limit // 4096)
        self.turn: int
        self.count: int
        [self.turn] = db.execute("SELECT max(ifnull(max(id), 0), ifnull(max(used), 0)) FROM listed").fetchone()
        [self.count] = db.execute("SELECT count(*) FROM listed").fetchone()
        [self._marks] = db.execute("SELECT count(*) FROM marks").fetchone()
        self.latest, self._floor = told(db, "latest") or 0.0, told(db, "floor") or 0.0
        self._purges = _purges(told(db, "purges"))
        self._pages = self._counted()
        self._used: dict[int, None] = {}
        self._gone: dict[int, None] = {}

    @property
    def taken(self) -> int:
        """Bytes of the file that are used."""
        return PAGE * self._pages

    @property
    def untidy(self) -> int:
        """How many loads' consequences are yet to be written."""
        return len(self._used) + len(self._gone)

    def load(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant under the key that nothing outdates, most recently received first."""
        query = "SELECT id, value FROM listed JOIN contents USING (id) WHERE key = ? ORDER BY received DESC"
        found = [(id_, decode(value)) for id_, value in self._db.execute(query, (digest(key),))]
        left = []
        for id_, stored in found:
            if stored is None or stored.key != key or not self._is_current(stored):
                self._gone[id_] = None
            else:
                self._used[id_] = None
                left.append(stored)
        return tuple(left)

    def keep(self, kept: Kept) -> None:
        """Put it in place of its variant, unless that began later."""
        key = digest(kept.key)
        query = "SELECT id, variant, began FROM listed WHERE key = ? ORDER BY received DESC"
        listed = self._db.execute(query, (key,)).fetchall()
        if any(variant == kept.variant and began > kept.began for _, variant, began in listed):
            return
        self._remove([id_ for id_, variant, _ in listed if variant == kept.variant])
        if kept.pieces is None or kept.size > self.largest or self.full:
            return
        self._insert(key, kept, framed(*kept.pieces))
        if len(listed) >= VARIANTS:
            received = self._db.execute("SELECT id FROM listed WHERE key = ? ORDER BY received DESC", (key,)).fetchall()
            self._remove([id_ for (id_,) in received[VARIANTS:]])

    def drop(self, groups: tuple[str, ...], before: float, keep: str | None) -> None:
        """Outdate what belongs to one of `groups` and began before `before`, but for key `keep`."""
        for name in map(digest, groups):
            [(known, mark)] = self._marked([name])
            mark = Mark(before) if mark is _UNREADABLE else mark.joined(before, keep)
            row = (name, mark.before, encode_json((mark.before, mark.keep, mark.floor)))
            self._db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", row)
            self._marks += not known
        self._saw(before)
        self._forget()

    def purge(self, selection: tuple[str, ...], before: float, *, hard: bool) -> None:
        """Leave out what the selection takes and began before `before`; unless `hard` say of it that it is purged."""
        self._purges = joined(self._purges, Lasting(read(selection), before, hard), _PURGES)
        value = [(one.selection.written, one.before, one.hard) for one in self._purges]
        remember(self._db, "purges", encode_json(value))
        self._saw(before)

    def has_room(self, size: int, responses: int) -> bool:
        """Whether so many bytes in so many responses fit beside the rest."""
        return self._pages + size // PAGE + 2 * responses + _MARGIN <= self.most

    def make_room(self, size: int, responses: int) -> None:
        """Put out what was used least recently until so much fits; what memory holds is used, for a while.

        Where that would take long, some of it: `full` is then to be set.
        """
        out = spared = 0
        while self.count and out < MOST_OUT and not self.has_room(size, responses):
            query = "SELECT id, name FROM listed ORDER BY used LIMIT ?"
            oldest = self._db.execute(query, (AT_ONCE,)).fetchall()
            for id_, name in oldest:
                if spared < CHANCES and self._holds(_name(name)):
                    spared += 1
                    self._touch([id_])
                elif not self.has_room(size, responses):
                    self._remove([id_])
                    self._pages = self._counted()
                    out += 1
        self.evictions += out

    @property
    def excess(self) -> int:
        """Pages that the file is too long, since less is allowed."""
        return max(self._said("page_count") - self.most, 0)

    def shrink(self) -> None:
        """Give back some of what is too much."""
        self.make_room(0, 0)
        for _ in range(min(self.excess, _GIVEN_BACK)):
            # Whatever it is asked for, a statement that has no rows to tell of takes one step here.
            self._db.execute("PRAGMA incremental_vacuum(1)")

    def tidy(self) -> None:
        """Write down what loads have used, and take out what they left."""
        self._touch(self._used)
        self._remove(self._gone)
        self._used, self._gone = {}, {}

    def state(self) -> tuple[Any, ...]:
        """What a transaction may change, for `restore`."""
        return self.count, self._marks, self.latest, self._floor, self._purges, self.evictions, self._pages

    def restore(self, state: tuple[Any, ...]) -> None:
        """The transaction was rolled back."""
        self.count, self._marks, self.latest, self._floor, self._purges, self.evictions, self._pages = state
        self.came, self.went = [], []

    def close_turn(self) -> None:
        """The last of a transaction: what the next process counts on from."""
        remember(self._db, "latest", self.latest)
        self._pages = self._counted()

    def names(self, after: int, upto: int, most: int) -> list[tuple[int, bytes]]:
        """Ids, above `after` and up to `upto`, and digests of at most `most` cache keys, in that order."""
        query = "SELECT id, key FROM listed WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        return self._db.execute(query, (after, upto, most)).fetchall()

    def _is_current(self, stored: StoredResponse) -> bool:
        if stored.began < self._floor:
            return False
        marks = self._marked([digest(group) for group in stored.groups])
        if any(mark.outdates(stored.key, stored.began) for _, mark in marks):
            return False
        return not any(purge.hard for purge in met(stored, self._purges))

    def _marked(self, names: list[bytes]) -> list[tuple[bool, Mark]]:
        """The marks of groups, and whether they have any."""
        query = "SELECT value FROM marks WHERE name = ?"
        return [_mark(self._db.execute(query, (name,)).fetchone()) for name in names]

    def _forget(self) -> None:
        """Beyond so many marks, what began before the oldest of them is outdated, whatever it belongs to."""
        if self._marks <= self._most_marks:
            return
        query = "SELECT before FROM marks ORDER BY before LIMIT 1 OFFSET ?"
        self._floor = max(self._floor, self._db.execute(query, (AT_ONCE,)).fetchone()[0])
        self._marks -= self._db.execute("DELETE FROM marks WHERE before <= ?", (self._floor,)).rowcount
        remember(self._db, "floor", self._floor)

    def _insert(self, key: bytes, kept: Kept, value: bytes) -> None:
        id_ = self._next()
        row = (id_, key, kept.variant, kept.began, kept.received, id_, _plain(kept.key))
        self._db.execute("INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._db.execute("INSERT INTO contents VALUES (?, ?)", (id_, value))
        self.count += 1
        self.came.append((id_, key))
        self._saw(kept.began, kept.received)

    def _remove(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            for (key,) in self._db.execute("SELECT key FROM listed WHERE id = ?", (id_,)).fetchall():
                self._db.execute("DELETE FROM listed WHERE id = ?", (id_,))
                self.count -= 1
                self.went.append((id_, key))
            self._db.execute("DELETE FROM contents WHERE id = ?", (id_,))

    def _touch(self, ids: Iterable[int]) -> None:
        self._db.executemany("UPDATE listed SET used = ? WHERE id = ?", [(self._next(), id_) for id_ in ids])

    def _next(self) -> int:
        self.turn += 1
        return self.turn

    def _saw(self, *times: float) -> None:
        self.latest = max(self.latest, *times)

    def _counted(self) -> int:
        return self._said("page_count") - self._said("freelist_count")

    def _said(self, name: str) -> int:
        value: int = self._db.execute(f"PRAGMA {name}").fetchone()[0]
        return value


def digest(name: str) -> bytes:
    """What stands for a cache key, or a group's name."""
    return blake2b(_plain(name), digest_size=16).digest()


def variant(selecting: tuple[tuple[str, str], ...]) -> bytes:
    """What stands for the selecting header fields of a variant."""
    return blake2b(encode_json(selecting), digest_size=16).digest() if selecting else b""


def _plain(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _name(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")


def _purges(value: object) -> list[Lasting]:
    if value is None:
        return []
    kept = decode_json(value)
    if kept is None:
        raise ValueError("its purges cannot be read")
    return [Lasting(read(selection), before, hard) for selection, before, hard in kept]


def _mark(row: Any) -> tuple[bool, Mark]:
    if row is None:
        return False, Mark()
    members = decode_json(row[0])
    return True, _UNREADABLE if members is None else Mark(*members)
