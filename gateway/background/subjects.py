"""Which subjects there are, and which of them can be refreshed: the upstream's list, believed for a while."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Literal

import structlog

from gateway.admission.background import ListPolicy
from gateway.admission.listing import read
from gateway.admission.paging import further
from gateway.admission.snapshot import Route
from gateway.background.calling import ON_LOOP, Calls
from gateway.errors import Problem, Reason
from gateway.fetch import Fetcher
from gateway.lookup import Live
from gateway.ports import Clock
from gateway.settlement import Settlement
from gateway.tasks import Tasks
from gateway.watch import Watch

# Of one list, and in bytes of one page of it.
_MOST_ITEMS = 1_000_000
_MOST_BYTES = 256 << 20
_MOST_OF_PAGE = 32 << 20

# Seconds until the upstream is asked again where there is a list, which a subject is missing from or which is old; and
# where there is none.
_AGAIN, _AGAIN_FOR_ANY = 10.0, 1.0

# Seconds that the last list is believed while the upstream fails.
_OLDEST = 86_400.0

# What an upstream that refuses is left alone for at most, if it says for how long.
_LEFT_ALONE = 300.0

Kind = Literal["number", "text"]


@dataclass(slots=True, frozen=True)
class _Asked:
    """What a list depends on; `upstream` is whose."""

    name: str
    upstream: str
    kind: Kind
    policy: ListPolicy


@dataclass(slots=True)
class _List:
    """The last list, read at `read_at` and last asked for at `tried_at` (steady seconds, -inf for never).

    `problem` is why that failed, None where it did not. `reading`: it is being asked for, until that is set.
    """

    asked: _Asked
    every: Mapping[str, bool] = field(default_factory=dict)
    read_at: float = -inf
    tried_at: float = -inf
    problem: Problem | None = None
    reading: asyncio.Event | None = None

    def is_due(self, now: float) -> bool:
        """Whether the upstream may be asked again."""
        wish = 0.0 if self.problem is None else self.problem.retry_after or 0.0
        pause = _AGAIN if self.is_believed(now) else _AGAIN_FOR_ANY
        return now >= self.tried_at + max(pause, min(wish, _LEFT_ALONE))

    def is_believed(self, now: float) -> bool:
        return now < self.read_at + _OLDEST


class Subjects:
    """One list for each background refresh that says where it is found; whoever needs a new one waits for it."""

    def __init__(
        self, live: Callable[[], Live], fetcher: Fetcher, settlement: Settlement, watch: Watch, clock: Clock
    ) -> None:
        self._live = live
        self._calls = Calls(fetcher, settlement, watch)
        self._clock = clock
        self._lists: dict[str, _List] = {}
        self._tasks = Tasks()
        self._log = structlog.get_logger("gateway.background")

    async def every(self, route: Route) -> Mapping[str, bool]:
        """Whether each subject can be refreshed, by its id; empty where the config names no list.

        Raises the Problem of an upstream that fails, and has given no list for a day.
        """
        live = self._live()
        known = self._known(route, live)
        if known is None:
            return {}
        keep, age = known.asked.policy.keep, self._clock.steady() - known.read_at
        if age >= keep:
            reading = self._ask(route, live, known)
            # For as long again nobody waits for the next one.
            if reading is not None and age >= 2 * keep:
                await reading.wait()
        return self._believed(known)

    async def refreshable(self, route: Route, subject: str) -> None:
        """Return if the subject can be refreshed, which any can where the config names no list.

        Raises Problem: unknown_subject, not_refreshable, and as `every` does.
        """
        live = self._live()
        known = self._known(route, live)
        if known is None:
            return
        every = await self.every(route)
        if subject not in every:
            # It may be new.
            if (reading := self._ask(route, live, known)) is not None:
                await reading.wait()
            every = self._believed(known)
        if subject not in every:
            raise Problem(Reason.unknown_subject)
        if not every[subject]:
            raise Problem(Reason.not_refreshable)

    async def finish(self) -> None:
        """Wait for the lists that are being read."""
        await self._tasks.finish()

    def _known(self, route: Route, live: Live) -> _List | None:
        """The list by the config in operation, which begins anew where that has changed."""
        asked = _asked(route, live)
        if asked is None:
            return None
        known = self._lists.get(asked.name)
        if known is None or known.asked != asked:
            known = self._lists[asked.name] = _List(asked)
        return known

    def _believed(self, known: _List) -> Mapping[str, bool]:
        if known.is_believed(self._clock.steady()):
            return known.every
        problem = known.problem or Problem(Reason.upstream_unavailable)
        wish, status = problem.retry_after, problem.upstream_status
        raise Problem(problem.reason, problem.detail, retry_after=wish, upstream_status=status) from problem

    def _ask(self, route: Route, live: Live, known: _List) -> asyncio.Event | None:
        """What is set once the upstream has been asked; None where it was a moment ago, and is not asked again."""
        if known.reading is None and known.is_due(self._clock.steady()):
            known.reading = asyncio.Event()
            self._tasks.start(self._read(route, live, known, known.reading))
        return known.reading

    async def _read(self, route: Route, live: Live, known: _List, reading: asyncio.Event) -> None:
        before, known.problem = known.problem, Problem(Reason.internal_error)
        try:
            known.every = await self._listed(route, live, known.asked)
            known.read_at, known.problem = self._clock.steady(), None
        except Problem as problem:
            known.problem = problem
        except ValueError as untold:
            known.problem = Problem(Reason.upstream_invalid, f"The upstream's list cannot be read: {untold}.")
        finally:
            known.tried_at, known.reading = self._clock.steady(), None
            reading.set()
            self._tell(known, before)

    async def _listed(self, route: Route, live: Live, asked: _Asked) -> dict[str, bool]:
        """All pages. Raises Problem, and ValueError for a list that cannot be read whole."""
        policy = asked.policy
        content = await self._page(route, live, policy.target)
        every, size = await _told(asked, content), len(content)
        _refuse_beyond(every, size)
        for target in further(policy.pages, policy.target, content) if policy.pages is not None else ():
            content = await self._page(route, live, target)
            every |= await _told(asked, content)
            size += len(content)
            _refuse_beyond(every, size)
        return every

    async def _page(self, route: Route, live: Live, target: str) -> bytes:
        # A client waits for it.
        return await self._calls.get(route, live, target, most=_MOST_OF_PAGE, background=False)

    def _tell(self, known: _List, before: Problem | None) -> None:
        """One line for each change."""
        name, problem = known.asked.name, known.problem
        if problem is not None and (before is None or before.reason is not problem.reason):
            reason, detail = problem.reason.name, problem.detail
            self._log.warning("list of subjects not read", background=name, reason=reason, detail=detail)
        elif problem is None and before is not None:
            self._log.info("list of subjects read again", background=name, subjects=len(known.every))


def _asked(route: Route, live: Live) -> _Asked | None:
    """None where the config names no list. Raises Problem where it no longer has the upstream of a former config."""
    background, upstream = route.background, live.snapshot.upstreams.get(route.upstream)
    if background is None or background.subjects is None:
        return None
    if upstream is None:
        raise Problem(Reason.upstream_unavailable)
    return _Asked(background.name, upstream.identity, background.subject.kind, background.subjects)


def _refuse_beyond(every: Mapping[str, bool], size: int) -> None:
    """Raises ValueError for a list that is too long."""
    if size > _MOST_BYTES or len(every) > _MOST_ITEMS:
        raise ValueError(f"it has more than {_MOST_ITEMS} items, or is larger than {_MOST_BYTES} bytes")


async def _told(asked: _Asked, content: bytes) -> dict[str, bool]:
    if len(content) > ON_LOOP:
        return await asyncio.to_thread(read, asked.policy, asked.kind, content)
    return read(asked.policy, asked.kind, content)
