"""The ledger's folder read from outside, while a gateway runs on it or not: book and journal tail as one moment of it.

It takes no lock and changes nothing. What the book does not hold yet becomes postings by the book's own code, so that
nothing committed is missing, be the gateway behind or killed.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from gateway.errors import BadStart
from gateway.ledger.applying import Group
from gateway.ledger.book import BATCH
from gateway.ledger.chain import Row
from gateway.ledger.encoding import decode
from gateway.ledger.journal import replay
from gateway.ledger.postings import Amounts, OpenKey, Postings, counted
from gateway.ledger.records import LedgerCorrupt
from gateway.ledger.recovery import BOOK, JOURNAL
from gateway.ledger.schema import VERSION

T = TypeVar("T")

_TRIES = 5
_PATIENCE = 5.0
_LATE = """
CREATE TEMP TABLE late AS
SELECT kind, minute, account, holder, organization, route, upstream, operation, request, tokens, count, granted,
    charged, lapsed, cost, outcomes, details FROM main.chain WHERE false;
CREATE TEMP VIEW unsealed AS
SELECT * FROM temp.late
UNION ALL SELECT kind, minute, account, holder, organization, route, upstream, NULL, NULL, tokens, count, granted,
    charged, lapsed, cost, outcomes, '{}' FROM main.open;
CREATE TEMP VIEW postings AS
SELECT kind, minute, account, holder, organization, route, upstream, operation, request, tokens, count, granted,
    charged, lapsed, cost, outcomes, details FROM main.chain
UNION ALL SELECT * FROM unsealed;
"""
_ADD = "INSERT INTO late VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """One moment of the ledger in `folder`: the book's tables, and views with the columns of `chain.Row`.

    `unsealed` has the open rows and what only the journal holds yet, `postings` the chain's records as well. Raises
    BadStart, for errors of SQLite in the body too, where the ledger is not there, of another version, or damaged.
    """
    with closing(open_ledger(folder)) as db, readable(folder):
        db.executescript(_LATE)
        steady(db, lambda applied: _post(db, tail(folder, applied)))
        yield db


@contextmanager
def readable(place: Path) -> Iterator[None]:
    """Raises BadStart for what the body raises because the ledger at `place` cannot be read."""
    try:
        yield
    except (sqlite3.Error, LedgerCorrupt) as error:
        raise BadStart(f"the ledger in {place} cannot be read: {error}") from error


def open_ledger(folder: Path) -> sqlite3.Connection:
    """The book of the ledger in `folder`, as `open_book` does."""
    if not (folder / BOOK).is_file():
        raise BadStart(f"there is no ledger in {folder}: {BOOK} is missing")
    return open_book(folder / BOOK)


def open_book(path: Path) -> sqlite3.Connection:
    """A book, opened for reading alone. Raises BadStart where it cannot be read or is of another version."""
    with readable(path), ExitStack() as unless_read:
        db = sqlite3.connect(_as_it_is(path), uri=True, timeout=_PATIENCE, isolation_level=None)
        unless_read.callback(db.close)
        if (version := told(db, "version")) != VERSION:
            raise LedgerCorrupt(f"it has version {version}, and this gateway reads {VERSION}")
        unless_read.pop_all()
        return db


def _as_it_is(path: Path) -> str:
    """The URI of a book that is only read. Where nobody has it open SQLite would make files beside it.

    In a folder that takes none it is told instead that the book does not change.
    """
    untouched = not path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if untouched else ''}"


def told(db: sqlite3.Connection, name: str) -> int:
    """The number that the book's `meta` has under `name`. Raises LedgerCorrupt where it has none, and sqlite3.Error."""
    row = db.execute("SELECT value FROM main.meta WHERE name = ?", (name,)).fetchone()
    if row is None or not isinstance(row[0], int):
        raise LedgerCorrupt(f"the book does not tell its {name}")
    value: int = row[0]
    return value


def steady(db: sqlite3.Connection, take: Callable[[int], T]) -> T:
    """What `take` returns for the book's `applied`, in a read transaction that stays open.

    Begins anew where a running gateway drops the journal's segment that comes next, having applied it. Raises
    LedgerCorrupt where that does not help, and sqlite3.Error.
    """
    tries = _TRIES
    while True:
        with ExitStack() as unless_taken:
            db.execute("BEGIN")
            unless_taken.callback(db.execute, "ROLLBACK")
            try:
                taken = take(told(db, "applied"))
            except LedgerCorrupt:
                tries -= 1
                if not tries:
                    raise
            else:
                unless_taken.pop_all()
                return taken


def tail(folder: Path, after: int) -> Iterator[Sequence[Group]]:
    """The journal's groups after number `after`, in batches.

    Raises LedgerCorrupt where they cannot be read, and BadStart where that is only not allowed.
    """
    groups = ((sequence, decode(payload)) for sequence, payload in replay(folder / JOURNAL, after))
    try:
        while batch := list(islice(groups, BATCH)):
            yield batch
    except PermissionError as error:
        raise BadStart(f"the journal in {folder} cannot be read: {error.strerror}") from error
    except OSError as error:
        raise LedgerCorrupt(f"the journal cannot be read: {error}") from error


def _post(db: sqlite3.Connection, batches: Iterable[Sequence[Group]]) -> None:
    """Adds what is in the journal only, to the first minute that is not sealed at the earliest, as the book will."""
    first = told(db, "sealed") + 1
    for batch in batches:
        postings = Postings(first)
        for _, entries in batch:
            for record, count in entries:
                postings.add(record, count)
        db.executemany(_ADD, (*postings.sealed, *(_row(key, amounts) for key, amounts in postings.open.items())))


def _row(key: OpenKey, amounts: Amounts) -> Row:
    return Row(
        key.kind,
        key.minute,
        key.account,
        key.holder,
        key.organization,
        key.route,
        key.upstream,
        tokens=key.tokens,
        count=amounts.count,
        granted=amounts.granted,
        charged=amounts.charged,
        lapsed=amounts.lapsed,
        cost=amounts.cost,
        outcomes=counted(amounts.outcomes),
    )
