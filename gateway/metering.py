"""The meter as the request's way sees it, whoever keeps balances: each call is one step, durable when it returns."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Route
from gateway.admission.standing import Standing
from gateway.errors import Problem
from gateway.ledger.records import Kept
from gateway.ledger.tally import Tally
from gateway.quotas import Near
from gateway.reservation import Reservation
from gateway.roster import Roster

Keep = Callable[[Charge], Kept]
"""What is kept of a charged answer, for who repeats its Idempotency-Key; in the same step as the charge."""

Spend = tuple[Account, str, str, int]
"""Who caused a call, its route and upstream by name, and the tokens that the vendor charged for it."""


class Metering(Protocol):
    """Admits, charges, reserves and settles. What fails with Problem(ledger_unavailable) is as if never asked for.

    `house` is the account of the gateway's own fetches, unlimited. `tally` counts what was charged and released here.
    """

    house: Account
    tally: Tally

    def configure(self, roster: Roster) -> None:
        """Take over plans, throttles and caps."""

    def enroll(self, account: Account) -> None:
        """Take over one account that is new, or that has changed."""

    async def charge(
        self,
        account: Account,
        route: Route,
        quote: Quote,
        outcome: Outcome,
        request: str = "",
        keep: Keep | None = None,
    ) -> Charge:
        """Admit and charge a reuse; one that costs more than a plain lookup is an operation with a receipt.

        Raises Problem: throttled, force_refresh_capped, quota_exceeded, quota_exhausted; and Overtaken where what is to
        be reused may have been outdated by another node: decide again. What is refused takes nothing.
        """

    async def reserve(self, account: Account, route: Route, quote: Quote, request: str = "") -> Reservation:
        """Admit a fetch and set its quote's total aside. Raises Problem as `charge` does."""

    async def settle(self, reservation: Reservation, outcome: Outcome, keep: Keep | None = None) -> Charge:
        """Charge what the outcome costs and give back the rest. Raises RuntimeError when it has ended already."""

    async def release(self, reservation: Reservation, outcome: str) -> Charge:
        """Give back all that is reserved; `outcome` is a free `Outcome`'s name, or that of a `Problem`'s reason."""

    async def refund(self, reservation: Reservation, outcome: Outcome, withdrawn: Kept | None = None) -> Charge:
        """Reverse the charge of a settled operation, and what was kept of its answer."""

    async def correct(self, account: Account, tokens: int, reason: str) -> tuple[int, int]:
        """Add tokens to what the account may spend, or take some back; its balance before and after.

        Raises ValueError, in words for the operator, for an unlimited plan and for more than there is to take back.
        """

    async def spend(self, spends: Mapping[Spend, int]) -> None:
        """Record what the vendor charged for upstream calls, each so many times."""

    async def repeat(self, account: Account) -> Charge:
        """Admit what costs nothing. Raises Problem(throttled)."""

    async def standing(self, account: Account) -> Charge:
        """A charge of nothing, which says how the account stands; for refusals."""

    async def balance(self, account: Account) -> Standing:
        """How the balance stands that the account spends from, brought up to its plan."""

    async def refusal(self, account: Account, tokens: int, *, forced: bool) -> Problem | None:
        """What an operation of so many tokens would be refused with now, None where it is admitted; takes nothing."""

    async def verify(self) -> None:
        """For a reuse that costs nothing. Raises Overtaken as `charge` does."""

    async def accounts_above(self, percents: Sequence[int]) -> dict[int, int]:
        """How many accounts have used each of `percents` of their present grant, or more."""

    async def nearest(self, most: int) -> list[Near]:
        """The `most` accounts that have used the largest part of their present grant, it first."""
