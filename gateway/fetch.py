"""Step 6 of a request's way: one upstream exchange for a cached route, read to a closed outcome.

It is owned by the gateway: it runs to its end, stores what it may and lands its flight, whoever still listens.
"""

import asyncio
from contextlib import suppress

import structlog

from gateway.admission.pricing import delivers
from gateway.cache import Cache
from gateway.collapse import Collapse, Failed, Fetched, Flight, Outcome, Private
from gateway.costs import Costs
from gateway.errand import Errand
from gateway.errors import Problem, Reason
from gateway.exchange import Exchange
from gateway.keeping import Keeping
from gateway.landing import landing
from gateway.messages import Stream
from gateway.ports import Clock, Guard, Landed, Lease
from gateway.reading import Buffers, asked, judge, read
from gateway.rfc9111.storing import Unstorable
from gateway.stores.in_flight import Fetching
from gateway.stores.telling import marked
from gateway.tasks import Tasks

_SAVED = 1.0
"""Seconds at most for which a lease waits for what was fetched to be stored for other nodes."""


class Fetcher:
    """Runs errands in tasks that nobody else owns; those that other nodes may have as well as `guard` says."""

    def __init__(
        self,
        cache: Cache,
        collapse: Collapse,
        buffers: Buffers,
        costs: Costs,
        clock: Clock,
        guard: Guard | None = None,
    ) -> None:
        self._cache = cache
        self.collapse = collapse
        self.buffers = buffers
        self.costs = costs
        self._clock = clock
        self._guard = guard
        self._keeping = Keeping(cache, clock)
        self._tasks = Tasks()
        self._landings = Tasks()
        self._log = structlog.get_logger("gateway.fetch")

    @property
    def in_flight(self) -> int:
        """Fetches under way."""
        return len(self._tasks)

    def start(self, flight: Flight, errand: Errand) -> None:
        """Run the errand; it lands the flight."""
        if self._guard is None or not _is_the_fleets(flight, errand):
            self._tasks.start(self._lead(flight, errand, None))
        else:
            self._tasks.start(self._ask(self._guard, flight, errand))

    async def finish(self) -> None:
        """Wait for every errand."""
        await self._tasks.finish()
        await self._landings.finish()

    async def _ask(self, guard: Guard, flight: Flight, errand: Errand) -> None:
        """Lead the flight, or land it with what another node's brings."""
        since = self._clock.steady()
        found: Outcome | Lease | None = Failed(Problem(Reason.internal_error))
        try:
            found = await self._seek(guard, flight, errand)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which its callers are told of as such
            self._log.error("fetch failed", route=errand.prepared.route.name, exc_info=error)
        if isinstance(found, Fetched | Failed | Private):
            flight.elsewhere, flight.waited = True, self._clock.steady() - since
            self.collapse.land(flight, found)
            return
        if not errand.outgoing.background:
            errand.spent = self._clock.steady() - since
        await self._lead(flight, errand, found)

    async def _seek(self, guard: Guard, flight: Flight, errand: Errand) -> Outcome | Lease | None:
        """What another node's fetch brings, in the time that this one has; else the lease, None to go on without."""
        prepared = errand.prepared
        fetching = self._cache.begin(prepared.memberships())
        flight.is_outdated = lambda: fetching.outdated
        try:
            async with asyncio.timeout(None if errand.outgoing.background else errand.seconds):
                found = await guard.ask(flight.key, flight.rank, marked(fetching.groups))
            if isinstance(found, Landed):
                return await self._keeping.take_in(errand, fetching, found)
            if found is None:
                self.collapse.part(flight)
                return None
            return await self._granted(found, errand, fetching)
        except TimeoutError:
            return Failed(Problem(Reason.upstream_read_timeout))
        finally:
            self._cache.end(fetching)

    async def _granted(self, lease: Lease, errand: Errand, fetching: Fetching) -> Outcome | Lease:
        """The lease, unless another node has stored meanwhile what makes the fetch needless."""
        outcome: Fetched | Failed | None = Failed(Problem(Reason.internal_error))
        try:
            stored = await self._keeping.find(errand)
            outcome = None if stored is None else Fetched(stored, kept=True, found=True)
            return outcome or lease
        finally:
            # Whatever happens here, nobody may wait for a fetch that does not begin.
            if outcome is not None:
                self._landings.start(self._land(lease, errand, fetching, outcome))

    async def _lead(self, flight: Flight, errand: Errand, lease: Lease | None) -> None:
        outcome: Outcome | None = None
        if errand.forced and errand.prepared.reads_content and self._cache.has_second_tier:
            # What it replaces tells of groups.
            await self._cache.load(errand.prepared.key)
        fetching = self._cache.begin(errand.prepared.memberships())
        flight.is_outdated = lambda: fetching.outdated
        exchange = flight.exchange = Exchange(self._clock.steady())
        if lease is not None:
            flight.lease, fetching.token = lease, lease.token
        try:
            outcome = await self._fetch(flight, errand, fetching, exchange)
        except Problem as problem:
            outcome = Failed(problem)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which its callers are told of as such
            self._log.error("fetch failed", route=errand.prepared.route.name, exc_info=error)
        finally:
            exchange.ended(self._clock.steady())
            outcome = outcome or Failed(Problem(Reason.internal_error))
            if lease is None:
                self._cache.end(fetching)
            else:
                self._landings.start(self._land(lease, errand, fetching, outcome))
            if not self.collapse.land(flight, outcome) and isinstance(outcome, Private):
                await _give_up(outcome)

    async def _fetch(self, flight: Flight, errand: Errand, fetching: Fetching, exchange: Exchange) -> Outcome:
        route = errand.prepared.route
        try:
            async with asyncio.timeout(total := errand.seconds) as deadline:
                stream = await asked(errand.upstream, errand.outgoing, total, deadline)
                exchange.answered(self._clock.steady())
                if problem := judge(stream, ours=route.send_credentials, metered=not route.public):
                    await stream.close()
                    return Failed(problem)
                if stream.status == 304 and not errand.is_answered_by(stream.fields):
                    await stream.close()
                    return await self._fetch(flight, errand.unconditional(), fetching, exchange)
                # What of a part may be stored or shared is what might be of the whole.
                status = 200 if errand.ranged and stream.status == 206 else stream.status
                verdict = self._keeping.verdict(errand, status, stream.fields)
                if errand.is_personal(verdict) and stream.status != 304:
                    self._part(flight)
                answer = await read(stream, errand.cache.max_body, self.buffers)
                exchange.ended(self._clock.steady())
                deadline.reschedule(None)
        except TimeoutError:
            raise Problem(Reason.upstream_read_timeout) from None
        if isinstance(answer, Stream):
            self._part(flight)
            if errand.forced and answer.delimited and delivers(answer.status):
                self._keeping.outdate_streamed(errand, fetching)
            return Private(answer, Unstorable.too_large)
        # Before anything is made of it: what the vendor charged it has charged for an answer of no use too.
        await self.costs.record(errand.prepared, errand.policy, answer, ours=errand.ours)
        # Whoever was given the lease meanwhile may have brought something later.
        fetching.deposed = flight.lease is not None and flight.lease.lapsed
        return await self._keeping.conclude(errand, fetching, verdict, stream, answer)

    def _part(self, flight: Flight) -> None:
        """What arrives is for the first caller alone: everybody else goes on, on every node."""
        self.collapse.part(flight)
        if flight.lease is not None:
            self._landings.start(flight.lease.part())

    async def _land(self, lease: Lease, errand: Errand, fetching: Fetching, outcome: Outcome) -> None:
        """Give other nodes the outcome, and the lease back once what is stored can be found by them."""
        try:
            if errand.forced:
                await lease.arrive()
            if isinstance(outcome, Private):
                await lease.part()
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_SAVED):
                    await self._cache.saved(errand.prepared.key)
            told = await self._told()
            await lease.land(lambda: landing(outcome if told else None, fetching, self._clock.steady()))
        finally:
            self._cache.end(fetching)

    async def _told(self) -> bool:
        """Whether all nodes can know what is outdated: who is answered elsewhere may believe that they do."""
        try:
            await self._cache.told()
        except Problem:
            return False
        return True


async def _give_up(outcome: Private) -> None:
    if isinstance(outcome.answer, Stream):
        await outcome.answer.close()


def _is_the_fleets(flight: Flight, errand: Errand) -> bool:
    """Whether other nodes may wait for it: each has its own parts of a response to go on from."""
    return flight.shared and flight.key == errand.prepared.key
