"""How a metered operation may end, and who pays for it: the one table that code, tests and docs/metering.md go by."""

from enum import Enum
from typing import assert_never

from gateway.admission.charge import Quote


class Pays(Enum):
    """What becomes of the tokens of an operation."""

    total = "base, options and surcharge"
    plain = "base and options"
    nothing = "nothing"
    refunded = "nothing: the charge is refunded"


class Outcome(Enum):
    """One way to end, its name as receipts and usage have it: (what is paid, what happened).

    An operation that a `Problem` ends is free as well, and its outcome is the reason's name (`errors.Reason`).
    """

    hit = (Pays.plain, "A fresh stored response.")
    stale = (Pays.plain, "A stale stored response, as stale-while-revalidate or the request allows.")
    stale_if_error = (Pays.plain, "A stale stored response, because the upstream failed.")
    cooldown = (Pays.plain, "A force refresh within the cooldown of the one before: that one's response.")
    miss = (Pays.plain, "Fetched from the upstream.")
    validated = (Pays.plain, "Stored, and validated with the upstream.")
    collapsed = (Pays.plain, "From a fetch that another request had begun.")
    passed = (Pays.plain, "Passed to the upstream and back; a stream is charged as its head leaves.")
    refreshed = (Pays.total, "Fresh upstream data, as it was forced; followers of a collapsed refresh included.")
    accepted = (Pays.plain, "A background refresh that was accepted, or joined; its subjects count as options.")
    undelivered = (Pays.plain, "A force refresh that brought no news: the upstream refused the request (4xx).")
    uncharged = (Pays.nothing, "An answer whose status the route's `charge_on` leaves out.")
    unproven = (Pays.nothing, "Content whose end nothing but the connection's close tells: it may have been cut.")
    test = (Pays.nothing, "A test key: a stored response, for nothing.")
    truncated = (Pays.refunded, "A stream that broke after its head had left.")
    repriced = (Pays.nothing, "Given back to be reserved anew: the request's own directives force a fetch after all.")
    abandoned = (Pays.nothing, "The gateway died meanwhile; given back at its next start.")

    def __init__(self, pays: Pays, meaning: str) -> None:
        self.pays = pays
        self.meaning = meaning


def due_for(outcome: Outcome, quote: Quote) -> int:
    """The tokens that an operation with `quote` costs by its outcome; never above `quote.total`."""
    match outcome.pays:
        case Pays.total:
            return quote.total
        case Pays.plain:
            return quote.plain
        case Pays.nothing | Pays.refunded:
            return 0
        case _:
            assert_never(outcome.pays)
