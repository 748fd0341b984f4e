"""Steps 5 and 7 of a request's way: reserve, settle, release; each in the journal before anything leaves.

A settlement that the journal does not take is undone in memory; what is owed back is given once it takes again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gateway.admission.charge import Charge, Quote
from gateway.admission.entitlement import refuse_beyond
from gateway.admission.outcomes import Outcome
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import Account
from gateway.errors import Problem
from gateway.idempotency import Claim
from gateway.ledger.ledger import Ledger
from gateway.meter import Meter
from gateway.operation import Operation
from gateway.reservation import Reservation
from gateway.rfc9111.stored import StoredResponse
from gateway.tasks import Tasks

_RETRY = 0.5


class Settlement:
    """The pipeline's view of the meter; does nothing on routes without a price."""

    def __init__(self, meter: Meter, ledger: Ledger) -> None:
        self._meter = meter
        self._ledger = ledger
        self._owed_back = Tasks()
        self._unrecorded = Counter[tuple[Account, str, str, int]]()
        self._ending = asyncio.Event()

    async def reserve(self, op: Operation) -> bool:
        """Admit a fetch and reserve its whole quote; False where nothing is metered or it is reserved already.

        Raises the Problem of the limit that is reached, or Problem(ledger_unavailable).
        """
        prepared, quote = op.prepared, op.quote
        if prepared is None or prepared.account is None or quote is None or op.reservation is not None:
            return False
        if op.demanded:
            refuse_beyond(prepared.account, quote, prepared.max_tokens)
        reservation = self._meter.reserve(prepared.account, prepared.route, quote, op.request_id)
        await self._ledger.committed()
        op.reservation = reservation
        return True

    async def settle(self, op: Operation, outcome: Outcome, answer: StoredResponse | None = None) -> Charge | None:
        """Charge what the outcome costs, and keep a charged `answer` for who repeats the request's Idempotency-Key.

        A reuse that has reserved nothing is admitted and charged in one step. Raises as `reserve` does.
        """
        prepared, quote = op.prepared, op.quote
        if prepared is None or prepared.account is None or quote is None:
            return None
        reservation = op.reservation
        if reservation is None:
            charge = self._meter.charge(prepared.account, prepared.route, quote, outcome, op.request_id)
        else:
            charge = self._meter.settle(reservation, outcome)
        op.reservation = None
        if op.claim is not None and charge.tokens:
            self._ledger.post(op.claim.kept(charge, answer))
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

    async def refund(self, reservation: Reservation | None, claim: Claim | None) -> None:
        """Reverse a charge whose answer broke after its head had gone; its Idempotency-Key is free again."""
        if reservation is not None:
            refund = partial(self._refund, reservation, claim)
            refund()
            try:
                await self._ledger.committed()
            except Problem:
                self._owed_back.start(self._give_back(refund))
                raise

    def _refund(self, reservation: Reservation, claim: Claim | None) -> None:
        self._meter.refund(reservation, Outcome.truncated)
        if claim is not None:
            self._ledger.post(claim.withdrawn())

    def repeat(self, op: Operation) -> Charge | None:
        """Admit one that is answered as before: it costs nothing, and counts against the throttle like any call."""
        account = op.prepared.account if op.prepared else None
        return self._meter.repeat(account) if account else None

    def spend(self, prepared: Prepared, tokens: int, *, ours: bool) -> None:
        """Record what the vendor charged for the fetch of this request, or one of `ours`; never fails.

        Where nobody is metered it was the house's.
        """
        account = self._meter.house if ours or prepared.account is None else prepared.account
        route = prepared.route
        self._unrecorded[account, route.name, route.upstream, tokens] += 1
        if self._unrecorded.total() == 1:
            self._owed_back.start(self._record_spends())

    async def reserve_house(self, prepared: Prepared) -> Reservation:
        """For a fetch of the gateway's own."""
        plain = prepared.quote.plain if prepared.quote is not None else 0
        quote = Quote(plain, lines=(("base", plain),))
        reservation = self._meter.reserve(self._meter.house, prepared.route, quote)
        await self._ledger.committed()
        return reservation

    async def settle_house(self, reservation: Reservation, outcome: Outcome) -> None:
        """Settle a fetch of the gateway's own."""
        self._meter.settle(reservation, outcome)
        await self._commit(reservation)

    async def release_house(self, reservation: Reservation, outcome: str) -> None:
        """A fetch of the gateway's own has brought nothing."""
        self._meter.release(reservation, outcome)
        await self._commit(reservation)

    async def finish(self) -> None:
        """One last try at what is still owed back; a reservation that stays open is released at the next start."""
        self._ending.set()
        await self._owed_back.finish()

    async def _commit(self, reservation: Reservation | None) -> None:
        """What a settlement that could not be written had reserved is owed back."""
        try:
            await self._ledger.committed()
        except Problem:
            if reservation is not None:
                release = partial(self._meter.release, reservation, "ledger_unavailable")
                self._owed_back.start(self._give_back(release))
            raise

    async def _record_spends(self) -> None:
        """All there are, in one task, however long the journal takes none."""
        stops = False
        while self._unrecorded:
            if not await self._spends_taken():
                if stops:
                    return
                stops = await self._pause()

    async def _spends_taken(self) -> bool:
        spends = self._unrecorded.copy()
        try:
            for spend in spends.elements():
                self._meter.spend(*spend)
            await self._ledger.committed()
        except Problem:
            return False
        self._unrecorded -= spends
        return True

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
