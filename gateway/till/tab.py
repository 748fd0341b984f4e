"""All equal plain charges of one place in one minute: what a hit is asked with, made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.ledger import encoding
from gateway.till import packed
from gateway.till.packed import Code

if TYPE_CHECKING:
    from gateway.ledger.records import Charge
    from gateway.till.asked import Hits
    from gateway.till.place import Place


class Tab:
    """Charges by `record` at `place`; good for its UTC `minute`, which like `tokens` and `unlimited` is the record's.

    `hits` are those that go with the next call.

    Raises TypeError for tokens of over 64 bits.
    """

    __slots__ = ("_kind", "_more", "_words", "hits", "line", "minute", "place", "record", "tokens", "unlimited")

    def __init__(self, record: Charge, place: Place) -> None:
        self.record = record
        self.place = place
        self.minute = record.minute
        self.tokens = record.tokens
        self.unlimited = record.unlimited
        self.hits: Hits | None = None
        self.line = encoding.line(record)
        self._kind = packed.kind(Code.charge, not self.unlimited)
        self._more = packed.more(record.tokens, place.measure)
        self._words = (*place.holder.whose(), place.throttle, self.line.partition(b"%d")[2].replace(b"%%", b"%"))

    def words(self, times: int) -> Sequence[bytes]:
        """The item that asks for so many charges, in the term that is believed now."""
        return (self._kind + packed.term(self.place.holder.term, times) + self._more, *self._words)

    def entry(self, count: int) -> bytes:
        """The record's entry with `count`, which may be below zero."""
        return self.line % count
