"""Steps 5 and 7 of a request's way: reserve, settle, release; each in the journal before anything leaves.

A settlement that the journal does not take is undone in memory; what is owed back is given once it takes again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gateway.admission.charge import Charge, Quote
from gateway.admission.pricing import owed
from gateway.errors import Problem
from gateway.ledger.ledger import Ledger
from gateway.meter import Meter, Reservation
from gateway.operation import Operation
from gateway.tasks import Tasks

_RETRY = 0.5


class Settlement:
    """The pipeline's view of the meter; does nothing on routes without a price."""

    def __init__(self, meter: Meter, ledger: Ledger) -> None:
        self._meter = meter
        self._ledger = ledger
        self._owed_back = Tasks()
        self._ending = asyncio.Event()

    async def reserve(self, op: Operation) -> bool:
        """Admit a fetch and reserve its whole quote; False where nothing is metered or it is reserved already.

        Raises the Problem of the limit that is reached, or Problem(ledger_unavailable).
        """
        prepared, quote = op.prepared, op.quote
        if prepared is None or prepared.account is None or quote is None or op.reservation is not None:
            return False
        reservation = self._meter.reserve(prepared.account, prepared.route.name, quote)
        await self._ledger.committed()
        op.reservation = reservation
        return True

    async def settle(self, op: Operation, status: int, *, fresh: bool = False, free: bool = False) -> Charge | None:
        """Charge what the answer with `status` costs; `fresh`: a fetch that was asked for delivered it.

        A reuse that has reserved nothing is admitted and charged in one step. Raises as `reserve` does.
        """
        prepared, quote = op.prepared, op.quote
        if prepared is None or prepared.account is None or quote is None or prepared.route.price is None:
            return None
        tokens = 0 if free else owed(quote, prepared.route.price, status, fresh=fresh)
        reservation = op.reservation
        if reservation is None:
            charge = self._meter.charge(prepared.account, prepared.route.name, quote, charged=tokens > 0)
        else:
            charge = self._meter.settle(reservation, tokens, op.outcome())
        op.reservation = None
        await self._commit(reservation)
        op.tokens = charge.tokens
        return charge

    async def release(self, op: Operation, outcome: str) -> Charge | None:
        """Give back what the operation still has reserved, and say how its account stands."""
        reservation, op.reservation = op.reservation, None
        if reservation is not None:
            charge = self._meter.release(reservation, outcome)
            await self._commit(reservation)
            return charge
        account = op.prepared.account if op.prepared else None
        return self._meter.standing(account) if account else None

    async def refund(self, reservation: Reservation | None, outcome: str) -> None:
        """Reverse a charge whose answer broke after its head had gone."""
        if reservation is not None:
            self._meter.refund(reservation, outcome)
            await self._committed_or_owed(partial(self._meter.refund, reservation, outcome))

    async def reserve_house(self, route: str, quote: Quote) -> Reservation:
        """For a fetch of the gateway's own."""
        reservation = self._meter.reserve(self._meter.house, route, quote)
        await self._ledger.committed()
        return reservation

    async def settle_house(self, reservation: Reservation, tokens: int, outcome: str) -> None:
        """Settle a fetch of the gateway's own."""
        self._meter.settle(reservation, tokens, outcome)
        await self._commit(reservation)

    async def finish(self) -> None:
        """One last try at what is still owed back; a reservation that stays open is released at the next start."""
        self._ending.set()
        await self._owed_back.finish()

    async def _commit(self, reservation: Reservation | None) -> None:
        if reservation is None:
            await self._ledger.committed()
        else:
            await self._committed_or_owed(partial(self._meter.release, reservation, "ledger_unavailable"))

    async def _committed_or_owed(self, give_back: Callable[[], object]) -> None:
        try:
            await self._ledger.committed()
        except Problem:
            self._owed_back.start(self._give_back(give_back))
            raise

    async def _give_back(self, give_back: Callable[[], object]) -> None:
        """Try until the journal takes it, or the gateway stops."""
        taken = stops = False
        while not taken and not stops:
            stops = await self._pause()
            with suppress(Problem):
                give_back()
                await self._ledger.committed()
                taken = True

    async def _pause(self) -> bool:
        """Whether the gateway stops, which ends the pause."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_RETRY):
                await self._ending.wait()
        return self._ending.is_set()
