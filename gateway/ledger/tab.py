"""All equal plain charges of one seat in one minute: what a hit is counted on, and all that it is counted on."""

from gateway.admission.throttle import TokenBucket
from gateway.ledger import encoding
from gateway.ledger.balance import Balance
from gateway.ledger.records import Charge


class Tab:
    """`count` charges by `record` are in the ledger's present group; each has taken room for a request in `bucket`.

    Good for its UTC `minute`, which like `tokens` and `unlimited` is the record's. `line` is its entry in the journal
    with `%d` for the count, and `once` with 1; two tabs of equal records are two entries. Raises TypeError for tokens
    of over 64 bits.
    """

    __slots__ = ("balance", "bucket", "count", "line", "minute", "once", "record", "tokens", "unlimited")

    def __init__(self, record: Charge, balance: Balance, bucket: TokenBucket | None) -> None:
        self.record = record
        self.balance = balance
        self.bucket = bucket
        self.count = 0
        self.line = encoding.line(record)
        self.once = self.line % 1
        self.minute = record.minute
        self.tokens = record.tokens
        self.unlimited = record.unlimited
