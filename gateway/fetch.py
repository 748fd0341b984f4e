"""Step 6 of a request's way: one upstream exchange for a cached route, read to a closed outcome.

It is owned by the gateway: it runs to its end, stores what it may and lands its flight, whoever still listens.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog
from multidict import CIMultiDict

from gateway.admission.prepared import Prepared
from gateway.admission.pricing import delivers
from gateway.admission.provision import Intent
from gateway.admission.snapshot import CachePolicy, UpstreamPolicy
from gateway.arrival import in_freshened_form, in_full, in_full_freshened, in_stored_form
from gateway.cache import Cache, Fetching
from gateway.collapse import Collapse, Failed, Fetched, Flight, Outcome, Private, Unkept
from gateway.costs import Costs
from gateway.errors import Problem, Reason
from gateway.exchange import Exchange
from gateway.messages import Fields, Outgoing, Response, Stream
from gateway.parts import Parts
from gateway.ports import Clock, Upstream
from gateway.reading import Buffers, asked, failure, is_proven, judge, read
from gateway.rfc9111.reuse import ERRORS, usable_on_error
from gateway.rfc9111.selecting import matches
from gateway.rfc9111.stored import StoredResponse, Times
from gateway.rfc9111.storing import NotStored, Storability, Storable, Unstorable, head_fields, storability
from gateway.rfc9111.validation import conditional_fields, freshens
from gateway.tasks import Tasks


# Not frozen, nor are the outcomes: that makes them cost several times as much, and each miss makes them.
@dataclass(slots=True)
class Errand:
    """What one fetch is to do: the prepared request, what goes out, and the stored response to validate, if any.

    `selecting` are the fields that select among the upstream's answers. `ranged`: it asks for a part. `unstored`: the
    request said no-store. `ours`: the gateway fetches of its own accord.
    """

    prepared: Prepared
    cache: CachePolicy
    outgoing: Outgoing
    selecting: Fields
    policy: UpstreamPolicy
    upstream: Upstream
    validating: StoredResponse | None = None
    ranged: bool = False
    unstored: bool = False
    ours: bool = False

    @property
    def forced(self) -> bool:
        """Whether this is a force refresh's fetch."""
        return self.prepared.intent is Intent.force_refresh

    def unconditional(self) -> "Errand":
        """The same, without validating anything."""
        fields = CIMultiDict(self.outgoing.fields)
        for name, _ in conditional_fields(self.validating) if self.validating is not None else ():
            fields.popall(name, None)
        return replace(self, outgoing=replace(self.outgoing, fields=fields), validating=None)


class Fetcher:
    """Runs errands in tasks that nobody else owns."""

    def __init__(self, cache: Cache, collapse: Collapse, buffers: Buffers, costs: Costs, clock: Clock) -> None:
        self._cache = cache
        self.collapse = collapse
        self.buffers = buffers
        self.costs = costs
        self._clock = clock
        self._parts = Parts(cache, clock)
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
        outcome: Outcome | None = None
        fetching = self._cache.begin(errand.prepared.memberships())
        flight.is_outdated = lambda: fetching.outdated
        exchange = flight.exchange = Exchange(self._clock.steady())
        try:
            outcome = await self._fetch(flight, errand, fetching, exchange)
        except Problem as problem:
            outcome = Failed(problem)
        except Exception as error:  # noqa: BLE001 - a bug of ours, which its callers are told of as such
            self._log.error("fetch failed", route=errand.prepared.route.name, exc_info=error)
        finally:
            exchange.ended(self._clock.steady())
            self._cache.end(fetching)
            outcome = outcome or Failed(Problem(Reason.internal_error))
            if not self.collapse.land(flight, outcome) and isinstance(outcome, Private):
                await _give_up(outcome)

    async def _fetch(self, flight: Flight, errand: Errand, fetching: Fetching, exchange: Exchange) -> Outcome:
        route = errand.prepared.route
        try:
            async with asyncio.timeout(total := errand.policy.total_timeout) as deadline:
                stream = await asked(errand.upstream, errand.outgoing, total, deadline)
                exchange.answered(self._clock.steady())
                if problem := judge(stream, ours=route.send_credentials, metered=not route.public):
                    await stream.close()
                    return Failed(problem)
                if _confirms_another(errand, stream):
                    await stream.close()
                    return await self._fetch(flight, errand.unconditional(), fetching, exchange)
                # What of a part may be stored or shared is what might be of the whole.
                status = 200 if errand.ranged and stream.status == 206 else stream.status
                verdict = self._verdict(errand, status, stream.fields)
                if _is_personal(errand, verdict) and stream.status != 304:
                    self.collapse.part(flight)
                answer = await read(stream, errand.cache.max_body, self.buffers)
                exchange.ended(self._clock.steady())
                deadline.reschedule(None)
        except TimeoutError:
            raise Problem(Reason.upstream_read_timeout) from None
        if isinstance(answer, Stream):
            self.collapse.part(flight)
            if errand.forced and answer.delimited and delivers(answer.status):
                self._outdate(errand, fetching, (*fetching.groups, *self._told_before(errand)))
            return Private(answer, Unstorable.too_large)
        # Before anything is made of it: what the vendor charged it has charged for an answer of no use too.
        await self.costs.record(errand.prepared, errand.policy, answer, ours=errand.ours)
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
        if errand.ranged and response.status == 206:
            return await self._keep_part(errand, fetching, verdict, response)
        if response.status in ERRORS and self._has_spare(errand):
            # Not even one that may be stored takes the place of what it would be served instead of.
            return Failed(failure(stream), await self._answer(errand, fetching, response, keep=False))
        return await self._keep_whole(errand, fetching, verdict, stream, response)

    async def _keep_whole(
        self, errand: Errand, fetching: Fetching, verdict: Storability, stream: Stream, response: Response
    ) -> Outcome:
        answer = await self._answer(errand, fetching, response, keep=isinstance(verdict, Storable))
        before = self._told_before(errand)
        kept = isinstance(verdict, Storable) and self._store(errand, fetching, answer)
        if response.status >= 500 and not kept:
            return Failed(failure(stream), answer)
        if errand.forced and delivers(response.status):
            self._outdate(errand, fetching, (*answer.groups, *before))
        if isinstance(verdict, NotStored):
            return _unkept(errand, verdict, answer)
        own = in_full(errand.prepared, errand.policy, answer, response)
        return Fetched(answer, kept, None if kept else _left_out(fetching), own=own)

    async def _keep_part(self, errand: Errand, fetching: Fetching, verdict: Storability, response: Response) -> Outcome:
        answer = await self._answer(errand, fetching, response, keep=isinstance(verdict, Storable))
        if isinstance(verdict, NotStored):
            return _unkept(errand, verdict, answer)
        kept = self._parts.keep(fetching, answer, errand.selecting, errand.cache.max_body)
        own = in_full(errand.prepared, errand.policy, answer, response)
        return Fetched(answer, kept, None if kept else Unstorable.partial, own=own)

    def _freshen(self, errand: Errand, fetching: Fetching, validated: StoredResponse, response: Response) -> Outcome:
        times = self._times(fetching)
        stored = in_freshened_form(errand.prepared, errand.policy, errand.selecting, validated, response, times)
        own = in_full_freshened(errand.prepared, errand.policy, stored, response)
        verdict = self._verdict(errand, stored.status, head_fields(stored.head))
        if isinstance(verdict, NotStored):
            if verdict.reason is not Unstorable.authorization:
                self._cache.forget(validated)
            if verdict.personal:
                return Private(own or stored, verdict.reason, validated=True)
            return Fetched(stored, kept=False, reason=verdict.reason, validated=True, own=own)
        if self._cache.is_replaced(validated):
            return Fetched(stored, kept=False, reason=Unkept.outdated, validated=True, own=own)
        kept = self._store(errand, fetching, stored)
        return Fetched(stored, kept, None if kept else _left_out(fetching), validated=True, own=own)

    def _store(self, errand: Errand, fetching: Fetching, answer: StoredResponse) -> bool:
        """Keep it, and nothing else that its request would have been answered with: its Vary may have changed."""
        if not self._cache.store(fetching, answer):
            return False
        self._parts.forget(answer.key)
        for other in self._cache.peek(answer.key):
            if (
                other is not answer
                and other.selecting != answer.selecting
                and matches(other.selecting, errand.selecting)
            ):
                self._cache.forget(other)
        return True

    def _told_before(self, errand: Errand) -> tuple[str, ...]:
        """What content told of the groups of what a force refresh replaces: it may belong to others now, or be gone."""
        if not (errand.forced and errand.prepared.reads_content):
            return ()
        return tuple([group for stored in self._cache.look(errand.prepared.key) for group in stored.groups])

    def _outdate(self, errand: Errand, fetching: Fetching, groups: tuple[str, ...]) -> None:
        self._cache.outdate(fetching, errand.prepared.key, errand.prepared.outdated(groups))

    async def _answer(self, errand: Errand, fetching: Fetching, response: Response, *, keep: bool) -> StoredResponse:
        times = self._times(fetching)
        return await in_stored_form(errand.prepared, errand.policy, errand.selecting, response, times, keep=keep)

    def _has_spare(self, errand: Errand) -> bool:
        variants, now = self._cache.peek(errand.prepared.key), self._clock.steady()
        demands = errand.prepared.demands
        return usable_on_error(variants, errand.selecting, errand.cache.policy, now, demands=demands) is not None

    def _times(self, fetching: Fetching) -> Times:
        return Times(fetching.began, self._clock.steady(), self._clock.wall())

    def _verdict(self, errand: Errand, status: int, fields: Fields) -> Storability:
        return storability(
            "GET",
            status,
            fields,
            errand.cache.policy,
            authorized=_is_authorized(errand),
            public=errand.prepared.route.public,
            now=self._clock.wall(),
            unstored=errand.unstored,
        )


def _confirms_another(errand: Errand, stream: Stream) -> bool:
    """Whether a 304 speaks of another response than the one to be validated, which it must not freshen (§4.3.4)."""
    validating = errand.validating
    return stream.status == 304 and validating is not None and not freshens(validating, stream.fields)


def _is_personal(errand: Errand, verdict: Storability) -> bool:
    """What is not stored and a Cookie was sent for may be its user's own, though its fields do not say so."""
    return isinstance(verdict, NotStored) and (verdict.personal or "Cookie" in errand.outgoing.fields)


def _unkept(errand: Errand, verdict: NotStored, answer: StoredResponse) -> Outcome:
    if _is_personal(errand, verdict):
        return Private(answer, verdict.reason)
    return Fetched(answer, kept=False, reason=verdict.reason)


def _left_out(fetching: Fetching) -> Unkept:
    return Unkept.outdated if fetching.outdated else Unkept.no_room


async def _give_up(outcome: Private) -> None:
    if isinstance(outcome.answer, Stream):
        await outcome.answer.close()


def _is_authorized(errand: Errand) -> bool:
    """Whether the client's own Authorization went on (RFC 9111 §3.5); the gateway's is the same for everybody."""
    given = errand.prepared.request.fields.get("Authorization")
    return given is not None and errand.outgoing.fields.get("Authorization") == given
