"""What one holder has: five columns that add up, and where the holder is in its plan."""

from dataclasses import dataclass, field

from gateway.ledger.records import BEFORE_ANY, Term


@dataclass(slots=True)
class Balance:
    """Tokens of one holder since its first grant; granted = balance + charged + reserved + lapsed, always.

    Tokens of an unlimited plan are granted as they are spent and never stand in `balance`. `counted` is for `Totals`.
    """

    granted: int = 0
    charged: int = 0
    reserved: int = 0
    lapsed: int = 0
    balance: int = 0
    term: Term = BEFORE_ANY
    counted: bool = field(default=False, compare=False, repr=False)

    @property
    def remaining(self) -> int:
        """What the holder has left when everything reserved is given back: granted - lapsed - charged."""
        return self.balance + self.reserved

    @property
    def drift(self) -> int:
        """Tokens that the columns cannot account for, and those overspent; 0 in a sound ledger."""
        unaccounted = self.granted - self.balance - self.charged - self.reserved - self.lapsed
        # All but none drifts, and a scrape asks many.
        if not unaccounted and self.balance >= 0 and self.reserved >= 0:
            return 0
        return abs(unaccounted) + max(0, -self.balance) + max(0, -self.reserved)
