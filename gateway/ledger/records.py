"""The closed set of journal records, and how a group of them is written: a JSON list of `[kind, count, fields]`.

A record is whole in itself: what it does to a balance, and how that is undone, needs nothing but the record.
"""

from collections.abc import Iterable
from typing import NamedTuple

import orjson

Lines = tuple[tuple[str, int], ...]


class LedgerCorrupt(Exception):
    """The journal or the book does not hold what was written; the message names the place."""


class Term(NamedTuple):
    """Where a balance is in its plan: the id of the latest period with a grant, and the tokens granted for it."""

    period: int
    given: int


BEFORE_ANY = Term(-1, 0)


class Grant(NamedTuple):
    """`tokens` come in for `term`; `prior` is the balance's term before."""

    holder: str
    tokens: int
    term: Term
    prior: Term


class Lapse(NamedTuple):
    """`tokens` nobody spent go with the end of their period."""

    holder: str
    tokens: int


class Charge(NamedTuple):
    """A reuse, charged at once: `base` of its `tokens` are the base price. Unlimited: granted as it is charged.

    `minute` counts UTC minutes since the epoch.
    """

    account: str
    holder: str
    route: str
    tokens: int
    base: int
    minute: int
    unlimited: bool


class Reserve(NamedTuple):
    """An operation begins: `tokens` are set aside, from the grant of `period` (None: unlimited, granted as reserved).

    `lines` are its quote's parts by name; `at` is in wall-clock seconds, here and below.
    """

    id: int
    account: str
    holder: str
    organization: str
    route: str
    period: int | None
    tokens: int
    lines: Lines
    at: float


class Settle(NamedTuple):
    """An operation is charged `tokens` of what it reserved. The rest returns, or lapses where its period is over."""

    reserve: Reserve
    tokens: int
    lapses: bool
    outcome: str
    at: float


class Release(NamedTuple):
    """An operation ends free: all it reserved returns, or lapses where its period is over."""

    reserve: Reserve
    lapses: bool
    outcome: str
    at: float


class Refund(NamedTuple):
    """The charge of a settled operation is reversed: its `tokens` return, or lapse where their period is over."""

    reserve: Reserve
    tokens: int
    lapses: bool
    outcome: str
    at: float


class Forced(NamedTuple):
    """One force refresh against an organization's cap; it may count until the wall clock passes `until`."""

    organization: str
    at: float
    until: float


Record = Grant | Lapse | Charge | Reserve | Settle | Release | Refund | Forced
Entry = tuple[Record, int]
"""A record, and how often it stands in its group."""

_KINDS: dict[type[Record], str] = {
    Grant: "grant",
    Lapse: "lapse",
    Charge: "charge",
    Reserve: "reserve",
    Settle: "settle",
    Release: "release",
    Refund: "refund",
    Forced: "forced",
}


def encode(entries: Iterable[Entry]) -> bytes:
    """One group as the journal's payload. Raises TypeError for what JSON cannot say (an integer over 64 bits)."""
    return orjson.dumps([(_KINDS[type(record)], count, record) for record, count in entries], default=tuple)


def decode(payload: bytes) -> list[Entry]:
    """The group that `encode` wrote. Raises LedgerCorrupt for anything else."""
    try:
        return [(_record(kind, fields), count) for kind, count, fields in orjson.loads(payload)]
    except (ValueError, TypeError) as error:
        raise LedgerCorrupt(f"a journal group cannot be read: {error}") from error


def _record(kind: str, fields: list[object]) -> Record:
    match kind, fields:
        case "grant", [str(holder), int(tokens), [int(period), int(given)], [int(was), int(before)]]:
            return Grant(holder, tokens, Term(period, given), Term(was, before))
        case "lapse", [str(holder), int(tokens)]:
            return Lapse(holder, tokens)
        case "charge", [str(account), str(holder), str(route), int(tokens), int(base), int(minute), bool(unlimited)]:
            return Charge(account, holder, route, tokens, base, minute, unlimited)
        case "reserve", reserve:
            return _reserve(reserve)
        case "settle", [list(reserve), int(tokens), bool(lapses), str(outcome), float(at)]:
            return Settle(_reserve(reserve), tokens, lapses, outcome, at)
        case "release", [list(reserve), bool(lapses), str(outcome), float(at)]:
            return Release(_reserve(reserve), lapses, outcome, at)
        case "refund", [list(reserve), int(tokens), bool(lapses), str(outcome), float(at)]:
            return Refund(_reserve(reserve), tokens, lapses, outcome, at)
        case "forced", [str(organization), float(at), float(until)]:
            return Forced(organization, at, until)
        case _:
            raise ValueError(f"unknown record {kind!r}")


def _reserve(fields: object) -> Reserve:
    match fields:
        case [
            int(number),
            str(account),
            str(holder),
            str(organization),
            str(route),
            (int() | None) as period,
            int(tokens),
            list(lines),
            float(at),
        ]:
            parts = tuple((str(name), int(part)) for name, part in lines)
            return Reserve(number, account, holder, organization, route, period, tokens, parts, at)
        case _:
            raise ValueError("a reservation lacks fields")
