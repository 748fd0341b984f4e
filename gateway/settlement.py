"""Steps 5 and 7 of a request's way: reserve, settle, release; each in the ledger before anything leaves.

A settlement that the ledger does not take is undone; what is owed back is given once it takes again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from gateway.admission.charge import Charge, Quote
from gateway.admission.entitlement import refuse_beyond
from gateway.admission.outcomes import Outcome
from gateway.admission.prepared import Prepared
from gateway.errors import Overtaken, Problem
from gateway.idempotency import Claim
from gateway.messages import Request
from gateway.metering import Metering, Spend
from gateway.operation import Operation
from gateway.reservation import Reservation
from gateway.rfc9111.stored import StoredResponse
from gateway.tasks import Tasks

_RETRY = 0.5


class Settlement:
    """The pipeline's view of the meter; does nothing on routes without a price.

    `still` raises Problem for a request whose key another node has revoked since it began here; it is given where there
    are others. What the meter has answered, all that they did before has come to.
    """

    def __init__(self, meter: Metering, still: Callable[[Request], None] | None = None) -> None:
        self._meter = meter
        self._still = still
        self._owed_back = Tasks()
        self._unrecorded = Counter[Spend]()
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
        op.reservation = await self._meter.reserve(prepared.account, prepared.route, quote, op.request_id)
        self._look_again(op)
        return True

    async def settle(self, op: Operation, outcome: Outcome, answer: StoredResponse | None = None) -> Charge | None:
        """Charge what the outcome costs, and keep a charged `answer` for who repeats the request's Idempotency-Key.

        A reuse that has reserved nothing is admitted and charged in one step. Raises as `reserve` does, and Overtaken
        for a reuse.
        """
        prepared, quote = op.prepared, op.quote
        if prepared is None or prepared.account is None or quote is None:
            return None
        keep = None if op.claim is None else partial(op.claim.kept, stored=answer)
        if op.reservation is None:
            account, route = prepared.account, prepared.route
            try:
                charge = await self._meter.charge(account, route, quote, outcome, op.request_id, keep)
            except Overtaken:
                self._look_again(op)
                raise
        else:
            charge = await self._ended(op, op.reservation, self._meter.settle(op.reservation, outcome, keep))
        op.tokens = charge.tokens
        return charge

    async def release(self, op: Operation, outcome: str) -> Charge | None:
        """Give back what the operation still has reserved, and say how its account stands."""
        reservation = op.reservation
        if reservation is not None:
            return await self._ended(op, reservation, self._meter.release(reservation, outcome))
        account = op.prepared.account if op.prepared else None
        # A refusal stands without it.
        with suppress(Problem):
            return await self._meter.standing(account) if account else None
        return None

    async def refund(self, reservation: Reservation | None, claim: Claim | None) -> None:
        """Reverse a charge whose answer broke after its head had gone; its Idempotency-Key is free again."""
        if reservation is not None:
            withdrawn = None if claim is None else claim.withdrawn()
            refund = partial(self._meter.refund, reservation, Outcome.truncated, withdrawn)
            try:
                await refund()
            except Problem:
                self._owed_back.start(self._give_back(refund))
                raise

    async def repeat(self, op: Operation) -> Charge | None:
        """Admit one that is answered as before: it costs nothing, and counts against the throttle like any call."""
        account = op.prepared.account if op.prepared else None
        return await self._meter.repeat(account) if account else None

    async def verify(self) -> None:
        """For a reuse that is free, which goes on without a ledger. Raises Overtaken, as `settle` does."""
        with suppress(Problem):
            await self._meter.verify()

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
        return await self._meter.reserve(self._meter.house, prepared.route, quote)

    async def settle_house(self, reservation: Reservation, outcome: Outcome) -> None:
        """Settle a fetch of the gateway's own."""
        await self._taken(reservation, self._meter.settle(reservation, outcome))

    async def release_house(self, reservation: Reservation, outcome: str) -> None:
        """A fetch of the gateway's own has brought nothing."""
        await self._taken(reservation, self._meter.release(reservation, outcome))

    async def finish(self) -> None:
        """One last try at what is still owed back; a reservation that stays open is released at the next start."""
        self._ending.set()
        await self._owed_back.finish()

    def _look_again(self, op: Operation) -> None:
        if self._still is not None:
            self._still(op.request)

    async def _ended(self, op: Operation, reservation: Reservation, ending: Awaitable[Charge]) -> Charge:
        """From now on the operation has nothing reserved; it still has where a bug of ours is in the way."""
        try:
            charge = await self._taken(reservation, ending)
        except Problem:
            op.reservation = None
            raise
        op.reservation = None
        return charge

    async def _taken(self, reservation: Reservation, ending: Awaitable[Charge]) -> Charge:
        """What an ending that could not be written had reserved is owed back."""
        try:
            return await ending
        except Problem:
            release = partial(self._meter.release, reservation, "ledger_unavailable")
            self._owed_back.start(self._give_back(release))
            raise

    async def _record_spends(self) -> None:
        """All there are, in one task, however long the ledger takes none."""
        stops = False
        while self._unrecorded:
            if not await self._spends_taken():
                if stops:
                    return
                stops = await self._pause()

    async def _spends_taken(self) -> bool:
        spends = self._unrecorded.copy()
        try:
            await self._meter.spend(spends)
        except Problem:
            return False
        self._unrecorded -= spends
        return True

    async def _give_back(self, give_back: Callable[[], Awaitable[Charge]]) -> None:
        """Try until the ledger takes it, or the gateway stops."""
        taken = stops = False
        while not taken and not stops:
            stops = await self._pause()
            with suppress(Problem):
                await give_back()
                taken = True

    async def _pause(self) -> bool:
        """Whether the gateway stops, which ends the pause."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_RETRY):
                await self._ending.wait()
        return self._ending.is_set()
