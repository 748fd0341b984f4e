"""What records do to a fleet's balances in Redis (pure), and what a book says that they are: for scripts to put back.

Everything is strings, as Redis has it: a number of Lua's own holds no more than 2**53.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from gateway.ledger.accounts import Accounts
from gateway.ledger.balance import Balance
from gateway.ledger.records import FLEET_CLOCK, Forced, Record, Release, Reserve, Settle, Term
from gateway.ledger.streaming import Streamed

# What no grant leaves behind: a balance that still has it keeps its own term.
_UNTOUCHED = Term(-2, -1)

INCARNATION = 32
"""By how many bits an operation's id is shifted to give the incarnation of its node."""


class _Moved(Accounts):
    """Balances that begin with nothing, so that what records make of them is what they add."""

    def balance(self, holder: str) -> Balance:
        """The holder's, with the term that none has."""
        known = holder in self.balances
        balance = super().balance(holder)
        if not known:
            balance.term = _UNTOUCHED
        return balance


def moved(entries: Sequence[Streamed], prefix: Callable[[str], str]) -> bytes:
    """For restore.lua, of one shard's entries in order: the entries, and what they add to balances and all else.

    `prefix` says what the keys of a holder's shard begin with.
    """
    records = [entry for streamed in entries for entry in streamed.entries]
    accounts = _Moved()
    for record, count in records:
        accounts.apply(record, count)
    return _document(
        entries=_entries(entries),
        balances=[[*_columns(holder, balance), prefix(holder)] for holder, balance in accounts.balances.items()],
        opened=[_opened(reserve) for reserve in accounts.open.values()],
        closed=[str(record.reserve.id) for record, _ in records if isinstance(record, Settle | Release)],
        forced=_forced(record for record, count in records if isinstance(record, Forced) for _ in range(count)),
    )


def founded(
    balances: Iterable[tuple[str, Balance]],
    reserves: Iterable[Reserve],
    forced: Iterable[Forced],
    entries: Sequence[Streamed],
) -> bytes:
    """For found.lua: all of one shard, with the latest `entries` of its stream."""
    return _document(
        entries=_entries(entries),
        balances=[_columns(holder, balance) for holder, balance in balances],
        opened=[_opened(reserve) for reserve in reserves],
        closed=[],
        forced=_forced(forced),
    )


def latest(records: Iterable[Record]) -> int:
    """The microsecond of the fleet's clock that the latest force refresh among `records` tells of, 0 for none."""
    told = (record for record in records if isinstance(record, Forced) and record.boot == FLEET_CLOCK)
    return max(map(_moment, told), default=0)


def _document(**parts: list[Any]) -> bytes:
    return orjson.dumps(parts)


def _entries(entries: Iterable[Streamed]) -> list[list[str]]:
    return [[entry.id, str(entry.number), entry.payload.decode()] for entry in entries]


def _columns(holder: str, balance: Balance) -> list[str]:
    amounts = balance.granted, balance.charged, balance.reserved, balance.lapsed, balance.balance
    term = ("", "") if balance.term == _UNTOUCHED else map(str, balance.term)
    return [holder, *map(str, amounts), *term]


def _opened(reserve: Reserve) -> list[str]:
    fields = orjson.dumps(reserve, default=tuple).decode()
    return [str(reserve.id), f"{reserve.id >> INCARNATION}\n{fields}"]


def _forced(records: Iterable[Forced]) -> list[list[str]]:
    """Each force refresh in its organization's window: at which microsecond, and a name that no other one has there."""
    return [
        [record.organization, str(_moment(record)), f"put back {place} {record.at!r}"]
        for place, record in enumerate(records)
    ]


def _moment(record: Forced) -> int:
    """In microseconds of the fleet's clock, which began as a wall clock."""
    return round(1e6 * (record.uptime if record.boot == FLEET_CLOCK else record.at))
