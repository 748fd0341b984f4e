"""What the metrics say of tokens, counted from the records that are in the journal."""

from collections import Counter, defaultdict
from typing import assert_never

from gateway.ledger import records

_REASONS = {"base": "lookup", "force_refresh": "force_refresh"}


class Tally:
    """Clients' tokens since the start: `charged` by route and reason, `released` by route; both only grow.

    Reasons are `lookup` (the base price), `options` and `force_refresh`. `released` were reserved, or charged and then
    refunded. What `free` spends is not a client's.
    """

    def __init__(self, free: str) -> None:
        self.released: Counter[str] = Counter()
        self._free = free
        self._operations: Counter[tuple[str, str]] = Counter()
        self._lookups: defaultdict[str, int] = defaultdict(int)

    @property
    def charged(self) -> Counter[tuple[str, str]]:
        """By route and reason."""
        charged = self._operations.copy()
        charged.update({(route, "lookup"): tokens for route, tokens in self._lookups.items()})
        return charged

    def count(self, record: records.Record, count: int) -> None:
        """Takes `count` such records in."""
        if isinstance(record, records.Charge):  # before all others: nearly every record is one
            self._lookups[record.route] += record.tokens * count
            return
        match record:
            case records.Sale(reserve):
                self._spread(reserve, reserve.tokens, count)
            case records.Settle(reserve, tokens):
                self._spread(reserve, tokens, count)
                self._release(reserve, (reserve.tokens - tokens) * count)
            case records.Release(reserve):
                self._release(reserve, reserve.tokens * count)
            case records.Refund(reserve, tokens):
                self._release(reserve, tokens * count)
            case records.Reserve() | records.Spend() | records.Kept() | records.Forced():
                pass
            case records.Grant() | records.Correction() | records.Lapse() | records.Renamed():
                pass
            case records.Joined() | records.Opening() | records.Position():
                pass
            case _:
                assert_never(record)

    def _release(self, reserve: records.Reserve, tokens: int) -> None:
        if reserve.account != self._free:
            self.released[reserve.route] += tokens

    def _spread(self, reserve: records.Reserve, tokens: int, count: int) -> None:
        """Over the quote's lines in their order: what may be left out of a charge, the surcharge, stands last."""
        if reserve.account == self._free:
            return
        for name, part in reserve.lines:
            taken = min(part, tokens)
            tokens -= taken
            self._operations[reserve.route, _REASONS.get(name, "options")] += taken * count
        self._operations[reserve.route, "lookup"] += tokens * count
