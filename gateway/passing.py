"""The way of what passes by the cache: settled when the answer's head leaves, refunded should its content break."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import UpstreamPolicy
from gateway.answering import Answering
from gateway.arrival import for_client, in_stored_form
from gateway.cache import Cache
from gateway.consequences import Consequences
from gateway.costs import Costs
from gateway.errors import UNSENT, Problem, Reason
from gateway.exchange import Exchange
from gateway.idempotency import Claim
from gateway.messages import Answer, Fields, Outgoing, Response, Stream
from gateway.operation import Operation
from gateway.ports import Clock, Upstream
from gateway.reading import Buffers, failure, is_proven, judge, read
from gateway.reservation import Reservation
from gateway.rfc9111.invalidation import answers_get
from gateway.rfc9111.reuse import ERRORS
from gateway.rfc9111.stored import StoredResponse, Times
from gateway.rfc9111.storing import Storable, storability
from gateway.settlement import Settlement
from gateway.stores.in_flight import Fetching

# Content that tokens go into on a route that does not cache is buffered up to this; a longer one streams without.
_MOST_BUFFERED = 8 << 20


@dataclass(slots=True, frozen=True)
class Passage:
    """A request that passes by the cache; `selecting` are the fields that select among the upstream's answers.

    `beside` is the stored response that a HEAD would have been answered from, were it fresh; `bridged`: a stale one
    is served instead of a server error, which is raised.
    """

    op: Operation
    prepared: Prepared
    outgoing: Outgoing
    selecting: Fields
    policy: UpstreamPolicy
    upstream: Upstream
    beside: StoredResponse | None = None
    bridged: bool = False


class Passing:
    """Sends, judges, settles and hands the answer on."""

    def __init__(
        self,
        cache: Cache,
        settlement: Settlement,
        answering: Answering,
        buffers: Buffers,
        costs: Costs,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._settlement = settlement
        self._answering = answering
        self._buffers = buffers
        self._costs = costs
        self._clock = clock
        self._consequences = Consequences(cache, clock)

    async def exchange(self, passage: Passage) -> Answer:
        """One exchange, metered where its route is; raises the Problem that its head means."""
        try:
            return await self._exchange(passage)
        finally:
            # What is settled comes after what was outdated by itself. Whoever cannot be told goes by what it knows.
            if passage.op.quote is None:
                with suppress(Problem):
                    await self._cache.told()

    async def _exchange(self, passage: Passage) -> Answer:
        await self._settlement.reserve(passage.op)
        with self._fetching(passage.prepared) as fetching:
            stream = await self._send(passage)
            keeps = self._is_for_get(passage, stream) and not fetching.outdated
            self._draw_consequences(passage, fetching, stream)
        if not keeps:
            return await self._conclude(passage, stream, fetching.began)
        # Begun anew: what began before the request's own consequences is outdated by them.
        with self._fetching(passage.prepared) as kept:
            return await self._conclude(passage, stream, fetching.began, kept)

    @contextmanager
    def _fetching(self, prepared: Prepared) -> Iterator[Fetching]:
        fetching = self._cache.begin(prepared.memberships())
        try:
            yield fetching
        finally:
            self._cache.end(fetching)

    async def _send(self, passage: Passage) -> Stream:
        prepared = passage.prepared
        exchange = passage.op.exchange = Exchange(self._clock.steady())
        try:
            stream = await passage.upstream.send(passage.outgoing)
        except Problem as unanswered:
            exchange.ended(self._clock.steady())
            if unanswered.reason not in UNSENT:
                self._consequences.of_silence(prepared)
            raise
        exchange.answered(self._clock.steady())
        passage.op.fwd_status = stream.status
        problem = judge(stream, ours=prepared.route.send_credentials, metered=not prepared.route.public)
        if problem is None and passage.bridged and stream.status in ERRORS:
            problem = failure(stream)
        if problem is not None:
            await stream.close()
            raise problem
        return stream

    def _draw_consequences(self, passage: Passage, fetching: Fetching, stream: Stream) -> None:
        prepared, policy = passage.prepared, passage.policy
        self._consequences.of_method(prepared, policy, stream)
        if passage.beside is not None:
            self._consequences.of_head(prepared, policy, passage.selecting, passage.beside, fetching, stream)

    def _is_for_get(self, passage: Passage, stream: Stream) -> bool:
        """Whether a POST's answer is what a GET of its target would bring, and says how long (RFC 9110 §9.3.3)."""
        prepared, cache = passage.prepared, passage.prepared.route.cache
        if prepared.request.method != "POST" or cache is None or stream.status != 200:
            return False
        url = passage.policy.url(prepared.target)
        if not answers_get(url, stream.fields):
            return False
        verdict = storability(
            "POST",
            stream.status,
            stream.fields,
            cache.policy,
            authorized="Authorization" in prepared.request.fields,
            public=prepared.route.public,
            now=self._clock.wall(),
            unstored=prepared.demands is not None and prepared.demands.no_store,
        )
        return isinstance(verdict, Storable)

    async def _conclude(
        self, passage: Passage, stream: Stream, began: float, keeping: Fetching | None = None
    ) -> Answer:
        """Buffered only where it is stored, as what `keeping` brought, or where tokens go into it."""
        route = passage.prepared.route
        if keeping is not None and route.cache is not None:
            whole = await self._read(passage, stream, route.cache.max_body)
        elif route.tokens_in_body:
            whole = await self._read(passage, stream, _MOST_BUFFERED)
        else:
            whole = stream
        if isinstance(whole, Stream):
            return await self.answer(passage.op, passage.prepared, whole, passage.policy)
        await self._costs.record(passage.prepared, passage.policy, whole)
        return await self._answer_whole(passage, stream, whole, began, keeping)

    async def _read(self, passage: Passage, stream: Stream, most: int) -> Response | Stream:
        try:
            async with asyncio.timeout(passage.policy.total_timeout):
                return await read(stream, most, self._buffers)
        except TimeoutError:
            raise Problem(Reason.upstream_read_timeout) from None
        finally:
            if passage.op.exchange is not None:
                passage.op.exchange.ended(self._clock.steady())

    async def _answer_whole(
        self, passage: Passage, stream: Stream, whole: Response, began: float, keeping: Fetching | None
    ) -> Answer:
        op, prepared = passage.op, passage.prepared
        free = not is_proven(stream, whole.body)
        keep = keeping is not None and not free
        times = Times(began, self._clock.steady(), self._clock.wall())
        answer = await in_stored_form(prepared, passage.policy, passage.selecting, whole, times, keep=keep)
        if keeping is not None and keep:
            answer = answer.replaced(began=keeping.began)
            op.stored = self._cache.store(keeping, answer)
        charge = await self._settlement.settle(op, op.ended(whole.status, free=free))
        return self._answering.stored(op, answer, answer.initial_age, charge)

    async def answer(self, op: Operation, prepared: Prepared, stream: Stream, policy: UpstreamPolicy) -> Answer:
        """The answer that streams; closes the stream where there is none."""
        reservation = op.reservation
        free = not stream.delimited
        stream = self._costs.overheard(prepared, policy, stream)
        try:
            fields = for_client(prepared.route, policy, stream.fields, self._clock.wall())
            outcome = op.ended(stream.status, fresh=op.forced or op.demanded, free=free)
            charge = await self._settlement.settle(op, outcome)
            chunks = self._watched(stream, None if free else reservation, op.claim)
            answer = self._answering.stream(op, stream, chunks, fields, charge)
        except BaseException:
            await stream.close()
            raise
        answer.close = stream.close
        return answer

    async def _watched(
        self, stream: Stream, reservation: Reservation | None, claim: Claim | None
    ) -> AsyncIterator[bytes]:
        try:
            async for chunk in stream.chunks:
                yield chunk
        except Problem:
            await self._settlement.refund(reservation, claim)
            raise
