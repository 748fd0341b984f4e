"""All equal plain charges of one place in one minute: what a hit is asked with, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from gateway.ledger import encoding

if TYPE_CHECKING:
    from gateway.ledger.records import Charge
    from gateway.till.asked import Hits
    from gateway.till.place import Place


class Tab:
    """Charges by `record` at `place`; good for its UTC `minute`, which like `tokens` and `unlimited` is the record's.

    `hits` are those that go with the next call.

    Raises TypeError for tokens of over 64 bits.
    """

    __slots__ = ("_asked", "hits", "line", "minute", "place", "record", "tokens", "unlimited")

    def __init__(self, record: Charge, place: Place) -> None:
        self.record = record
        self.place = place
        self.minute = record.minute
        self.tokens = record.tokens
        self.unlimited = record.unlimited
        self.hits: Hits | None = None
        self.line = encoding.line(record)
        self._asked = _template(self.line, place, record)

    def words(self, times: int) -> tuple[bytes]:
        """The item that asks for so many charges, in the term that is believed now."""
        period, given = self.place.holder.term
        return (self._asked % (b"false" if self.unlimited else b"%d" % period, given, times),)

    def entry(self, count: int) -> bytes:
        """The record's entry with `count`, which may be below zero."""
        return self.line % count


def _template(line: bytes, place: Place, record: Charge) -> bytes:
    """The item with `%b` for the period, and `%d` for what is given in it and for the number of charges."""
    texts = [part.decode().replace("%%", "%") for part in line.split(b"%d", 1)]
    fixed = ([place.holder.prefix, place.holder.name], place.throttle, record.tokens, texts)
    who, throttle, tokens, around = (orjson.dumps(part).replace(b"%", b"%%") for part in fixed)
    return b'["charge",%b,%%b,%%d],%b,%b,%%d,%b' % (who[:-1], throttle, tokens, around[1:])
