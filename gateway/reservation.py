"""An admitted operation, and how far it has come."""

from dataclasses import dataclass
from enum import Enum

from gateway.admission.charge import Quote
from gateway.admission.snapshot import Account
from gateway.admission.throttle import TokenBucket
from gateway.ledger import records


class State(Enum):
    """How far an operation's reservation has come; a `void` one was never written to the journal."""

    reserved = "reserved"
    settled = "settled"
    ended = "ended"
    void = "void"


@dataclass(slots=True, eq=False)
class Reservation:
    """An admitted operation. When the journal does not take its end, `state` goes back, and it is to be ended again."""

    account: Account
    quote: Quote
    reserve: records.Reserve
    state: State = State.reserved
    tokens: int = 0

    def unadmit(self, bucket: TokenBucket | None) -> None:
        """The journal has not taken it: `bucket` gets back the room that was taken for it."""
        self.state = State.void
        if bucket is not None:
            bucket.give_back()

    def reopen(self, state: State, tokens: int) -> None:
        """The journal has not taken its end: it is again as it was before."""
        self.state, self.tokens = state, tokens
