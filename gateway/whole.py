"""What all workers of one gateway know together, told by the first of them; of one process alone, what that knows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Protocol, assert_never, cast

from gateway import __version__
from gateway.crew import Crew, Question
from gateway.health import Health
from gateway.history import EVERY, History
from gateway.logs.logs import Level, Logs
from gateway.messages import Answer
from gateway.metrics import Metrics
from gateway.report import Counted, Estate, Report, best, combined, report
from gateway.upstreams.circuit import UpstreamState
from gateway.watch import MOST_REFUSALS, Refused, Watch

Document = Mapping[str, object]


class Upstream(Protocol):
    """What can say how it is."""

    def state(self) -> UpstreamState:
        """How it is now."""


class Whole:
    """Asks the others of `crew`, None where there are none; what one that does not answer told last still counts.

    `stored` counts what this worker stores; `upstreams` are its own by name.
    """

    def __init__(
        self,
        metrics: Metrics,
        watch: Watch,
        health: Health,
        logs: Logs,
        stored: Callable[[], Awaitable[Document]],
        upstreams: Callable[[], Mapping[str, Upstream]],
        crew: Crew | None,
    ) -> None:
        self._metrics = metrics
        self._watch = watch
        self._health = health
        self._logs = logs
        self._stored = stored
        self._upstreams = upstreams
        self._crew = crew
        self._estate = Estate(b"" if crew is None else crew.estate)
        self._heard = dict[int, Report]()
        self._turn = asyncio.Lock()

    async def metrics(self) -> Metrics:
        """What all have counted, those that have ended included, and how those stand that answer."""
        if self._crew is None:
            return self._metrics
        async with self._turn:
            return await self._combined(self._crew)

    async def scrape(self, accept: str | None) -> tuple[str, bytes]:
        """As `Metrics.scrape`, of all."""
        return await (await self.metrics()).scrape(accept)

    async def refusals(self) -> list[Refused]:
        """The last requests that were refused, oldest first."""
        found = list(self._watch.refusals)
        for told in (await self._ask(Question.refusals)).values():
            found += cast("list[Refused]", told)
        return sorted(found, key=lambda refused: refused.at)[-MOST_REFUSALS:]

    async def stored(self) -> list[Document]:
        """What each stores, this worker first."""
        others = await self._ask(Question.stored)
        return [await self._stored(), *[cast("Document", told) for told in others.values()]]

    @property
    def level(self) -> Level:
        """What is logged at least."""
        return self._logs.level

    async def set_level(self, level: Level) -> None:
        """Have all log from that level on."""
        self._logs.level = level
        await self._ask(Question.level, level)

    def upstream(self, name: str) -> UpstreamState | None:
        """How it is where it is best, as was heard last; None for one that the config no longer names."""
        own = self._upstreams().get(name)
        others = [told.upstreams[name] for told in self._heard.values() if name in told.upstreams]
        return None if own is None else best([own.state(), *others])

    @property
    def ready(self) -> bool:
        """Whether any is, as was heard last: where one can serve, requests are answered."""
        return not self._health.failing() or any(not told.failing for told in self._heard.values())

    def failing(self) -> list[str]:
        """The checks of this worker that do not hold, and the others that are not ready."""
        return [*self._health.failing(), *[f"worker {number}" for number, ready in self._others() if not ready]]

    def answer(self, target: str) -> Answer | None:
        """As `Health.answer`, but ready where any worker is; `?verbose` tells of the others as well."""
        told = self._health.answer(target)
        if told is None or self._crew is None or not target.partition("?")[0].endswith("/readyz"):
            return told
        lines = told.body.splitlines(keepends=True)
        others = [f"worker {number}: {'ok' if ready else 'failing'}\n".encode() for number, ready in self._others()]
        # The verdict stands last, and alone where nothing else was asked for.
        body = b"".join([*lines[:-1], *(others if lines[:-1] else ()), b"ok\n" if self.ready else lines[-1]])
        return Answer(200, "OK", told.lines, body) if self.ready else Answer(told.status, told.reason, told.lines, body)

    async def tell(self, question: Question, argument: object) -> object:
        """What the first worker asks this one."""
        match question:
            case Question.report:
                return self._report()
            case Question.refusals:
                return list(self._watch.refusals)
            case Question.stored:
                return await self._stored()
            case Question.level:
                self._logs.level = cast("Level", argument)
                return None
            case _:
                assert_never(question)

    async def follow(self, history: History) -> None:
        """Make points of what all have counted, until cancelled."""
        while True:
            history.add(await self.metrics())
            await asyncio.sleep(EVERY)

    def _others(self) -> Iterator[tuple[int, bool]]:
        for number in range(1, 0 if self._crew is None else self._crew.size):
            yield number, number in self._heard and not self._heard[number].failing

    async def _ask(self, question: Question, argument: object = None) -> Mapping[int, object]:
        return {} if self._crew is None else await self._crew.ask(question, argument)

    async def _combined(self, crew: Crew) -> Metrics:
        told = cast("Mapping[int, Report]", await crew.ask(Question.report))
        own = self._report()
        for number, one in ((crew.number, own), *told.items()):
            self._estate.hear(number, one)
        self._heard = dict(told)
        # Before anybody is told of it: what was told never becomes less, whoever dies.
        crew.keep(await asyncio.to_thread(self._estate.kept))
        if any(one.level != own.level for one in told.values()):
            # One that has begun since the level was set.
            await crew.ask(Question.level, own.level)
        total = await _sum(self._estate.parts())
        return combined(self._metrics, __version__, total, [own, *told.values()], crew.size)

    def _report(self) -> Report:
        upstreams = {name: upstream.state() for name, upstream in self._upstreams().items()}
        return report(self._metrics, self._watch.prefix, self._logs.level, self._health.failing(), upstreams)


async def _sum(parts: Iterable[Counted]) -> Counted:
    total = Counted()
    for part in parts:
        for _ in total.add(part):
            # A family may have thousands of series.
            await asyncio.sleep(0)
    return total
