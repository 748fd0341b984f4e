"""What a node believes of a holder: where its balance is, and the term that it is in."""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.ledger.balance import Balance
from gateway.ledger.records import BEFORE_ANY, Term

Columns = Sequence[int]
"""granted, charged, reserved, lapsed, balance; period and given of the term."""


class Who(NamedTuple):
    """Whose balance an item is about, and the term it was made for: `period` is False where that is all the same."""

    prefix: str
    holder: str
    period: int | bool
    given: int


class Holder:
    """`prefix` is what the names of its shard's keys begin with, empty until the shard is known.

    `term` is only believed: what is asked for another one than Redis has is not executed, and the reply says which.
    `left` is what remained of it as far as is known here, None before anything is.
    """

    __slots__ = ("left", "name", "prefix", "term")

    def __init__(self, name: str) -> None:
        self.name = name
        self.prefix = ""
        self.term = BEFORE_ANY
        self.left: int | None = None

    def who(self, *, limited: bool) -> Who:
        """As an item names it; what is `limited` goes by the term."""
        period, given = self.term
        return Who(self.prefix, self.name, period if limited else False, given)

    def whose(self) -> tuple[bytes, bytes]:
        """Where its balance is: the prefix, and the key."""
        prefix = self.prefix.encode()
        return prefix, b"%bbalance:%b" % (prefix, self.name.encode())

    def believe(self, columns: Columns) -> None:
        """Take over what Redis says."""
        self.term = Term(*columns[5:7])


def balance(columns: Columns) -> Balance:
    """The columns as the ledger has them."""
    granted, charged, reserved, lapsed, free, period, given = columns
    return Balance(granted, charged, reserved, lapsed, free, Term(period, given))
