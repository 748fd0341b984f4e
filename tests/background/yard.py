"""What the worker of background refreshes stands on, in process: a real register, ledger, meter and cache."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from admission.snapshots import make_request, make_route, make_snapshot
from support.clock import FakeClock
from support.in_process import ALPHA, InProcessUpstream, Scripted, no_gauges
from support.registers import register_in

from gateway.admission.background import BackgroundPolicy, PacePolicy, RetryPolicy, SubjectPolicy, TriggerPolicy
from gateway.admission.jobs import Job, Order, Sending, Stage
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account, CachePolicy, Price, Route, Snapshot, UpstreamPolicy
from gateway.admission.tagging import Tag
from gateway.background.work import Parts, Work, work
from gateway.background.worker import Worker
from gateway.cache import Cache
from gateway.collapse import Collapse
from gateway.costs import Costs
from gateway.fetch import Fetcher
from gateway.jobs.register import JobRegister
from gateway.journalled import Journalled
from gateway.ledger.accounts import Balance
from gateway.ledger.ledger import Ledger
from gateway.lookup import Live, Lookup
from gateway.messages import Outgoing, Stream
from gateway.meter import HOUSE, Meter
from gateway.metrics import Metrics
from gateway.operation import Operation
from gateway.reading import Buffers
from gateway.rfc9111.stored import Policy, StoredResponse
from gateway.roster import Roster
from gateway.settlement import Settlement
from gateway.stores.memory import MemoryTier
from gateway.stores.shared import Shared
from gateway.watch import Watch

JSON = {"Content-Type": "application/json"}
REFRESH = "/stores/refreshstore"
SENDING = Sending("POST", f"{REFRESH}?storeId=1", (("Content-Type", "application/json"),), b'{"storeId":1}')
ORDERS = make_route(
    "/orders",
    name="orders",
    cache=CachePolicy(Policy(ttl=900.0), tags=(Tag.parse("store:{query.storeId}"),)),
)


def background(**changes: Any) -> BackgroundPolicy:
    """Of stores, triggered by the client's own request, without a wait; `changes` replace members."""
    values: dict[str, Any] = {
        "name": "stores",
        "upstream": "api",
        "subject": SubjectPolicy("storeId"),
        "since": None,
        "subjects": None,
        "trigger": TriggerPolicy(),
        "tags": ("store:{subject}",),
        "pages": None,
        "per_subject": 0,
        "pace": PacePolicy(concurrency=2),
        "retry": RetryPolicy(attempts=3, first=1.0, longest=8.0, within=3600.0),
        "one": {},
        "all": {},
        "joined": {},
        "status": None,
    }
    return BackgroundPolicy(**values | changes)


def begins(policy: BackgroundPolicy) -> Route:
    """The route whose requests ask for it."""
    return make_route(
        name=policy.name,
        path=REFRESH,
        methods=frozenset({"POST"}),
        price=Price(1),
        background=policy,
    )


def order(*subjects: str, **changes: Any) -> Order:
    """Of these, or of store 1, by a client of everybody's scope."""
    values: dict[str, Any] = {
        "name": "stores",
        "account": ALPHA.id,
        "subjects": subjects or ("1",),
        "whole": len(subjects) > 1,
        "since": None,
        "scopes": ("", "o:acme", "k:ci"),
        "first": Stage.trigger,
        "sending": SENDING,
    }
    return Order(**values | changes)


class OrderApi(InProcessUpstream):
    """Answers by target: what is queued there first, then what it always gets.

    `room` waits for `has_room`, or raises what is `gone`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._at: dict[str, deque[Scripted]] = {}
        self._always: dict[str, Scripted] = {}
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.waiting = 0
        self.gone: BaseException | None = None
        self.turned_away = 0

    def at(self, target: str, document: object = None, **rest: Any) -> None:
        """What the next request for `target` gets that no earlier `at` takes."""
        self._at.setdefault(target, deque()).append(_script(document, rest))

    def always_at(self, target: str, document: object = None, **rest: Any) -> None:
        """What every other request for `target` gets."""
        self._always[target] = _script(document, rest)

    def sent_to(self, target: str) -> list[Outgoing]:
        return [outgoing for outgoing in self.sent if outgoing.target == target]

    async def room(self) -> None:
        if self.gone is not None:
            self.turned_away += 1
            raise self.gone
        self.waiting += 1
        try:
            await self.has_room.wait()
        finally:
            self.waiting -= 1

    async def send(self, outgoing: Outgoing) -> Stream:
        queued = self._at.get(outgoing.target)
        if queued:
            self._queued.appendleft(queued.popleft())
        elif outgoing.target in self._always:
            self._queued.appendleft(self._always[outgoing.target])
        return await super().send(outgoing)


Sharing = Callable[[FakeClock], Shared | None]


class Yard:
    """`live` and `preparer` are what `configure` made of the last routes."""

    def __init__(
        self, folder: Path, register: JobRegister, routes: tuple[Route, ...], policy: dict[str, Any], sharing: Sharing
    ) -> None:
        self.clock = FakeClock()
        self.upstream = OrderApi()
        self.register = register
        self.ledger = Ledger.open(folder, "process", self.clock)
        self.meter = Meter(self.ledger, self.clock)
        self.meter.configure(Roster.of((ALPHA,), "UTC"))
        self.cache = Cache(MemoryTier(1 << 22), None, self.clock, shared=sharing(self.clock))
        self.settlement = Settlement(Journalled(self.meter, self.ledger))
        self.buffers = Buffers(1 << 24)
        collapse = Collapse(self.clock.steady)
        self.fetcher = Fetcher(self.cache, collapse, self.buffers, Costs(self.settlement), self.clock)
        self.metrics = Metrics(no_gauges(), "0")
        self.watch = Watch(self.metrics, self.clock)
        self._policy = policy
        self.configure(*routes)
        self.parts = Parts(
            live=lambda: self.live,
            preparer=lambda: self.preparer,
            account_of=self.account_of,
            cache=self.cache,
            fetcher=self.fetcher,
            settlement=self.settlement,
            watch=self.watch,
            clock=self.clock,
        )
        self.worker = Worker(register, self.parts, lambda: 0.0)

    def configure(self, *routes: Route) -> None:
        """Go by these."""
        base = make_snapshot(*routes)
        upstream = replace(base.upstreams["api"], **self._policy)
        snapshot = replace(base, upstreams={"api": upstream})
        self.preparer = Preparer(snapshot)
        self.live = Live(snapshot, self.preparer, {"api": self.upstream})

    @property
    def snapshot(self) -> Snapshot:
        return self.live.snapshot

    @property
    def api(self) -> UpstreamPolicy:
        return self.snapshot.upstreams["api"]

    @property
    def work(self) -> Work:
        found = work(self.live, "stores")
        assert found is not None
        return found

    @property
    def house(self) -> Balance:
        return self.ledger.accounts.balance(HOUSE.holder)

    def account_of(self, scope: str) -> Account | None:
        return ALPHA if scope in ("k:ci", "o:acme") else None

    async def store(
        self, target: str, document: object = None, *, asking: Mapping[str, str] | None = None, **rest: Any
    ) -> StoredResponse:
        """What is stored once a client has got `document` from `target`, with these fields in its request."""
        self.upstream.at(target, document, **rest)
        prepared = self.preparer.prepare(make_request(target, fields=asking, key=None), ALPHA)
        op = Operation(prepared.request, "1", self.clock.steady(), prepared)
        assert prepared.route.cache is not None
        flight = self.fetcher.collapse.take_off(prepared.key)
        self.fetcher.start(flight, Lookup(op, prepared, prepared.route.cache, self.live).errand())
        await flight.lead()
        self.upstream.sent.clear()
        return self.stored(target)

    def stored(self, target: str) -> StoredResponse:
        (stored,) = self.cache.look(self.preparer.prepare(make_request(target, key=None), ALPHA).key)
        return stored

    async def accept(self, *subjects: str, **changes: Any) -> str:
        """The id of the job of an order."""
        accepted = await self.register.accept(order(*subjects, **changes), self.clock.wall())
        return accepted.job

    async def job(self, id_: str) -> Job:
        found = await self.register.find(id_)
        assert found is not None
        return found

    async def ended(self, id_: str) -> Job:
        """The job at its end; time passes until then."""
        await self.comes_true(lambda: self._is_final(id_))
        return await self.job(id_)

    async def comes_true(self, condition: Callable[[], Any], seconds: float = 0.25) -> None:
        """Let time pass, `seconds` at a time, until the condition holds."""
        async with asyncio.timeout(20):
            while not await condition():
                self.clock.advance(seconds)
                self.worker.wake("stores")
                await asyncio.sleep(0.002)

    async def _is_final(self, id_: str) -> bool:
        return (await self.job(id_)).state.final


def _script(document: object, rest: dict[str, Any]) -> Scripted:
    content = document if isinstance(document, bytes) else orjson.dumps(document)
    values: dict[str, Any] = {"fields": JSON, "declared": True}
    return Scripted((content,), **values | rest)


@asynccontextmanager
async def yard(folder: Path, *routes: Route, **policy: Any) -> AsyncIterator[Yard]:
    """A yard whose end proves that nothing is left over: no reservation, stream, buffer or drift.

    `policy` changes the upstream's.
    """
    async with register_in(folder) as register, yard_with(register, folder, *routes, **policy) as running:
        yield running


@asynccontextmanager
async def yard_with(
    register: JobRegister, folder: Path, *routes: Route, sharing: Sharing = lambda _: None, **policy: Any
) -> AsyncIterator[Yard]:
    """The same with a register that others may share, and what `sharing` makes for its clock as its shared tier."""
    running = Yard(folder, register, routes or (begins(background()), ORDERS), policy, sharing)
    yield running
    await running.worker.finish()
    await running.fetcher.finish()
    await running.settlement.finish()
    await running.cache.close()
    assert (running.upstream.open, running.buffers.held, running.fetcher.in_flight) == (0, 0, 0)
    assert (running.house.reserved, await running.ledger.drift()) == (0, 0)
    await running.ledger.close()
