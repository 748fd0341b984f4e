"""The meter of one process: it decides in memory, and what it has decided is in the journal when a call returns."""

from collections.abc import Mapping, Sequence

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Route
from gateway.admission.standing import Standing
from gateway.errors import Problem
from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Kept
from gateway.meter import Meter
from gateway.metering import Keep, Spend
from gateway.quotas import Near
from gateway.reservation import Reservation
from gateway.roster import Roster


class Journalled:
    """`metering.Metering` over a meter and its ledger; the contract of its methods is there."""

    def __init__(self, meter: Meter, ledger: Ledger) -> None:
        self.house = meter.house
        self.tally = meter.tally
        self._meter = meter
        self._ledger = ledger

    def configure(self, roster: Roster) -> None:
        """Take over plans, throttles and caps."""
        self._meter.configure(roster)

    def enroll(self, account: Account) -> None:
        """Take over one account."""
        self._meter.enroll(account)

    async def charge(
        self,
        account: Account,
        route: Route,
        quote: Quote,
        outcome: Outcome,
        request: str = "",
        keep: Keep | None = None,
    ) -> Charge:
        """Admit and charge a reuse."""
        return await self._kept(self._meter.charge(account, route, quote, outcome, request), keep)

    async def reserve(self, account: Account, route: Route, quote: Quote, request: str = "") -> Reservation:
        """Admit a fetch and set its quote's total aside."""
        reservation = self._meter.reserve(account, route, quote, request)
        await self._ledger.committed()
        return reservation

    async def settle(self, reservation: Reservation, outcome: Outcome, keep: Keep | None = None) -> Charge:
        """Charge what the outcome costs and give back the rest."""
        return await self._kept(self._meter.settle(reservation, outcome), keep)

    async def release(self, reservation: Reservation, outcome: str) -> Charge:
        """Give back all that is reserved."""
        return await self._committed(self._meter.release(reservation, outcome))

    async def refund(self, reservation: Reservation, outcome: Outcome, withdrawn: Kept | None = None) -> Charge:
        """Reverse the charge of a settled operation, and what was kept of its answer."""
        charge = self._meter.refund(reservation, outcome)
        if withdrawn is not None:
            self._ledger.post(withdrawn)
        return await self._committed(charge)

    async def correct(self, account: Account, tokens: int, reason: str) -> tuple[int, int]:
        """Add tokens to what the account may spend, or take some back; its balance before and after."""
        before, after = self._meter.correct(account, tokens, reason)
        await self._ledger.committed()
        return before, after

    async def spend(self, spends: Mapping[Spend, int]) -> None:
        """Record what the vendor charged for upstream calls."""
        for spend, times in spends.items():
            for _ in range(times):
                self._meter.spend(*spend)
        await self._ledger.committed()

    async def repeat(self, account: Account) -> Charge:
        """Admit what costs nothing: the throttle is in memory alone."""
        return self._meter.repeat(account)

    async def standing(self, account: Account) -> Charge:
        """How the account stands; for refusals, which may tell of a grant that is yet to be written."""
        return self._meter.standing(account)

    async def balance(self, account: Account) -> Standing:
        """How the balance stands that the account spends from: grants are made when somebody looks."""
        standing = self._meter.balance(account)
        await self._ledger.committed()
        return standing

    async def refusal(self, account: Account, tokens: int, *, forced: bool) -> Problem | None:
        """What an operation of so many tokens would be refused with now."""
        return self._meter.refusal(account, tokens, forced=forced)

    async def verify(self) -> None:
        """Nobody else outdates anything."""

    async def accounts_above(self, percents: Sequence[int]) -> dict[int, int]:
        """How many accounts have used each of `percents` of their present grant, or more."""
        return await self._meter.accounts_above(percents)

    async def nearest(self, most: int) -> list[Near]:
        """The accounts that have used the largest part of their present grant."""
        return await self._meter.nearest(most)

    async def _kept(self, charge: Charge, keep: Keep | None) -> Charge:
        if keep is not None and charge.tokens:
            self._ledger.post(keep(charge))
        return await self._committed(charge)

    async def _committed(self, charge: Charge) -> Charge:
        await self._ledger.committed()
        return charge
