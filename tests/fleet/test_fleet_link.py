"""One call at a time, each exactly once, whatever becomes of the connection; what nobody heard of is reversed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from admission.snapshots import ROUTE
from support.clock import FakeClock
from support.fleet import PATIENCE, Node, sound
from support.metering import FULL, LOOKUP, OPTIONS, account

from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Every, Plan
from gateway.errors import Overtaken, Problem, Reason
from gateway.fleet import names
from gateway.fleet.connection import Unreachable
from gateway.ledger.balance import Balance
from gateway.till.asked import Owed
from gateway.till.holder import Holder
from gateway.till.paying import Paid, Verdict

WHO = account(Plan("p", 1000, Every.month))
OpenNode = Callable[..., Awaitable[Node]]
Call = Callable[[], Awaitable[Any]]


@pytest.fixture
async def node(redis_url: str) -> AsyncIterator[OpenNode]:
    """Open nodes of one fleet, which know the account `WHO`; the ledger is sound in the end."""
    nodes = list[Node]()

    async def begin(timeout: float = 10.0) -> Node:
        nodes.append(await Node.open(redis_url, FakeClock(), WHO, timeout=timeout))
        await nodes[-1].meter.standing(WHO)
        return nodes[-1]

    yield begin
    await sound(nodes[0].connection)
    for one in nodes:
        await one.close()


def lost(node: Node, *, executed: bool, times: int = 1) -> list[Call]:
    """The replies to the next calls, or the calls themselves, do not arrive; the calls."""
    calls = list[Call]()

    async def around(call: Call) -> Any:
        if len(calls) == times:
            return await call()
        calls.append(call)
        if executed:
            await call()
        raise Unreachable("no answer in time")

    node.door.around = around
    return calls


async def fails(asked: Awaitable[object]) -> None:
    with pytest.raises(Problem) as caught:
        await asked
    assert (caught.value.reason, caught.value.retry_after) == (Reason.ledger_unavailable, 1)


async def test_one_turn_is_one_call(node: OpenNode) -> None:
    one = await node()
    before = one.door.calls
    charges = await asyncio.gather(*(one.charge(WHO, LOOKUP) for _ in range(32)))
    assert [charge.remaining for charge in charges] == list(range(999, 967, -1))
    assert one.door.calls == before + 1


async def test_what_comes_while_a_call_is_under_way_goes_with_the_next(node: OpenNode) -> None:
    one = await node()
    before, rest = one.door.calls, list[asyncio.Task[Any]]()

    async def around(call: Call) -> Any:
        if not rest:
            rest.extend(asyncio.create_task(one.charge(WHO, LOOKUP)) for _ in range(5))
            await asyncio.sleep(0)
        return await call()

    one.door.around = around
    await one.charge(WHO, LOOKUP)
    await asyncio.gather(*rest)
    assert one.door.calls == before + 2


async def test_who_is_alone_goes_with_the_turn_that_asks(node: OpenNode) -> None:
    one = await node()
    await one.link.verify()
    before, paid = one.door.started, asyncio.Queue[Verdict]()
    tab = one.meter.seat(WHO).tab(ROUTE, 1, "hit", one.clock.wall())
    one.meter.pay(tab, 1, paid.put_nowait)
    assert one.door.started == before
    one.meter.flush()
    assert one.door.started == before + 1
    assert await paid.get() == Paid(999, [(None, None)])


async def test_where_many_ask_a_call_waits_until_a_turn_brings_no_more(node: OpenNode) -> None:
    one = await node()
    tab, paid = one.meter.seat(WHO).tab(ROUTE, 1, "hit", one.clock.wall()), asyncio.Queue[Verdict]()
    await asyncio.gather(one.link.verify(), one.link.verify())
    before = one.door.started
    for times in (1, 2, 3):
        one.meter.pay(tab, times, paid.put_nowait)
        one.meter.flush()
        await asyncio.sleep(0)
        assert one.door.started == before
    verdicts = [await paid.get() for _ in range(3)]
    assert one.door.started == before + 1
    assert [verdict.remaining for verdict in verdicts if isinstance(verdict, Paid)] == [999, 997, 994]


async def test_nobody_waits_for_more_without_end(node: OpenNode, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await node()
    await asyncio.gather(one.link.verify(), one.link.verify())
    before, loop, waiting = one.door.started, asyncio.get_running_loop(), list[asyncio.Future[None]]()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    for _ in range(50):
        waiting.append(one.link.verify())
        await asyncio.sleep(0)
    assert one.door.started == before
    now += 1
    waiting.append(one.link.verify())
    await asyncio.sleep(0)
    assert one.door.started == before + 1
    await asyncio.gather(*waiting)


async def test_a_call_takes_so_many_items_and_no_more(node: OpenNode) -> None:
    one = await node()
    before = one.door.calls
    await asyncio.gather(*(one.charge(WHO, LOOKUP) for _ in range(129)))
    assert one.door.calls == before + 2
    assert (await one.balance()).charged == 129


@pytest.mark.parametrize("executed", [True, False], ids=["the reply is lost", "the call is lost"])
async def test_what_is_asked_again_is_done_once(node: OpenNode, executed: bool) -> None:
    one = await node()
    lost(one, executed=executed)
    charges = await asyncio.gather(*(one.charge(WHO, LOOKUP) for _ in range(3)))
    assert [charge.remaining for charge in charges] == [999, 998, 997]


async def test_a_call_that_comes_after_it_was_given_up_does_nothing(node: OpenNode) -> None:
    one = await node()
    late = lost(one, executed=False)
    assert (await one.charge(WHO, LOOKUP)).remaining == 999
    with pytest.raises(Exception, match="PAST"):
        await late[0]()
    assert (await one.balance()).charged == 1


async def charged(one: Node) -> Callable[[], Awaitable[object]]:
    return lambda: one.charge(WHO, LOOKUP)


async def sold(one: Node) -> Callable[[], Awaitable[object]]:
    return lambda: one.charge(WHO, OPTIONS)


async def accepted(one: Node) -> Callable[[], Awaitable[object]]:
    return lambda: one.charge(WHO, LOOKUP, Outcome.accepted)


async def reserved(one: Node) -> Callable[[], Awaitable[object]]:
    return lambda: one.reserve(WHO, FULL)


async def settled(one: Node) -> Callable[[], Awaitable[object]]:
    reservation = await one.reserve(WHO, FULL)
    return lambda: one.meter.settle(reservation, Outcome.refreshed)


async def corrected(one: Node) -> Callable[[], Awaitable[object]]:
    return lambda: one.meter.correct(WHO, 50, "goodwill")


async def spent(one: Node) -> Callable[[], Awaitable[object]]:
    return lambda: one.meter.spend({(WHO, "product", "api", 3): 2})


@pytest.mark.parametrize("prepared", [charged, sold, accepted, reserved, settled, corrected, spent])
@pytest.mark.parametrize("gone", ["refused", "cancelled", "cancelled as it is answered"])
async def test_what_was_done_for_nobody_is_reversed(
    node: OpenNode, prepared: Callable[[Node], Awaitable[Callable[[], Awaitable[object]]]], gone: str
) -> None:
    one = await node(timeout=0)
    act = await prepared(one)
    match gone:
        case "refused":
            lost(one, executed=True)
            await fails(act())
        case "cancelled":
            await cancelled_while_under_way(one, act)
        case _:
            await cancelled_as_it_is_answered(one, act)
    await settled_down(one)
    balance = await one.balance()
    assert balance == Balance(1000, 0, 0, 0, 1000, balance.term)


async def cancelled_while_under_way(one: Node, act: Callable[[], Awaitable[object]]) -> None:
    async def around(call: Call) -> Any:
        task.cancel()
        await asyncio.wait([task])
        return await call()

    one.door.around = around
    task = asyncio.ensure_future(act())
    await asyncio.wait([task])
    assert task.cancelled()


async def cancelled_as_it_is_answered(one: Node, act: Callable[[], Awaitable[object]]) -> None:
    """The reply is there, and the caller has not seen it yet."""
    await asyncio.gather(one.link.verify(), one.link.verify())  # what comes now goes together
    one.link.verify().add_done_callback(lambda _: task.cancel())
    task = asyncio.ensure_future(act())
    await asyncio.wait([task])
    assert task.cancelled()


async def settled_down(one: Node) -> None:
    """Everything submitted has been answered, and so has what that brought about."""
    one.door.around = None
    answered = 0
    while answered < 2:
        try:
            await one.link.verify()
            answered += 1
        except Problem:
            await asyncio.sleep(0)


@pytest.mark.parametrize("end", ["settle", "release", "refund"])
@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not"])
async def test_an_end_that_nobody_heard_of_can_be_given_again(node: OpenNode, end: str, executed: bool) -> None:
    one = await node(timeout=0)
    reservation = await one.reserve(WHO, FULL)
    if end == "refund":
        await one.meter.settle(reservation, Outcome.refreshed)

    def act() -> Awaitable[object]:
        match end:
            case "settle":
                return one.meter.settle(reservation, Outcome.refreshed)
            case "release":
                return one.meter.release(reservation, "failed")
            case _:
                return one.meter.refund(reservation, Outcome.truncated)

    lost(one, executed=executed)
    await fails(act())
    await settled_down(one)
    # A caller whose settlement failed gives back what it has reserved.
    again = one.meter.release(reservation, "failed") if end == "settle" else act()
    assert (await again).remaining == 1000  # type: ignore[attr-defined]  # a charge, as all of them
    balance = await one.balance()
    assert balance == Balance(1000, 0, 0, 0, 1000, balance.term)


async def test_an_end_that_is_given_again_before_the_first_is_heard_of_is_given_once(node: OpenNode) -> None:
    one = await node(timeout=0.01)
    reservation = await one.reserve(WHO, FULL)
    await one.meter.settle(reservation, Outcome.refreshed)

    async def around(call: Call) -> Any:
        await call()
        one.door.around = None
        one.link._changed(False)
        raise Unreachable("no answer in time")

    one.door.around = around
    await fails(one.meter.refund(reservation, Outcome.truncated))
    one.link._timeout = PATIENCE
    again = asyncio.ensure_future(one.meter.refund(reservation, Outcome.truncated))
    await asyncio.sleep(0)
    assert one.link._gathered.items
    # What became of the first is told now, and the second goes right after.
    one.link._changed(True)
    assert (await again).remaining == 1000
    assert (await one.balance()).charged == 0


async def test_nothing_is_done_under_another_epoch(node: OpenNode) -> None:
    one = await node(timeout=0)
    await one.connection.ask("SET", names.EPOCH, "another")
    await fails(one.charge(WHO, LOOKUP))
    assert (await one.balance()).charged == 0
    await one.connection.ask("SET", names.EPOCH, one.connection.server)
    await settled_down(one)
    assert (await one.charge(WHO, LOOKUP)).remaining == 999


async def test_who_asks_while_redis_is_away_is_refused_in_time(node: OpenNode) -> None:
    one = await node(timeout=0)
    lost(one, executed=False, times=3)
    await asyncio.gather(*(fails(one.charge(WHO, LOOKUP)) for _ in range(2)))


async def test_what_json_cannot_hold_is_in_nobodys_way(node: OpenNode) -> None:
    one = await node()
    huge = Quote(2**70, lines=(("base", 1), ("huge", 2**70 - 1)))
    free = account(Plan("free"), "free")
    one.configure(WHO, free)
    refused, charge = await asyncio.gather(one.charge(free, huge), one.charge(WHO, LOOKUP), return_exceptions=True)
    assert isinstance(refused, Problem)
    assert not isinstance(charge, BaseException)
    assert charge.remaining == 999


async def test_what_the_script_cannot_do_is_in_nobodys_way_for_good(node: OpenNode) -> None:
    one = await node()
    one.link.submit(Owed(one.link, Holder("ci"), lambda: (b'["nonsense"]',)))
    entry = one.link.append(b"a mark")
    await fails(one.charge(WHO, LOOKUP))
    assert isinstance(entry.exception(), Problem)
    # The entry was added before that item, and is added once more: who hears it twice is none the worse.
    with pytest.raises(Overtaken):
        await one.charge(WHO, LOOKUP)
    assert (await one.charge(WHO, LOOKUP)).remaining == 999
    assert one.news.known == 2


@pytest.mark.parametrize("before", [True, False], ids=["before the answer", "with it"])
async def test_a_link_that_closes_reverses_what_was_done_for_nobody(node: OpenNode, before: bool) -> None:
    one, two, closing = await node(), await node(), asyncio.Queue[asyncio.Task[None]]()

    async def around(call: Call) -> Any:
        one.door.around = None
        charge.cancel()
        if before:
            closing.put_nowait(asyncio.create_task(one.link.close()))
            await asyncio.sleep(0)
        reply = await call()
        if not before:
            closing.put_nowait(asyncio.create_task(one.link.close()))
        return reply

    one.door.around = around
    charge = asyncio.ensure_future(one.charge(WHO, LOOKUP))
    await asyncio.wait([charge])
    assert charge.cancelled()
    await (await closing.get())
    assert (await two.balance()).charged == 0


async def test_a_link_that_closes_reverses_what_its_caller_has_not_seen(node: OpenNode) -> None:
    one, two, closing = await node(), await node(), asyncio.Queue[asyncio.Task[None]]()

    async def around(call: Call) -> Any:
        one.door.around = None
        closing.put_nowait(asyncio.create_task(one.link.close()))
        return await call()

    async def act() -> None:
        one.door.around = around
        await one.charge(WHO, LOOKUP)

    await cancelled_as_it_is_answered(one, act)
    await (await closing.get())
    assert (await two.balance()).charged == 0


async def test_a_closed_link_takes_nothing(node: OpenNode) -> None:
    one = await node()
    await one.link.close()
    await fails(one.charge(WHO, LOOKUP))


# The fleet's log


async def test_a_reuse_is_overtaken_by_what_another_node_says(node: OpenNode) -> None:
    one, two = await node(), await node()
    assert await one.link.append(b"a mark", b"m" * 16) == 1
    for act in (lambda: two.charge(WHO, LOOKUP), lambda: two.charge(WHO, OPTIONS), two.meter.verify):
        two.news.known, two.news.applied = 0, []
        with pytest.raises(Overtaken):
            await act()
        assert (two.news.known, two.news.applied) == (1, [b"a mark"])
        await act()
    assert (await one.balance()).charged == 7
    assert await one.connection.ask("ZSCORE", names.MARKS, b"m" * 16) == b"1"


async def test_a_log_that_redis_has_lost_overtakes_once(node: OpenNode) -> None:
    """Emptied while no connection broke: nothing lacks of what is known, and it would be decided again for ever."""
    one = await node()
    await one.link.append(b'["mark",0]')
    await one.connection.ask("DEL", names.SEQUENCE, names.LOG)
    with pytest.raises(Overtaken):
        await one.charge(WHO, LOOKUP)
    assert one.news.applied == [b'["gap",0]']
    assert (await one.charge(WHO, LOOKUP)).remaining == 999


async def test_what_was_decided_before_news_came_is_overtaken_though_they_are_known_when_it_is_sent(
    node: OpenNode,
) -> None:
    one, two = await node(), await node()
    await one.link.append(b"a mark")
    two.news.known, late = 0, list[asyncio.Task[Any]]()

    async def around(call: Call) -> Any:
        if not late:
            late.append(asyncio.create_task(two.charge(WHO, LOOKUP)))
            await asyncio.sleep(0)
        return await call()

    two.door.around = around
    with pytest.raises(Overtaken):
        await two.meter.verify()
    with pytest.raises(Overtaken):
        await late[0]
    assert (await one.balance()).charged == 0


async def test_what_had_to_look_for_its_place_is_overtaken_by_news_meanwhile(node: OpenNode) -> None:
    one, two = await node(), await node()
    two.news.known = 0
    two.configure(WHO, account(WHO.plan, "new"))
    await one.link.append(b"a mark")
    charge = asyncio.create_task(two.charge(account(WHO.plan, "new"), LOOKUP))
    await asyncio.sleep(0)  # it has been decided, and looks
    two.news.apply([(1, b"a mark")])
    with pytest.raises(Overtaken):
        await charge


async def test_the_next_call_is_on_its_way_before_the_last_one_is_handed_out(node: OpenNode) -> None:
    one = await node()
    await one.link.verify()
    before, sent, rest = one.door.started, asyncio.Queue[int](), list[asyncio.Future[None]]()

    async def around(call: Call) -> Any:
        if not rest:
            rest.append(one.link.verify())
        return await call()

    one.door.around = around
    tab = one.meter.seat(WHO).tab(ROUTE, 1, "hit", one.clock.wall())
    one.meter.pay(tab, 1, lambda _: sent.put_nowait(one.door.started - before))
    one.meter.flush()
    assert await sent.get() == 2
    await rest[0]


async def test_what_reuses_nothing_goes_on(node: OpenNode) -> None:
    one, two = await node(), await node()
    await one.link.append(b"a purge", purge=b'["all"]')
    reservation = await two.reserve(WHO, FULL)
    assert two.news.applied == [b"a purge"]
    two.news.known = 0
    await two.meter.settle(reservation, Outcome.refreshed)
    two.news.known = 0
    await two.charge(WHO, LOOKUP, Outcome.accepted)
    assert await one.connection.ask("ZRANGE", names.PURGES, 0, -1) == [b'["all"]']


@pytest.mark.parametrize(("lacking", "applied"), [(1000, 1000), (1001, 1)])
async def test_after_any_call_a_node_lacks_nothing(node: OpenNode, lacking: int, applied: int) -> None:
    """Of what would take too long it gets the latest entry alone, which is a gap."""
    one, two = await node(), await node()
    await asyncio.gather(*(one.link.append(b"%d" % number) for number in range(1, lacking + 1)))
    await two.reserve(WHO, FULL)
    assert (two.news.known, two.news.applied[-1], len(two.news.applied)) == (lacking, b"%d" % lacking, applied)


async def test_an_entry_is_in_redis_before_what_is_asked_after_it(node: OpenNode) -> None:
    one, two = await node(), await node()
    entry, charge = one.link.append(b"mine"), one.charge(WHO, LOOKUP)
    assert (await charge).remaining == 999  # its own entry does not overtake it
    assert (entry.result(), one.news.known) == (1, 1)
    with pytest.raises(Overtaken):
        await two.meter.verify()


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not"])
async def test_an_entry_stays_on_the_way_until_redis_has_it(node: OpenNode, executed: bool) -> None:
    one = await node(timeout=0)
    lost(one, executed=executed)
    await fails(one.link.append(b"a mark"))
    await settled_down(one)
    assert await one.connection.ask("XLEN", names.LOG) == 1
    assert one.news.known == 1


async def test_hits_of_a_kind_are_one_item(node: OpenNode) -> None:
    one = await node()
    tab = one.meter.seat(WHO).tab(ROUTE, 300, "hit", one.clock.wall())
    verdicts = list[Any]()
    for times in (2, 3):
        one.meter.pay(tab, times, verdicts.append)
    await one.link.verify()
    assert verdicts == [(400, [(None, None)] * 2), (100, [(None, None)])]
    one.meter.pay(tab, 1, verdicts.append)
    await one.link.verify()
    assert verdicts[2:] == [(100, [])]
    assert one.meter.tally.charged == {("product", "lookup"): 900}
