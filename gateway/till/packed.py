"""What requests ask in a turn call, as the turn script unpacks it (pure): JSON takes Redis three times as long."""

from enum import IntEnum
from struct import Struct

from gateway.ledger.records import Term
from gateway.till.measure import Measure

_TERM = Struct(">ddd")
_MORE = Struct(">ddddd")
_LENGTH = Struct(">I")
_CAP = Struct(">dd")

UNCAPPED = b"\0"


class Code(IntEnum):
    """What an item begins with; the turn script has the same. What is rare is in JSON, and begins with a bracket."""

    charge = 1
    sale = 2
    reuse = 3
    reserve = 4
    close = 5
    refund = 6
    look = 7
    keep = 8


def kind(code: Code, limited: bool) -> bytes:
    """The first of an item's numbers; what is `limited` was made for its term, and no other one."""
    return bytes((code, limited))


def term(term: Term, amount: int) -> bytes:
    """The next: the term, and an amount."""
    return _TERM.pack(*term, amount)


def more(amount: int, measure: Measure | None) -> bytes:
    """The last: the other amount, and the throttle."""
    if measure is None:
        return _MORE.pack(amount, 0, 0, 0, 0)
    return _MORE.pack(amount, measure.gain, measure.cost, measure.capacity, measure.tick)


def cap(prefix: str, key: str, count: int, window: int, before: str, after: str) -> bytes:
    """A cap of `count` in `window` microseconds, and the record of one more around its time."""
    return b"".join((b"\1", text(prefix), text(key), _CAP.pack(count, window), text(before), text(after)))


def text(words: bytes | str) -> bytes:
    """After its length, in bytes."""
    said = words.encode() if isinstance(words, str) else words
    return _LENGTH.pack(len(said)) + said
