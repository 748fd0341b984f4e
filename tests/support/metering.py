"""A meter on a ledger of its own, for its tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from admission.snapshots import ROUTE
from support.clock import FakeClock

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Problem, Reason
from gateway.ledger.accounts import Balance
from gateway.ledger.ledger import Ledger
from gateway.meter import Meter
from gateway.reservation import Reservation
from gateway.roster import Roster

LOOKUP = Quote(1, lines=(("base", 1),))
OPTIONS = Quote(6, lines=(("base", 1), ("offers_reviews", 5)))
FULL = Quote(6, 3, forced=True, lines=(("base", 1), ("offers_reviews", 5), ("force_refresh", 3)))
FREE = Quote(0, lines=(("base", 0),))
PRO = Plan("pro", 2000, Every.month, ThrottlePolicy(Rate(600, 60.0), 600))


def account(
    plan: Plan = PRO, name: str = "ci", organization: str = "acme", holder: str | None = None, cap: Rate | None = None
) -> Account:
    return Account(name, organization, plan, holder or name, cap)


def roster(*accounts: Account, timezone: str = "UTC") -> Roster:
    return Roster.of(accounts, timezone)


class Rig:
    """A meter on a ledger of its own; `CI` is an account on the plan `pro`."""

    def __init__(self, folder: Path, *accounts: Account) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.ledger = Ledger.open(folder, "process", self.clock)
        self.meter = Meter(self.ledger, self.clock)
        self.meter.configure(roster(*accounts))

    def balance(self, holder: str = "ci") -> Balance:
        return self.ledger.accounts.balance(holder)

    async def restart(self, *accounts: Account) -> None:
        await self.ledger.close()
        clock = self.clock
        self.ledger = Ledger.open(self.folder, "process", clock)
        self.meter = Meter(self.ledger, clock)
        self.meter.configure(roster(*accounts))

    def charge(self, who: Account, quote: Quote, outcome: Outcome = Outcome.hit) -> Charge:
        return self.meter.charge(who, ROUTE, quote, outcome)

    def reserve(self, who: Account, quote: Quote) -> Reservation:
        return self.meter.reserve(who, ROUTE, quote, "a-request")


Start = Callable[..., Rig]


def refusal(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


def full_disk(file: int, data: bytes) -> int:
    """In place of os.write."""
    raise OSError(28, os.strerror(28))


async def fails(rig: Rig) -> None:
    """The present group cannot be written."""
    with pytest.raises(Problem) as caught:
        await rig.ledger.committed()
    assert (caught.value.reason, caught.value.retry_after) == (Reason.ledger_unavailable, 1)
