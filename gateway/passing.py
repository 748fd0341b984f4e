"""The way of content that streams: settled when the answer's head leaves, refunded should the content break."""

import asyncio
from collections.abc import AsyncIterator

from gateway.admission.prepare import Prepared
from gateway.admission.snapshot import UpstreamPolicy
from gateway.answering import Answering
from gateway.arrival import for_client, in_stored_form
from gateway.errors import Problem, Reason
from gateway.messages import Answer, Outgoing, Response, Stream
from gateway.meter import Reservation
from gateway.operation import Operation
from gateway.ports import Clock, Upstream
from gateway.reading import Buffers, is_proven, judge, read
from gateway.rfc9111.stored import Times
from gateway.settlement import Settlement

# Content that tokens go into on a route that does not cache is buffered up to this; a longer one streams without.
_MOST_BUFFERED = 8 << 20


class Passing:
    """Sends, judges, settles and hands the answer on."""

    def __init__(self, settlement: Settlement, answering: Answering, buffers: Buffers, clock: Clock) -> None:
        self._settlement = settlement
        self._answering = answering
        self._buffers = buffers
        self._clock = clock

    async def exchange(
        self, op: Operation, prepared: Prepared, outgoing: Outgoing, upstream: Upstream, policy: UpstreamPolicy
    ) -> Answer:
        """One metered exchange; raises the Problem that its head means."""
        await self._settlement.reserve(op)
        began = self._clock.steady()
        stream = await upstream.send(outgoing)
        op.fwd_status = stream.status
        if problem := judge(stream, ours=prepared.route.send_credentials, metered=not prepared.route.public):
            await stream.close()
            raise problem
        whole = await self._read(stream, policy) if prepared.route.tokens_in_body else stream
        if isinstance(whole, Stream):
            return await self.answer(op, prepared, whole, policy)
        return await self._answer_whole(op, prepared, outgoing, policy, stream, whole, began)

    async def _read(self, stream: Stream, policy: UpstreamPolicy) -> Response | Stream:
        try:
            async with asyncio.timeout(policy.total_timeout):
                return await read(stream, _MOST_BUFFERED, self._buffers)
        except TimeoutError:
            raise Problem(Reason.upstream_read_timeout) from None

    async def _answer_whole(
        self,
        op: Operation,
        prepared: Prepared,
        outgoing: Outgoing,
        policy: UpstreamPolicy,
        stream: Stream,
        whole: Response,
        began: float,
    ) -> Answer:
        free = not is_proven(stream, whole.body)
        times = Times(began, self._clock.steady(), self._clock.wall())
        answer = await in_stored_form(prepared, policy, outgoing, whole, times, keep=False)
        charge = await self._settlement.settle(op, whole.status, free=free)
        return self._answering.stored(op, answer, answer.initial_age, charge)

    async def answer(self, op: Operation, prepared: Prepared, stream: Stream, policy: UpstreamPolicy) -> Answer:
        """The answer that streams; closes the stream where there is none."""
        reservation = op.reservation
        free = not stream.delimited
        try:
            fields = for_client(prepared.route, policy, stream.fields, self._clock.wall())
            charge = await self._settlement.settle(op, stream.status, fresh=op.forced, free=free)
            chunks = self._watched(stream, None if free else reservation)
            answer = self._answering.stream(op, stream, chunks, fields, charge)
        except BaseException:
            await stream.close()
            raise
        answer.close = stream.close
        return answer

    async def _watched(self, stream: Stream, reservation: Reservation | None) -> AsyncIterator[bytes]:
        try:
            async for chunk in stream.chunks:
                yield chunk
        except Problem:
            await self._settlement.refund(reservation, "truncated")
            raise
