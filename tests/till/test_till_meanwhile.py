"""Served while Redis is away: in the journal first, in Redis once after, whoever dies; never more than was known."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import ROUTE
from support.clock import FakeClock
from support.fleet import PATIENCE, Node, began, recorded, sound
from support.metering import FULL, LOOKUP, OPTIONS, account

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Problem
from gateway.fleet.connection import Connection, Part, Refused, Unreachable
from gateway.fleet.script import Script
from gateway.fleet.settings import Settings
from gateway.fleet.wire import Told
from gateway.ledger.balance import Balance
from gateway.ledger.records import Correction
from gateway.till.catching_up import CatchingUp
from gateway.till.deferred import FOLDER, begun, left
from gateway.till.deferring import Deferring
from gateway.till.meanwhile import Meanwhile
from gateway.till.paying import Paid, Verdict

LIMITED = Plan("p", 100, Every.never)
Around = Callable[[Awaitable[Any]], Awaitable[Any]]


class Switch:
    """A connection that a test takes away and gives back; `around` sees each script of a recovery."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.up = True
        self.around: Around | None = None
        self._reviving = False
        self._listeners = list[Callable[[bool], None]]()
        self._hooks = list[Callable[[], Awaitable[None]]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def listen(self, listener: Callable[[bool], None]) -> None:
        self._listeners.append(listener)

    def before_up(self, hook: Callable[[], Awaitable[None]]) -> None:
        self._hooks.append(hook)

    def start(self, script: Script, keys: Sequence[str], arguments: Sequence[Part], told: Told) -> None:
        began(self.run, script, keys, arguments, told)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Any:
        self._answer()
        running = self._connection.run(script, keys, arguments)
        return await (running if self.around is None or script.name != "deferred" else self.around(running))

    async def pipeline(self, *commands: Sequence[Part]) -> list[Any]:
        self._answer()
        return await self._connection.pipeline(*commands)

    def take_away(self) -> None:
        self.up = False
        self._tell()

    async def give_back(self) -> None:
        """Raises Unreachable where a hook does."""
        self._reviving = True
        try:
            for hook in self._hooks:
                await hook()
        finally:
            self._reviving = False
        self.up = True
        self._tell()

    def _answer(self) -> None:
        if not self.up and not self._reviving:
            raise Unreachable("taken away")

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self.up)


class Rig:
    """One node with a folder that outlives it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._url = url
        self.clock = FakeClock()

    async def start(self, *accounts: Account) -> None:
        """As a process does on what one before it has left."""
        connection = await Connection.open(Settings(self._url, timeout=PATIENCE), self.clock)
        self.redis = Switch(connection)
        await connection.ask("SET", "gateway:{fleet}:epoch", connection.server)
        self.node = Node(self.redis, self.clock, 0.05)  # type: ignore[arg-type]  # as much of it as is used
        self.node.configure(*accounts)
        self.catching_up = CatchingUp(self.redis, self.clock)  # type: ignore[arg-type]  # the same
        self.deferring = Deferring(self.folder, self.redis, self.catching_up)  # type: ignore[arg-type]  # the same
        await self.deferring.open()
        self.till = Meanwhile(self.node.meter, self.deferring, self.redis, self.clock)  # type: ignore[arg-type]

    async def die(self) -> None:
        """Nothing is written any more; the locks of a process go with it."""
        await self.deferring.close()
        await self.node.close()

    async def charge(self, who: Account, quote: Quote = LOOKUP, outcome: Outcome = Outcome.hit) -> Charge:
        return await self.till.charge(who, ROUTE, quote, outcome)

    async def refused(self, who: Account, quote: Quote = LOOKUP, outcome: Outcome = Outcome.hit) -> str:
        try:
            await self.charge(who, quote, outcome)
        except Problem as problem:
            return problem.reason.name
        return ""

    def journals(self) -> int:
        return len(list((self.folder / FOLDER).glob("*"))) if (self.folder / FOLDER).exists() else 0


@pytest.fixture
async def rig(tmp_path: Path, redis_url: str) -> AsyncIterator[Rig]:
    made = Rig(tmp_path, redis_url)
    yield made
    if not made.redis.up:
        await made.redis.give_back()
    await sound(made.redis._connection)
    await made.die()


async def test_served_meanwhile_is_charged_once_after(rig: Rig) -> None:
    who = account(LIMITED)
    await rig.start(who)
    assert (await rig.charge(who)).remaining == 99
    rig.redis.take_away()
    assert [(await rig.charge(who)).remaining for _ in range(5)] == [98, 97, 96, 95, 94]
    assert rig.till.tally.charged[ROUTE.name, "lookup"] == 6
    assert rig.journals() == 1
    await rig.redis.give_back()
    assert rig.journals() == 0
    assert (await rig.charge(who)).remaining == 93
    assert (await rig.node.balance()).charged == 7


async def test_the_fast_lane_is_served_too(rig: Rig) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    tab = rig.till.seat(who).tab(ROUTE, 1, "hit", rig.clock.wall())
    rig.redis.take_away()
    told = asyncio.Queue[Verdict]()
    rig.till.pay(tab, 3, told.put_nowait)
    rig.till.pay(tab, 200, told.put_nowait)
    assert told.empty()
    first, second = await told.get(), await told.get()
    assert isinstance(first, Paid)
    assert isinstance(second, Paid)
    assert (first.remaining, len(first.states), second.remaining, len(second.states)) == (96, 3, 0, 96)


async def test_never_more_than_was_known_to_be_left(rig: Rig) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    reasons = [await rig.refused(who) for _ in range(102)]
    assert reasons == [""] * 99 + ["quota_exhausted"] * 3
    assert (await rig.till.standing(who)).remaining == 0


async def test_the_throttle_holds_meanwhile(rig: Rig) -> None:
    who = account(Plan("p", 100, Every.never, ThrottlePolicy(Rate(60, 60.0), 3)))
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    assert [await rig.refused(who) for _ in range(4)] == ["", "", "", "throttled"]
    assert (await rig.till.standing(who)).throttle_remaining == 0
    rig.clock.advance(1)
    assert (await rig.charge(who)).throttle_remaining == 0


@pytest.mark.parametrize(
    ("quote", "outcome"),
    [
        pytest.param(OPTIONS, Outcome.hit, id="with a receipt"),
        pytest.param(FULL, Outcome.cooldown, id="forced"),
        pytest.param(LOOKUP, Outcome.stale, id="stale"),
        pytest.param(LOOKUP, Outcome.accepted, id="accepted"),
    ],
)
async def test_all_else_is_refused(rig: Rig, quote: Quote, outcome: Outcome) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    assert await rig.refused(who, quote, outcome) == "ledger_unavailable"


async def test_who_was_not_seen_is_refused(rig: Rig) -> None:
    seen, unseen = account(LIMITED), account(LIMITED, "another")
    await rig.start(seen, unseen)
    await rig.charge(seen)
    rig.redis.take_away()
    assert await rig.refused(unseen) == "ledger_unavailable"


async def test_what_the_balance_does_not_cover_is_written_off(rig: Rig) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    for _ in range(30):
        await rig.charge(who)
    other = await Node.open(rig._url, rig.clock, who)
    await other.charge(who, Quote(80, lines=(("base", 80),)))
    await other.close()
    await rig.redis.give_back()
    balance = await rig.node.balance()
    assert balance == Balance(111, 111, 0, 0, 0, balance.term)
    corrections = [record for record, _ in await recorded(rig.redis._connection) if isinstance(record, Correction)]
    assert [(record.holder, record.tokens) for record in corrections] == [("ci", 11)]
    assert rig.catching_up.written_off == 11


async def test_an_unlimited_plan_is_granted_as_it_is_charged(rig: Rig) -> None:
    who = account(Plan("free"))
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    assert (await rig.charge(who)).remaining is None
    await rig.redis.give_back()
    balance = await rig.node.balance()
    assert (balance.granted, balance.charged) == (2, 2)


async def test_what_a_dead_process_left_is_applied_by_the_next(rig: Rig) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    await asyncio.gather(*(rig.charge(who) for _ in range(5)))
    await rig.die()
    await rig.start(who)
    assert (await rig.node.balance()).charged == 6
    assert rig.journals() == 0


async def test_an_answer_that_is_lost_charges_nobody_twice(rig: Rig) -> None:
    """And a process that dies right after, with its journal still there, does not either."""
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    await rig.charge(who)
    await rig.charge(who)

    async def lost(running: Awaitable[Any]) -> Any:
        await running
        raise Unreachable("after it was executed")

    rig.redis.around = lost
    with pytest.raises(Unreachable):
        await rig.redis.give_back()
    assert (await rig.node.balance()).charged == 3
    rig.redis.around = None
    await rig.charge(who)
    await rig.die()
    await rig.start(who)
    assert (await rig.node.balance()).charged == 4


async def test_a_call_that_comes_too_late_is_refused(rig: Rig) -> None:
    """It was given up, and the same groups have been applied by another one since."""
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    await rig.charge(who)
    late = list[Awaitable[Any]]()

    async def held_back(running: Awaitable[Any]) -> Any:
        late.append(running)
        raise Unreachable("on its way")

    rig.redis.around = held_back
    with pytest.raises(Unreachable):
        await rig.redis.give_back()
    rig.redis.around = None
    await rig.redis.give_back()
    assert await late[0] == [1, 0]
    assert (await rig.node.balance()).charged == 2


async def test_what_came_while_the_last_was_applied_follows(rig: Rig) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    await rig.charge(who)

    async def meanwhile() -> None:
        await rig.charge(who)

    rig.redis.before_up(meanwhile)
    await rig.redis.give_back()
    assert rig.deferring._rest is not None
    await rig.deferring._rest
    assert (await rig.node.balance()).charged == 3


async def test_a_refusal_keeps_nobody_out(rig: Rig) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()
    await rig.charge(who)

    async def refused(running: Awaitable[Any]) -> Any:
        running.close()  # type: ignore[attr-defined]  # a coroutine
        raise Refused("of its own making")

    rig.redis.around = refused
    await rig.redis.give_back()
    assert (await rig.charge(who)).remaining == 98
    assert rig.journals() == 1
    rig.redis.around = None
    await rig.die()
    await rig.start(who)
    assert (await rig.node.balance()).charged == 3


async def test_a_disk_that_takes_nothing_serves_nobody(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)
    rig.redis.take_away()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.ledger.journal.os.write", full)
    assert await rig.refused(who) == "ledger_unavailable"
    monkeypatch.undo()
    assert (await rig.charge(who)).remaining == 98


async def test_the_call_that_found_out_is_served(rig: Rig) -> None:
    who = account(LIMITED)
    await rig.start(who)
    await rig.charge(who)

    async def gone(call: Callable[[], Awaitable[Any]]) -> Any:
        rig.redis.take_away()
        raise Unreachable("no answer in time")

    rig.node.door.around = gone
    assert (await rig.charge(who)).remaining == 98
    rig.node.door.around = None


def test_a_journal_is_one_process_s_own(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    assert left(tmp_path) == []
    journal.let_go()
    (found,) = left(tmp_path)
    assert found.id == journal.id
    found.remove()
    assert left(tmp_path) == []
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_what_was_half_made_or_half_removed_goes(tmp_path: Path) -> None:
    (tmp_path / FOLDER / ".half").mkdir(parents=True)
    assert left(tmp_path) == []
    assert list((tmp_path / FOLDER).iterdir()) == []
