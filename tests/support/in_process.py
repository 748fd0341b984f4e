"""The request's way in process: a real pipeline, ledger, meter and cache on a clock and an upstream of the test's."""

import asyncio
import gc
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from admission.snapshots import KEY, digest, make_request, make_snapshot
from multidict import CIMultiDict
from support.answers import CacheStatus, cache_status
from support.clock import FakeClock

from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account, Every, Plan, Rate, Route, Snapshot
from gateway.answered import Booked
from gateway.answering import Answering
from gateway.background.department import Background, within
from gateway.background.work import Parts
from gateway.cache import Cache
from gateway.collapse import Collapse
from gateway.costs import Costs
from gateway.fetch import Fetcher
from gateway.gauges import Gauges
from gateway.idempotency import Idempotency
from gateway.jobs.register import JobRegister
from gateway.journalled import Journalled
from gateway.ledger.accounts import Balance
from gateway.ledger.ledger import Ledger
from gateway.lookup import Live
from gateway.messages import Answer, Outgoing, Request, Stream
from gateway.meter import HOUSE, Meter
from gateway.metrics import Metrics
from gateway.once import Once
from gateway.pipeline import Pipeline
from gateway.ports import Guard, SecondTier
from gateway.reading import Buffers
from gateway.roster import Roster
from gateway.settlement import Settlement
from gateway.singles import Singles
from gateway.stores.memory import MemoryTier
from gateway.stores.shared import Shared
from gateway.watch import Watch

GRANT = 2000
ALPHA = Account("ci", "acme", Plan("pro", GRANT, Every.month), "ci", Rate(100, 60.0))

Step = bytes | asyncio.Event | BaseException


@dataclass(slots=True)
class Scripted:
    """One exchange: `before` happens before the head, `content` after; an event is waited for, an exception raised.

    `declared` says whether Content-Length tells the content's size, `delimited` whether anything tells its end.
    """

    content: tuple[Step, ...] = ()
    status: int = 200
    fields: Mapping[str, str] = field(default_factory=dict)
    before: tuple[asyncio.Event | BaseException, ...] = ()
    declared: bool = False
    delimited: bool = True


class InProcessUpstream:
    """`ports.Upstream` by script: what is queued first, then `always`. `open` counts the streams not given up yet."""

    def __init__(self) -> None:
        self.always = Scripted((b'{"call":1}',), fields={"Content-Type": "application/json"})
        self.sent: list[Outgoing] = []
        self.open = 0
        self._queued: deque[Scripted] = deque()
        self._changed = asyncio.Condition()

    def then(self, *content: Step, **rest: Any) -> None:
        """What the next exchange gets that no earlier `then` takes."""
        self._queued.append(Scripted(content, **rest))

    async def arrived(self, count: int = 1) -> None:
        """Return once `count` requests were sent in all."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.sent) >= count)

    async def send(self, outgoing: Outgoing) -> Stream:
        script = self._queued.popleft() if self._queued else self.always
        self.sent.append(outgoing)
        async with self._changed:
            self._changed.notify_all()
        for step in script.before:
            await _play(step)
        return self._stream(script)

    async def room(self) -> None:
        pass

    async def close(self) -> None:
        assert not self.open

    def _stream(self, script: Scripted) -> Stream:
        self.open += 1
        ended = False

        async def end() -> None:
            nonlocal ended
            self.open -= not ended
            ended = True

        async def chunks() -> AsyncIterator[bytes]:
            for step in script.content:
                if chunk := await _play(step):
                    yield chunk
            await end()

        length = sum(len(step) for step in script.content if isinstance(step, bytes)) if script.declared else None
        return Stream(
            script.status, "Scripted", CIMultiDict(script.fields), chunks(), end, length, delimited=script.delimited
        )


async def _play(step: Step) -> bytes:
    if isinstance(step, BaseException):
        raise step
    if isinstance(step, asyncio.Event):
        await step.wait()
        return b""
    return step


@dataclass(slots=True)
class Got:
    """An answer as its client has it; `broken` where the content did not come to its end."""

    status: int
    fields: CIMultiDict[str]
    body: bytes
    broken: bool = False

    @property
    def cache(self) -> CacheStatus:
        return cache_status(self.fields["Cache-Status"])

    @property
    def tokens(self) -> tuple[int, int]:
        """(consumed, remaining) as the fields say."""
        return int(self.fields["X-Tokens-Consumed"]), int(self.fields["X-Tokens-Remaining"])


def head_of(answer: Answer) -> CIMultiDict[str]:
    """The answer's fields, without those of its framing."""
    lines = answer.lines.decode().splitlines()
    return CIMultiDict([(name, value) for name, _, value in (line.partition(": ") for line in lines)])


async def received(answer: Answer) -> Got:
    """The whole answer, as the listener sends it."""
    got = Got(answer.status, head_of(answer), answer.body)
    if answer.chunks is None:
        return got
    assert answer.close is not None
    try:
        async for chunk in answer.chunks:
            got.body += chunk
    except Exception:  # noqa: BLE001 - the listener aborts, whatever it is
        got.broken = True
    finally:
        await answer.close()
    return got


@dataclass(slots=True)
class Joined:
    """What makes a way one node of a fleet: an upstream that it has in common with others, and its part of a Redis."""

    upstream: InProcessUpstream
    clock: FakeClock
    guard: Guard
    shared: Shared


class Way:
    """One pipeline and all that it stands on."""

    def __init__(
        self,
        folder: Path,
        snapshot: Snapshot,
        second: SecondTier | None,
        buffered: int,
        joined: Joined | None,
    ) -> None:
        self.clock = FakeClock() if joined is None else joined.clock
        self.upstream = InProcessUpstream() if joined is None else joined.upstream
        self.ledger = Ledger.open(folder, "process", self.clock)
        self.meter = Meter(self.ledger, self.clock)
        self.meter.configure(Roster.of(snapshot.keys.values(), snapshot.timezone))
        shared, guard = (None, None) if joined is None else (joined.shared, joined.guard)
        self.cache = Cache(MemoryTier(1 << 22), second, self.clock, shared=shared)
        self.buffers = Buffers(buffered)
        self.collapse = Collapse(self.clock.steady)
        self.settlement = Settlement(Journalled(self.meter, self.ledger))
        self.fetcher = Fetcher(self.cache, self.collapse, self.buffers, Costs(self.settlement), self.clock, guard)
        self.metrics = Metrics(no_gauges(), "0")
        self.idempotency = Idempotency(Booked(self.ledger), self.clock)
        self.watch = Watch(self.metrics, self.clock)
        self.live = Live(snapshot, Preparer(snapshot), {"api": self.upstream})
        self.jobs = JobRegister.open(folder, "process")
        answering = Answering(self.clock)
        once = Once(self.idempotency, self.settlement, answering, self.clock)
        self.singles = Singles(self.jobs, lambda: Preparer(self.pipeline.live.snapshot), self.clock)
        self.background = Background(self.jobs, self._parts(), once, answering)
        self.pipeline = Pipeline(
            live=self.live,
            cache=self.cache,
            fetcher=self.fetcher,
            settlement=self.settlement,
            once=once,
            background=self.background,
            singles=self.singles,
            answering=answering,
            watch=self.watch,
            clock=self.clock,
        )

    def _parts(self) -> Parts:
        return Parts(
            live=lambda: self.pipeline.live,
            preparer=lambda: Preparer(self.pipeline.live.snapshot),
            account_of=within(self._account),
            cache=self.cache,
            fetcher=self.fetcher,
            settlement=self.settlement,
            watch=self.watch,
            clock=self.clock,
        )

    def _account(self, id_: str) -> Account | None:
        accounts = self.pipeline.live.snapshot.keys.values()
        return next((account for account in accounts if account.id == id_), None)

    @property
    def balance(self) -> Balance:
        return self.ledger.accounts.balance(ALPHA.holder)

    @property
    def house(self) -> Balance:
        return self.ledger.accounts.balance(HOUSE.holder)

    @property
    def calls(self) -> int:
        """Exchanges with the upstream so far."""
        return len(self.upstream.sent)

    async def ask(self, target: str, method: str = "GET", fields: Mapping[str, str] | None = None) -> Got:
        """The whole answer to one request."""
        return await received(await self.pipeline.handle(make_request(target, method, fields)))

    def asking(self, target: str, method: str = "GET", fields: Mapping[str, str] | None = None) -> asyncio.Task[Got]:
        """`ask`, under way."""
        return asyncio.create_task(self.ask(target, method, fields))

    async def handle(self, request: Request) -> Answer:
        return await self.pipeline.handle(request)

    @contextmanager
    def journal_failing(self) -> Iterator[None]:
        """No append succeeds meanwhile."""
        journal = self.ledger._journal
        append = journal.append
        journal.append = _disk_full  # type: ignore[method-assign]
        try:
            yield
        finally:
            journal.append = append  # type: ignore[method-assign]

    async def settled(self) -> None:
        """Return once all that goes on without a caller has ended."""
        await self.pipeline.finish()


@asynccontextmanager
async def way(
    folder: Path,
    *routes: Route,
    second: SecondTier | None = None,
    buffered: int = 1 << 24,
    account: Account = ALPHA,
    joined: Joined | None = None,
    **policy: Any,
) -> AsyncIterator[Way]:
    """A way whose end proves that nothing is left over: no reservation, stream, buffer, drift or lost exception.

    `policy` changes the upstream's. Whoever asks is `account`, whose balance is `ALPHA`'s.
    """
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    keys = {digest(key.encode()): account for key in (KEY, KEY.replace("live", "test"))}
    base = make_snapshot(*routes, keys=keys)
    snapshot = replace(base, upstreams={"api": replace(base.upstreams["api"], **policy)})
    running = Way(folder, snapshot, second, buffered, joined)
    yield running
    await running.singles.finish()
    await running.settled()
    await running.cache.close()
    assert (running.upstream.open, running.buffers.held, running.fetcher.in_flight) == (0, 0, 0)
    assert (running.balance.reserved, running.house.reserved, await running.ledger.drift()) == (0, 0, 0)
    await running.jobs.close()
    await running.ledger.close()
    gc.collect()
    assert complaints == []


def _disk_full(payload: bytes) -> NoReturn:
    raise OSError(28, "No space left on device")


async def _nobody(percents: Sequence[int]) -> dict[int, int]:
    return dict.fromkeys(percents, 0)


async def _no_drift() -> int:
    return 0


def no_gauges() -> Gauges:
    """Gauges that read nothing."""
    return Gauges(
        stored_responses=lambda: 0,
        stored_bytes=lambda: 0,
        evictions=lambda: 0,
        disk=lambda: None,
        shared=lambda: None,
        fetches_in_flight=lambda: 0,
        tokens_charged=dict,
        tokens_released=dict,
        accounts_above=_nobody,
        ledger_drift=_no_drift,
        ledger_bytes=lambda: 0,
        store_up=lambda: True,
        config_reload_ok=lambda: True,
        config_reload_time=lambda: 0.0,
        certificate_expires=lambda: None,
        upstreams_up=dict,
        log_lines_dropped=lambda: 0,
    )
