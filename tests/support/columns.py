"""A balance as Redis has it: eight doubles; the last one says when its holder's name was given up, or in use again."""

from struct import Struct

from gateway.ledger.balance import Balance
from gateway.ledger.records import Term

_COLUMNS = Struct(">8d")


def packed(balance: Balance) -> bytes:
    amounts = balance.granted, balance.charged, balance.reserved, balance.lapsed, balance.balance
    return _COLUMNS.pack(*amounts, *balance.term, 0)


def unpacked(stored: bytes) -> Balance:
    granted, charged, reserved, lapsed, balance, period, given, _ = map(int, _COLUMNS.unpack(stored))
    return Balance(granted, charged, reserved, lapsed, balance, Term(period, given))
