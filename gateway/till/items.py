"""The items of a turn call in words (pure): what each operation is called, and what the turn script takes for it."""

from collections.abc import Mapping, Sequence

import orjson

from gateway.ledger import encoding, records
from gateway.ledger.accounts import lapses
from gateway.ledger.balance import Balance
from gateway.till import packed
from gateway.till.holder import Holder, Who
from gateway.till.packed import Code, text
from gateway.till.place import Place

# Columns that tokens return to, by their place in `holder.Columns`, counted from 1 as Lua does.
_GRANTED, _LAPSED, _BALANCE = b"\1", b"\4", b"\5"

Words = tuple[bytes, ...]


def sale(
    place: Place, tokens: int, record: records.Sale | records.Charge, *, forced: bool, reuse: bool, wall: float
) -> Words:
    """A charge that is admitted and recorded by itself."""
    code = Code.reuse if reuse else Code.sale
    return _placed(code, place, tokens, encoding.entry(record, 1), _cap(place, forced, wall))


def reserve(place: Place, record: records.Reserve, *, forced: bool) -> Words:
    """An operation begins; its id tells the incarnation of the node that it is open at."""
    kept = b"%d\n%b" % (record.id >> 32, orjson.dumps(record, default=tuple))
    said = _cap(place, forced, record.at) + text(str(record.id)) + text(kept)
    return _placed(Code.reserve, place, record.tokens, encoding.entry(record, 1), said)


def settle(
    holder: Holder, place: Place | None, reserved: records.Reserve, tokens: int, outcome: str, wall: float
) -> Words:
    """The end of an operation which costs `tokens`; the reply tells how `place` stands after it, here and below."""
    record = records.Settle(reserved, tokens, _lapses(reserved, holder), outcome, wall)
    return _closed(holder, place, record, tokens)


def release(holder: Holder, place: Place | None, reserved: records.Reserve, outcome: str, wall: float) -> Words:
    """The end of an operation which costs nothing."""
    return _closed(holder, place, records.Release(reserved, _lapses(reserved, holder), outcome, wall), 0)


def refund(
    holder: Holder, place: Place | None, reserved: records.Reserve, tokens: int, outcome: str, wall: float
) -> Words:
    """The reversal of an operation that was charged `tokens`."""
    lapsed = _lapses(reserved, holder)
    record = records.Refund(reserved, tokens, lapsed, outcome, wall)
    limited, entry = _limited(holder, place, reserved), encoding.entry(record, 1)
    return _packed(Code.refund, holder, limited, (tokens, 0), place, entry, _returning(reserved, lapsed=lapsed))


def give_back(holder: Holder, tokens: int, entry: bytes, *, unlimited: bool) -> Words:
    """The reversal of plain charges of `tokens` in all, by an entry with a count below zero."""
    to = _GRANTED if unlimited else _BALANCE
    return _packed(Code.refund, holder, False, (tokens, 0), None, entry, to)


def renew(holder: Holder, grant: records.Grant, *, lapses: bool, since: int | None) -> Words:
    """The grant of `grant.term` to a balance in `grant.prior`, whose rest goes before where it `lapses`.

    A name that was given up of late is granted anew only where that was before this config came, `since` microseconds
    ago; `since` is None where no config has ever said that it was.
    """
    around: tuple[object, object] = (False, False)
    if lapses:
        name, at = orjson.dumps(holder.name).decode(), orjson.dumps(grant.at).decode()
        around = f'["lapse",1,[{name},', f",{at}]]"
    who = Who(holder.prefix, holder.name, *grant.prior)
    known = since is not None and since
    return _said("renew", who, *grant.term, grant.tokens, _entry(grant), *around, known)


def rename(former: Holder, holder: Holder, record: records.Renamed, *, since: int) -> Words:
    """All that `former` has goes over to `holder`, if it still is what the record says.

    What was granted anew to that name stays there, unless that was before this config came, `since` microseconds ago.
    """
    whos = Who(former.prefix, former.name, *record.was), Who(holder.prefix, holder.name, *record.prior)
    columns = record.charged, record.lapsed, record.balance
    return _said("rename", *whos, *columns, *record.term, _entry(record), since)


def correct(place: Place, tokens: int, reason: str, wall: float) -> Words:
    """An operator's tokens, more or fewer."""
    record = records.Correction(place.holder.name, tokens, reason, wall)
    return _said("correct", place.holder.who(limited=True), tokens, _entry(record))


def look(place: Place, wall: float, *, forced: bool, take: bool) -> Words:
    """How an account stands; room in its throttle is taken only where it says `take`."""
    return _placed(Code.look, place, int(take), b"", _cap(place, forced, wall))


def columns(holder: Holder) -> Words:
    """How a holder stands, whatever its term."""
    return _packed(Code.look, holder, False, (0, 0), None, b"", packed.UNCAPPED)


def note(entries: Mapping[str, Sequence[bytes]]) -> Words:
    """Entries that move no tokens, by the prefix of their shard."""
    return _said("note", [(prefix, b",".join(some).decode()) for prefix, some in entries.items()])


def keep(name: str, kept: records.Kept) -> Words:
    """What is kept of the answer to the operation before, under the key `name`."""
    words = name, str(round(kept.until * 1000)), kept.fingerprint, str(kept.operation), kept.content
    return (bytes((Code.keep,)) + b"".join(map(text, words)),)


def forget(name: str) -> Words:
    """What was kept under the key `name` is no more, if the operation before is done."""
    return _said("forget", name)


def _closed(holder: Holder, place: Place | None, record: records.Settle | records.Release, tokens: int) -> Words:
    reserved = record.reserve
    limited, entry = _limited(holder, place, reserved), encoding.entry(record, 1)
    said = _returning(reserved, lapsed=record.lapses) + text(str(reserved.id))
    return _packed(Code.close, holder, limited, (tokens, reserved.tokens), place, entry, said)


def _limited(holder: Holder, place: Place | None, reserved: records.Reserve) -> bool:
    """The term matters to what returns, and where the reply tells how `place` stands."""
    told = place is not None and place.holder is holder and not place.unlimited
    return told or reserved.period is not None


def _lapses(reserved: records.Reserve, holder: Holder) -> bool:
    return lapses(reserved, Balance(term=holder.term))


def _returning(reserved: records.Reserve, *, lapsed: bool) -> bytes:
    if reserved.period is None:
        return _GRANTED
    return _LAPSED if lapsed else _BALANCE


def _cap(place: Place, forced: bool, wall: float) -> bytes:
    return place.forced(wall) if forced else packed.UNCAPPED


def _entry(record: records.Record) -> str:
    return encoding.entry(record, 1).decode()


def _placed(code: Code, place: Place, amount: int, entry: bytes, said: bytes) -> Words:
    """What an account asks for itself."""
    return _packed(code, place.holder, not place.unlimited, (amount, 0), place, entry, said)


def _packed(
    code: Code, holder: Holder, limited: bool, amounts: tuple[int, int], place: Place | None, entry: bytes, said: bytes
) -> Words:
    first, other = amounts
    kind, term = packed.kind(code, limited), packed.term(holder.term, first)
    more = packed.more(other, place.measure if place else None)
    return (kind + term + more, *holder.whose(), place.throttle if place else b"", entry, said)


def _said(*parts: object) -> Words:
    return (orjson.dumps(parts, default=tuple),)
