"""Step 6 of a request's way: one upstream exchange for a cached route, read to a closed outcome.

It is owned by the gateway: it runs to its end, stores what it may and lands its flight, whoever still listens.
"""

import asyncio
from dataclasses import dataclass
from typing import assert_never

import structlog

from gateway.admission.prepare import Intent, Prepared
from gateway.admission.pricing import delivers
from gateway.admission.snapshot import CachePolicy, UpstreamPolicy
from gateway.arrival import in_freshened_form, in_stored_form
from gateway.cache import Cache, Fetching
from gateway.collapse import Collapse, Failed, Fetched, Flight, Outcome, Private, Unkept
from gateway.errors import Problem, Reason
from gateway.messages import Outgoing, Response, Stream
from gateway.ports import Clock, Upstream
from gateway.reading import Buffers, failure, is_proven, judge, read
from gateway.rfc9111.stored import StoredResponse, Times
from gateway.rfc9111.storing import NotStored, Storability, Storable, Unstorable, storability
from gateway.rfc9111.validation import freshens
from gateway.tasks import Tasks


@dataclass(slots=True, frozen=True)
class Errand:
    """What one fetch is to do: the prepared request, what goes out, and the stored response to validate, if any."""

    prepared: Prepared
    cache: CachePolicy
    outgoing: Outgoing
    policy: UpstreamPolicy
    upstream: Upstream
    validating: StoredResponse | None = None

    @property
    def forced(self) -> bool:
        """Whether this is a force refresh's fetch."""
        return self.prepared.intent is Intent.force_refresh


class Fetcher:
    """Runs errands in tasks that nobody else owns."""

    def __init__(self, cache: Cache, collapse: Collapse, buffers: Buffers, clock: Clock) -> None:
        self._cache = cache
        self.collapse = collapse
        self.buffers = buffers
        self._clock = clock
        self._tasks = Tasks()
        self._log = structlog.get_logger("gateway.fetch")

    @property
    def in_flight(self) -> int:
        """Fetches under way."""
        return len(self._tasks)

    def start(self, flight: Flight, errand: Errand) -> None:
        """Run the errand; it lands the flight."""
        self._tasks.start(self._run(flight, errand))

    async def finish(self) -> None:
        """Wait for every errand."""
        await self._tasks.finish()

    async def _run(self, flight: Flight, errand: Errand) -> None:
        outcome: Outcome = Failed(Problem(Reason.internal_error))
        fetching = self._cache.begin(errand.prepared.groups)
        try:
            outcome = await self._fetch(flight, errand, fetching)
        except Problem as problem:
            outcome = Failed(problem)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which its callers are told of as such
            self._log.error("fetch failed", route=errand.prepared.route.name, exc_info=error)
        finally:
            self._cache.end(fetching)
            if not self.collapse.land(flight, outcome) and isinstance(outcome, Private):
                await _give_up(outcome)

    async def _fetch(self, flight: Flight, errand: Errand, fetching: Fetching) -> Outcome:
        route = errand.prepared.route
        try:
            async with asyncio.timeout(errand.policy.total_timeout) as deadline:
                stream = await errand.upstream.send(errand.outgoing)
                if problem := judge(stream, ours=route.send_credentials, metered=not route.public):
                    await stream.close()
                    return Failed(problem)
                verdict = self._verdict(errand, stream)
                if _is_personal(errand, verdict) and stream.status != 304:
                    self.collapse.part(flight)
                answer = await read(stream, errand.cache.max_body, self.buffers)
                deadline.reschedule(None)
        except TimeoutError:
            raise Problem(Reason.upstream_read_timeout) from None
        if isinstance(answer, Stream):
            self.collapse.part(flight)
            if errand.forced and answer.delimited and delivers(answer.status):
                self._cache.outdate(fetching, errand.prepared.key)
            return Private(answer, Unstorable.too_large)
        return await self._conclude(errand, fetching, verdict, stream, answer)

    async def _conclude(
        self, errand: Errand, fetching: Fetching, verdict: Storability, stream: Stream, response: Response
    ) -> Outcome:
        """What a whole answer means: a 304 freshens, a public route's 5xx fails, the rest is stored where it may."""
        if response.status == 304 and errand.validating is not None:
            return self._freshen(errand, fetching, errand.validating, response)
        if not is_proven(stream, response.body):
            answer = await self._answer(errand, fetching, response, keep=False)
            return Private(answer, Unkept.undelimited)
        answer = await self._answer(errand, fetching, response, keep=isinstance(verdict, Storable))
        kept = isinstance(verdict, Storable) and self._cache.store(fetching, answer)
        if response.status >= 500 and not kept:
            return Failed(failure(stream), answer)
        if errand.forced and delivers(response.status):
            self._cache.outdate(fetching, errand.prepared.key)
        match verdict:
            case Storable():
                return Fetched(answer, kept, None if kept else _left_out(fetching))
            case NotStored(reason) if _is_personal(errand, verdict):
                return Private(answer, reason)
            case NotStored(reason):
                return Fetched(answer, kept=False, reason=reason)
            case _:
                assert_never(verdict)

    def _freshen(self, errand: Errand, fetching: Fetching, validated: StoredResponse, response: Response) -> Outcome:
        if not freshens(validated, response.fields):
            raise Problem(Reason.upstream_invalid)
        times = self._times(fetching)
        stored = in_freshened_form(errand.prepared, errand.policy, errand.outgoing, validated, response, times)
        kept = self._cache.store(fetching, stored)
        return Fetched(stored, kept, None if kept else _left_out(fetching), validated=True)

    async def _answer(self, errand: Errand, fetching: Fetching, response: Response, *, keep: bool) -> StoredResponse:
        times = self._times(fetching)
        return await in_stored_form(errand.prepared, errand.policy, errand.outgoing, response, times, keep=keep)

    def _times(self, fetching: Fetching) -> Times:
        return Times(fetching.began, self._clock.steady(), self._clock.wall())

    def _verdict(self, errand: Errand, stream: Stream) -> Storability:
        return storability(
            "GET",
            stream.status,
            stream.fields,
            errand.cache.policy,
            authorized=_is_authorized(errand),
            public=errand.prepared.route.public,
            now=self._clock.steady(),
        )


def _is_personal(errand: Errand, verdict: Storability) -> bool:
    """What is not stored and a Cookie was sent for may be its user's own, though its fields do not say so."""
    return isinstance(verdict, NotStored) and (verdict.personal or "Cookie" in errand.outgoing.fields)


def _left_out(fetching: Fetching) -> Unkept:
    return Unkept.outdated if fetching.outdated else Unkept.no_room


async def _give_up(outcome: Private) -> None:
    if isinstance(outcome.answer, Stream):
        await outcome.answer.close()


def _is_authorized(errand: Errand) -> bool:
    """Whether the client's own Authorization went on (RFC 9111 §3.5); the gateway's is the same for everybody."""
    given = errand.prepared.request.fields.get("Authorization")
    return given is not None and errand.outgoing.fields.get("Authorization") == given
