"""How a group of records is written to the journal: a JSON list of `[kind, count, fields]`."""

from collections.abc import Iterable

import orjson

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

_KINDS: dict[type[Record], str] = {
    Grant: "grant",
    Lapse: "lapse",
    Correction: "correction",
    Renamed: "renamed",
    Charge: "charge",
    Reserve: "reserve",
    Sale: "sale",
    Settle: "settle",
    Release: "release",
    Refund: "refund",
    Spend: "spend",
    Kept: "kept",
    Forced: "forced",
    Joined: "joined",
    Opening: "opening",
    Position: "position",
}


def encode(entries: Iterable[Entry]) -> bytes:
    """One group as the journal's payload. Raises TypeError for what JSON cannot say (an integer over 64 bits)."""
    return payload([entry(record, count) for record, count in entries])


def payload(entries: Iterable[bytes]) -> bytes:
    """One group, of encoded entries, as the journal's payload."""
    return b"[%b]" % b",".join(entries)


def entry(record: Record, count: int) -> bytes:
    """One entry of a group. Raises TypeError as `encode` does."""
    return orjson.dumps((_KINDS[type(record)], count, record), default=tuple)


def line(record: Record) -> bytes:
    """An entry with `%d` for the count, for what is written often. Raises TypeError as `encode` does."""
    fields = orjson.dumps(record, default=tuple).replace(b"%", b"%%")
    return b'["%b",%%d,%b]' % (_KINDS[type(record)].encode(), fields)


def decode(payload: bytes) -> list[Entry]:
    """The group that `encode` wrote. Raises LedgerCorrupt for anything else."""
    try:
        return [(_record(kind, fields), count) for kind, count, fields in orjson.loads(payload)]
    except (ValueError, TypeError) as error:
        raise LedgerCorrupt(f"a journal group cannot be read: {error}") from error


def _record(kind: str, fields: list[object]) -> Record:
    match kind, fields:
        case "charge", [
            str(account),
            str(holder),
            str(organization),
            str(route),
            str(upstream),
            int(tokens),
            int(minute),
            str(outcome),
            bool(unlimited),
        ]:
            return Charge(account, holder, organization, route, upstream, tokens, minute, outcome, unlimited)
        case "reserve", reserve:
            return reserve_of(reserve)
        case "sale", [list(reserve), str(outcome)]:
            return Sale(reserve_of(reserve), outcome)
        case "settle", [list(reserve), int(tokens), bool(lapses), str(outcome), float(at)]:
            return Settle(reserve_of(reserve), tokens, lapses, outcome, at)
        case "release", [list(reserve), bool(lapses), str(outcome), float(at)]:
            return Release(reserve_of(reserve), lapses, outcome, at)
        case "refund", [list(reserve), int(tokens), bool(lapses), str(outcome), float(at)]:
            return Refund(reserve_of(reserve), tokens, lapses, outcome, at)
        case "spend", [str(account), str(organization), str(route), str(upstream), int(tokens), int(minute)]:
            return Spend(account, organization, route, upstream, tokens, minute)
        case "kept", [str(account), str(key), str(fingerprint), int(operation), float(until), str(content)]:
            return Kept(account, key, fingerprint, operation, until, content)
        case "forced", [str(organization), float(at), float(until), str(boot), float(uptime)]:
            return Forced(organization, at, until, boot, uptime)
        case _:
            return _of_balance(kind, fields)


def _of_balance(kind: str, fields: list[object]) -> Record:
    """The records that are about a balance and no operation."""
    match kind, fields:
        case "grant", [str(holder), int(tokens), list(term), list(prior), float(at)]:
            return Grant(holder, tokens, _term(term), _term(prior), at)
        case "lapse", [str(holder), int(tokens), float(at)]:
            return Lapse(holder, tokens, at)
        case "correction", [str(holder), int(tokens), str(reason), float(at)]:
            return Correction(holder, tokens, reason, at)
        case "renamed", [
            str(former),
            str(holder),
            int(granted),
            int(charged),
            int(lapsed),
            int(balance),
            list(term),
            list(was),
            list(prior),
            float(at),
        ]:
            terms = _term(term), _term(was), _term(prior)
            return Renamed(former, holder, granted, charged, lapsed, balance, *terms, at)
        case _:
            return _of_fleet(kind, fields)


def _of_fleet(kind: str, fields: list[object]) -> Record:
    """The records by which a book follows a fleet's ledger."""
    match kind, fields:
        case "joined", [str(fleet), float(at)]:
            return Joined(fleet, at)
        case "opening", [str(holder), int(granted), int(charged), int(lapsed), int(balance), list(term), float(at)]:
            return Opening(holder, granted, charged, lapsed, balance, _term(term), at)
        case "position", [int(shard), str(id_), int(number), list(homes)]:
            return Position(shard, id_, number, tuple(map(str, homes)))
        case _:
            raise ValueError(f"unknown record {kind!r}")


def _term(fields: object) -> Term:
    match fields:
        case [int(period), int(given)]:
            return Term(period, given)
        case _:
            raise ValueError("a term lacks fields")


def reserve_of(fields: object) -> Reserve:
    """A reservation of its fields as JSON has them. Raises ValueError for others."""
    match fields:
        case [
            int(number),
            str(account),
            str(holder),
            str(organization),
            str(route),
            str(upstream),
            (int() | None) as period,
            int(tokens),
            list(lines),
            str(request),
            float(at),
        ]:
            parts = tuple((str(name), int(part)) for name, part in lines)
            return Reserve(number, account, holder, organization, route, upstream, period, tokens, parts, request, at)
        case _:
            raise ValueError("a reservation lacks fields")
