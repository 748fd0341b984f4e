"""What journal records become in the book (pure): postings that add to a holder's granted, charged and lapsed.

Plain lookups and the vendor's costs add up in open rows, one per minute and key; all else is a record of its own.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

import orjson

from gateway.ledger.chain import Row
from gateway.ledger.records import (
    Charge,
    Correction,
    Forced,
    Grant,
    Joined,
    Kept,
    Lapse,
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
)


class OpenKey(NamedTuple):
    """What postings of a minute must have in common to be one open row: its primary key, in the key's order."""

    minute: int
    kind: str
    account: str
    route: str
    tokens: int
    holder: str
    organization: str
    upstream: str


@dataclass(slots=True)
class Amounts:
    """What an open row gains."""

    count: int = 0
    granted: int = 0
    charged: int = 0
    lapsed: int = 0
    cost: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


class Postings:
    """Gathers the postings of records, none of them to a minute before `first`: `open` by key, `sealed` in order."""

    def __init__(self, first: int) -> None:
        self.open: dict[OpenKey, Amounts] = {}
        self.sealed: list[Row] = []
        self._first = first

    def add(self, record: Record, count: int) -> None:
        """Takes `count` such records in."""
        match record:
            case Charge():
                self._charge(record, count)
            case Spend():
                self._spend(record, count)
            case Settle() | Release() if record.reserve.plain:
                self._lookup(record, count)
            case Sale() | Settle() | Release() | Refund():
                self.sealed += [self._operation(record)] * count
            case Grant() | Lapse() | Correction():
                self.sealed += [self._movement(record)] * count
            case Renamed():
                self.sealed += self._renamed(record) * count
            case Joined():
                self.sealed.append(Row("joined", self._minute(record.at), details=_text({"fleet": record.fleet})))
            case Opening():
                self.sealed.append(self._opening(record))
            case Reserve() | Forced() | Kept() | Position():
                pass
            case _:
                assert_never(record)

    def _minute(self, at: float) -> int:
        return max(int(at // 60), self._first)

    def _amounts(self, key: OpenKey) -> Amounts:
        return self.open.get(key) or self.open.setdefault(key, Amounts())

    def _charge(self, record: Charge, count: int) -> None:
        amounts = self._amounts(
            OpenKey(
                max(record.minute, self._first),
                "lookups",
                record.account,
                record.route,
                record.tokens,
                record.holder,
                record.organization,
                record.upstream,
            )
        )
        amounts.count += count
        amounts.charged += count * record.tokens
        amounts.granted += count * record.tokens if record.unlimited else 0
        amounts.outcomes[record.outcome] += count

    def _spend(self, record: Spend, count: int) -> None:
        minute = max(record.minute, self._first)
        amounts = self._amounts(
            OpenKey(minute, "spend", record.account, record.route, 0, "", record.organization, record.upstream)
        )
        amounts.count += count
        amounts.cost += count * record.tokens

    def _lookup(self, record: Settle | Release, count: int) -> None:
        """The end of a plain lookup that had to reserve."""
        reserve, (charged, granted, lapsed) = record.reserve, _moved(record)
        amounts = self._amounts(
            OpenKey(
                self._minute(record.at),
                "lookups",
                reserve.account,
                reserve.route,
                charged,
                reserve.holder,
                reserve.organization,
                reserve.upstream,
            )
        )
        amounts.count += count
        amounts.charged += count * charged
        amounts.granted += count * granted
        amounts.lapsed += count * lapsed
        amounts.outcomes[record.outcome] += count

    def _operation(self, record: Sale | Settle | Release | Refund) -> Row:
        reserve, (charged, granted, lapsed) = record.reserve, _moved(record)
        ended = reserve.at if isinstance(record, Sale) else record.at
        details = {"lines": reserve.lines, "reserved": reserve.tokens, "began": reserve.at, "ended": ended}
        return Row(
            _KINDS[type(record)],
            self._minute(ended),
            reserve.account,
            reserve.holder,
            reserve.organization,
            reserve.route,
            reserve.upstream,
            reserve.id,
            reserve.request or None,
            tokens=charged,
            count=0 if isinstance(record, Refund) else 1,
            granted=granted,
            charged=charged,
            lapsed=lapsed,
            outcomes=_text({record.outcome: 1}),
            details=_text(details),
        )

    def _movement(self, record: Grant | Lapse | Correction) -> Row:
        minute, tokens = self._minute(record.at), record.tokens
        match record:
            case Grant():
                details = _text({"period": record.term.period, "given": record.term.given})
                return Row("grant", minute, holder=record.holder, tokens=tokens, granted=tokens, details=details)
            case Correction():
                details = _text({"reason": record.reason})
                return Row("correction", minute, holder=record.holder, tokens=tokens, granted=tokens, details=details)
            case Lapse():
                return Row("lapse", minute, holder=record.holder, tokens=tokens, lapsed=tokens)
            case _:
                assert_never(record)

    def _opening(self, record: Opening) -> Row:
        return Row(
            "opening",
            self._minute(record.at),
            holder=record.holder,
            granted=record.granted,
            charged=record.charged,
            lapsed=record.lapsed,
            details=_text({"period": record.term.period, "given": record.term.given}),
        )

    def _renamed(self, record: Renamed) -> list[Row]:
        gained = Row(
            "renamed",
            self._minute(record.at),
            holder=record.holder,
            granted=record.granted,
            charged=record.charged,
            lapsed=record.lapsed,
            details=_text({"former": record.former, "holder": record.holder}),
        )
        lost = gained._replace(
            holder=record.former, granted=-record.granted, charged=-record.charged, lapsed=-record.lapsed
        )
        return [lost, gained]


_KINDS = {Sale: "charge", Settle: "charge", Release: "release", Refund: "refund"}


def _moved(record: Sale | Settle | Release | Refund) -> tuple[int, int, int]:
    """Tokens charged, granted and lapsed by the end of an operation; what is granted as it is spent counts now."""
    reserve = record.reserve
    match record:
        case Sale():
            charged, returned = reserve.tokens, 0
        case Settle():
            charged, returned = record.tokens, reserve.tokens - record.tokens
        case Release():
            charged, returned = 0, reserve.tokens
        case Refund():
            charged, returned = -record.tokens, record.tokens
        case _:
            assert_never(record)
    if reserve.period is None:
        return charged, charged, 0
    return charged, 0, returned if not isinstance(record, Sale) and record.lapses else 0


def _text(value: dict[str, object] | dict[str, int] | dict[str, str]) -> str:
    return orjson.dumps(value).decode()


def counted(outcomes: Counter[str]) -> str:
    """A count of outcomes as a JSON object with sorted names."""
    return orjson.dumps(dict(outcomes), option=orjson.OPT_SORT_KEYS).decode()
