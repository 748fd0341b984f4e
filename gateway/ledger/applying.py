"""Journal groups into the book's tables, with the last one's number: all or nothing by the caller's transaction."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

import orjson

from gateway.ledger import chain
from gateway.ledger.accounts import Accounts, Balance
from gateway.ledger.backlog import Batch
from gateway.ledger.inserting import insert
from gateway.ledger.postings import Amounts, OpenKey, Postings, counted
from gateway.ledger.records import (
    Charge,
    Correction,
    Entry,
    Forced,
    Grant,
    Joined,
    Kept,
    Lapse,
    LedgerCorrupt,
    Opening,
    Position,
    Record,
    Refund,
    Release,
    Renamed,
    Reserve,
    Sale,
    Settle,
    Spend,
    Term,
)

Group = tuple[int, Sequence[Entry]]
"""A group's sequence number and its records."""

SLICE = 100
"""Entries between two pauses: half a millisecond's work for the interpreter."""

Pause = Callable[[], object]

_LINES = Reserve._fields.index("lines")

_LOADED = """
SELECT json_group_array(json_array(holder, granted, charged, reserved, lapsed, balance, period, given))
FROM balances WHERE holder IN ({})
"""
# Holders looked up by one statement.
_AT_ONCE = 500

_ADD = """
ON CONFLICT DO UPDATE SET
    count = count + excluded.count, granted = granted + excluded.granted, charged = charged + excluded.charged,
    lapsed = lapsed + excluded.lapsed, cost = cost + excluded.cost, outcomes = (
        SELECT json_group_object(key, n) FROM (SELECT key, sum(value) AS n FROM (
            SELECT key, value FROM json_each(open.outcomes)
            UNION ALL SELECT key, value FROM json_each(excluded.outcomes)
        ) GROUP BY key ORDER BY key)
    )
"""


def apply(db: sqlite3.Connection, groups: Sequence[Group]) -> None:
    """Applies groups that follow meta's `applied`, each once: those up to it are left out. Raises as `add` does."""
    (applied,) = db.execute("SELECT value FROM meta WHERE name = 'applied'").fetchone()
    groups = [group for group in groups if group[0] > applied]
    if not groups:
        return
    batch = Batch(groups[0][0])
    for _, entries in groups:
        batch.add(entries)
    add(db, batch, _at_once)


def add(db: sqlite3.Connection, batch: Batch, pause: Pause) -> None:
    """Applies a batch that follows meta's `applied`, or does nothing where it is in the book; `pause`s in between.

    Raises LedgerCorrupt where groups are missing before it, sqlite3.Error, and OverflowError for sums over 64 bits.
    """
    meta = dict(db.execute("SELECT name, value FROM meta"))
    # A commit that was reported as failed may have come about all the same.
    if batch.last <= meta["applied"]:
        return
    if batch.first != meta["applied"] + 1:
        raise LedgerCorrupt(f"group {batch.first} does not follow {meta['applied']}, the last one in the book")
    entries, last_id = batch.entries(), meta["last_id"]
    for begin in range(0, len(entries), SLICE):
        last_id = max(last_id, _add(db, entries[begin : begin + SLICE], meta["sealed"] + 1))
        pause()
    db.executemany("UPDATE meta SET value = ? WHERE name = ?", [(batch.last, "applied"), (last_id, "last_id")])


def _add(db: sqlite3.Connection, entries: Sequence[Entry], first: int) -> int:
    """Posts entries to no minute before `first`; the last operation's id among them."""
    accounts, postings = _loaded(db, entries), Postings(first)
    for record, count in entries:
        accounts.apply(record, count)
        postings.add(record, count)
    _write_balances(db, accounts)
    _write_reservations(db, accounts, entries)
    _write_open(db, postings.open)
    if postings.sealed:
        chain.append(db, postings.sealed)
    _write_rest(db, entries)
    return accounts.last_id


def _at_once() -> None:
    """No pause."""


def _loaded(db: sqlite3.Connection, entries: Iterable[Entry]) -> Accounts:
    """Accounts that hold the balances which records are about, and no open reservations."""
    accounts = Accounts()
    holders = list({holder: None for record, _ in entries for holder in holders_of(record)})
    for begin in range(0, len(holders), _AT_ONCE):
        some = holders[begin : begin + _AT_ONCE]
        [(text,)] = db.execute(_LOADED.format(", ".join("?" * len(some))), some)
        for holder, granted, charged, reserved, lapsed, balance, period, given in orjson.loads(text):
            accounts.put(holder, Balance(granted, charged, reserved, lapsed, balance, Term(period, given)))
    return accounts


def holders_of(record: Record) -> tuple[str, ...]:
    """Whose balances it is about."""
    match record:
        case Charge() | Reserve() | Grant() | Lapse() | Correction() | Opening():
            return (record.holder,)
        case Sale() | Settle() | Release() | Refund():
            return (record.reserve.holder,)
        case Renamed():
            return record.former, record.holder
        case Spend() | Kept() | Forced() | Joined() | Position():
            return ()
        case _:
            assert_never(record)


def _write_balances(db: sqlite3.Connection, accounts: Accounts) -> None:
    rows = [
        (holder, b.granted, b.charged, b.reserved, b.lapsed, b.balance, b.term.period, b.term.given)
        for holder, b in accounts.balances.items()
    ]
    insert(db, "balances", rows, or_="REPLACE")


def _write_reservations(db: sqlite3.Connection, accounts: Accounts, entries: Iterable[Entry]) -> None:
    closed = [(record.reserve.id,) for record, _ in entries if isinstance(record, Settle | Release)]
    db.executemany("DELETE FROM reservations WHERE id = ?", closed)
    opened = [(*r[:_LINES], orjson.dumps(r.lines).decode(), *r[_LINES + 1 :]) for r in accounts.open.values()]
    insert(db, "reservations", opened)


def _write_open(db: sqlite3.Connection, gained: dict[OpenKey, Amounts]) -> None:
    rows = [
        (*key, gain.count, gain.granted, gain.charged, gain.lapsed, gain.cost, counted(gain.outcomes))
        for key, gain in gained.items()
    ]
    insert(db, "open", rows, conflict=_ADD)


def _write_rest(db: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """What concerns no balance."""
    kept = [record for record, _ in entries if isinstance(record, Kept)]
    forced = [record for record, count in entries if isinstance(record, Forced) for _ in range(count)]
    insert(db, "answers", kept, or_="REPLACE")
    insert(db, "forced", forced)
    of_fleet = [record for record, _ in entries if isinstance(record, Joined | Position)]
    if of_fleet:
        _write_of_fleet(db, of_fleet)


def _write_of_fleet(db: sqlite3.Connection, records: Sequence[Joined | Position]) -> None:
    for record in records:
        if isinstance(record, Joined):
            _join(db, record)
    # Of a batch's many positions in a shard the last one is all that counts.
    positions = {record.shard: record for record in records if isinstance(record, Position)}
    insert(db, "positions", [position[:3] for position in positions.values()], or_="REPLACE")
    homes = [(holder, record.shard) for record in records if isinstance(record, Position) for holder in record.homes]
    insert(db, "homes", homes, or_="REPLACE")


def _join(db: sqlite3.Connection, joined: Joined) -> None:
    """A fleet's positions mean nothing in another one."""
    db.execute("DELETE FROM positions")
    db.execute("DELETE FROM homes")
    db.execute("INSERT OR REPLACE INTO meta VALUES ('fleet', ?)", (joined.fleet,))
