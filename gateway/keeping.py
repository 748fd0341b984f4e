"""What a whole answer of the upstream leads to: what is stored of it and outdated by it, and what its callers get."""

from gateway.admission.pricing import delivers
from gateway.arrival import in_arrived_form, in_freshened_form, in_full, in_full_freshened, in_stored_form
from gateway.cache import Cache
from gateway.collapse import Failed, Fetched, Outcome, Private, Unkept
from gateway.errand import Errand
from gateway.landing import arrived, is_passed_on
from gateway.messages import Fields, Response, Stream
from gateway.parts import Parts
from gateway.ports import Clock, Landed
from gateway.reading import failure, is_proven
from gateway.rfc9111.reuse import ERRORS, Reuse, decide, usable_on_error
from gateway.rfc9111.selecting import matches, select
from gateway.rfc9111.stored import StoredResponse, Times
from gateway.rfc9111.storing import NotStored, Storability, Storable, Unstorable, head_fields, storability
from gateway.stores.in_flight import Fetching

_CLOCKS = 1.0


class Keeping:
    """Stores what it may in `cache`."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._parts = Parts(cache, clock)

    def verdict(self, errand: Errand, status: int, fields: Fields) -> Storability:
        """Whether an answer of `status` with `fields` may be stored."""
        return storability(
            "GET",
            status,
            fields,
            errand.cache.policy,
            authorized=errand.is_authorized,
            public=errand.prepared.route.public,
            now=self._clock.wall(),
            unstored=errand.unstored,
        )

    async def find(self, errand: Errand) -> StoredResponse | None:
        """What another node has stored since this errand was decided on, where it makes it needless."""
        prepared, refresh = errand.prepared, errand.prepared.route.refresh
        before = self._cache.look(prepared.key)
        decision = decide(
            await self._cache.renew(prepared.key),
            errand.selecting,
            errand.cache.policy,
            self._clock.steady(),
            forced=errand.forced,
            cooldown=refresh.cooldown if refresh is not None else 0.0,
            demands=prepared.demands,
        )
        if not isinstance(decision, Reuse):
            return None
        known = [other for other in before if not other.outdated]
        return None if any(_are_one(decision.stored, other) for other in known) else decision.stored

    async def take_in(self, errand: Errand, fetching: Fetching, landed: Landed) -> Outcome | None:
        """What another node's fetch means for the callers here, held in memory if it was kept; None: nothing for them.

        `fetching` has been in flight here since before that fetch was waited for.
        """
        found = None
        if landed.value and not is_passed_on(landed):
            found = select(await self._cache.renew(errand.prepared.key), errand.selecting)
        outcome = await arrived(landed, found, fetching.began, self._clock.steady())
        if isinstance(outcome, Fetched):
            if errand.forced and (landed.outdated or outcome.reason is Unkept.outdated):
                # By what its callers here may know of; that the fetch itself outdates its group is not meant.
                return None
            outcome.stored = await in_arrived_form(errand.prepared, outcome.stored)
            fetching.join(outcome.stored.groups)
            if landed.outdated or fetching.outdated:
                outcome.kept, outcome.reason = False, Unkept.outdated
            elif outcome.kept:
                self._cache.take_in(fetching, outcome.stored)
        return outcome

    async def conclude(
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
        verdict = self.verdict(errand, stored.status, head_fields(stored.head))
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

    def outdate_streamed(self, errand: Errand, fetching: Fetching) -> None:
        """A force refresh has delivered what is too large to be kept."""
        self._outdate(errand, fetching, (*fetching.groups, *self._told_before(errand)))

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


def _unkept(errand: Errand, verdict: NotStored, answer: StoredResponse) -> Outcome:
    if errand.is_personal(verdict):
        return Private(answer, verdict.reason)
    return Fetched(answer, kept=False, reason=verdict.reason)


def _left_out(fetching: Fetching) -> Unkept:
    if fetching.outdated:
        return Unkept.outdated
    return Unkept.deposed if fetching.deposed else Unkept.no_room


def _are_one(stored: StoredResponse, other: StoredResponse) -> bool:
    """Whether both are the same answer of the upstream, kept by two nodes, whose clocks differ a little."""
    apart = (stored.received - stored.initial_age) - (other.received - other.initial_age)
    return abs(apart) < _CLOCKS and (stored.head, stored.body) == (other.head, other.body)
