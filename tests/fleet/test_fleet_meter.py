"""Several nodes, one ledger: exact balances, throttles and caps, whoever asks, dies, or has its clock set."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from admission.snapshots import ROUTE
from support.clock import FakeClock
from support.fleet import Node, recorded, sound
from support.metering import FULL, LOOKUP, OPTIONS, account

from gateway.admission.charge import Charge
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Overtaken, Problem, Reason
from gateway.fleet import names
from gateway.fleet.script import Script
from gateway.ledger.balance import Balance
from gateway.ledger.records import Forced, Kept, Release, Renamed
from gateway.reservation import State
from gateway.till.abandoned import Abandoned
from gateway.till.held import Held

Fleet = Callable[..., Awaitable[list[Node]]]


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    """Open so many nodes that know some accounts; the ledger is sound in the end."""
    nodes = list[Node]()

    async def begin(number: int, *accounts: Account) -> list[Node]:
        clock = FakeClock()
        nodes.extend([await Node.open(redis_url, clock, *accounts) for _ in range(number)])
        return nodes

    yield begin
    await sound(nodes[0].connection)
    for node in nodes:
        await node.close()


async def reason(asked: Awaitable[object]) -> str:
    """What it is refused with, "" where it is not."""
    try:
        await asked
    except Problem as problem:
        return problem.reason.name
    return ""


async def test_2000_concurrent_debits_of_1_on_1000(fleet: Fleet) -> None:
    who = account(Plan("p", 1000, Every.month))
    nodes = await fleet(3, who)

    async def debit(number: int) -> int | None:
        node = nodes[number % 3]
        try:
            if number % 2:
                return (await node.charge(who, LOOKUP)).remaining
            return (await node.meter.settle(await node.reserve(who, LOOKUP), Outcome.miss)).remaining
        except Problem:
            return None

    found = [left for left in await asyncio.gather(*map(debit, range(2000))) if left is not None]
    assert sorted(found) == list(range(1000))
    balance = await nodes[0].balance()
    assert balance == Balance(1000, 1000, 0, 0, 0, balance.term)


async def test_a_cap_is_one_for_all_nodes_and_keys(fleet: Fleet) -> None:
    keys = [account(Plan("p"), f"key-{number}", cap=Rate(100, 60.0)) for number in range(5)]
    nodes = await fleet(3, *keys)
    asked = [reason(node.charge(key, FULL)) for key in keys for node in nodes for _ in range(10)]
    assert (await asyncio.gather(*asked)).count("") == 100
    nodes[0].clock.advance(60)
    assert await reason(nodes[1].charge(keys[1], FULL)) == "force_refresh_capped"
    nodes[0].clock.advance(0.000_01)
    assert await reason(nodes[2].charge(keys[2], FULL)) == ""


async def test_a_throttle_is_one_for_all_nodes(fleet: Fleet) -> None:
    who = account(Plan("p", throttle=ThrottlePolicy(Rate(10, 10.0), 10)))
    nodes = await fleet(2, who)
    found = await asyncio.gather(*(reason(node.charge(who, LOOKUP)) for node in nodes for _ in range(10)))
    assert found.count("") == 10
    nodes[0].clock.advance(1)
    assert [await reason(node.charge(who, LOOKUP)) for node in nodes] == ["", "throttled"]


async def test_all_nodes_begin_a_period_with_one_grant(fleet: Fleet) -> None:
    who = account(Plan("p", 100, Every.month))
    nodes = await fleet(3, who)
    await asyncio.gather(*(node.charge(who, LOOKUP) for node in nodes))
    nodes[0].clock.advance(20 * 86_400)
    await asyncio.gather(*(node.charge(who, LOOKUP) for node in nodes for _ in range(3)))
    balance = await nodes[0].balance()
    assert balance == Balance(200, 12, 0, 97, 91, balance.term)


async def test_what_was_begun_without_a_plan_ends_as_the_plan_stands(fleet: Fleet) -> None:
    free, who = account(Plan("free")), account(Plan("p", 100, Every.month))
    one, two = await fleet(2, free)
    reservation = await two.reserve(free, FULL)
    for node in (one, two):
        node.configure(who)
    await one.charge(who, LOOKUP)
    one.clock.advance(20 * 86_400)
    # This node has not seen the first grant, and must not take its own for made.
    assert (await two.meter.release(reservation, "failed")).remaining == 100


async def test_nodes_of_two_configs_do_not_refill_a_throttle_for_each_other(fleet: Fleet) -> None:
    plan = Plan("p", throttle=ThrottlePolicy(Rate(1, 3600.0), 3))
    old, new = account(plan), account(replace(plan, throttle=ThrottlePolicy(Rate(1, 3600.0), 4)))
    one, two = await fleet(2, old)
    two.configure(new)
    found = [await reason(node.charge(who, LOOKUP)) for _ in range(10) for node, who in ((one, old), (two, new))]
    assert found.count("") == 3 + 4


async def test_a_new_holder_is_in_the_shard_of_whom_it_takes_over(fleet: Fleet) -> None:
    old = account(Plan("p", 20, Every.month), "old", organization="before")
    new = replace(account(Plan("p", 20, Every.month), "new", organization="after"), former="old")
    one, two = await fleet(2, old)
    await one.charge(old, LOOKUP)
    two.configure(new)
    assert (await two.charge(new, LOOKUP)).remaining == 18
    homes = await one.connection.ask("HMGET", names.HOMES, "old", "new")
    assert homes == [b"before", b"before"]


async def test_who_was_renamed_at_another_node_is_granted_nothing_twice(fleet: Fleet) -> None:
    former, plan = account(Plan("p", 1000, Every.month)), Plan("p", 1000, Every.month)
    present = replace(account(plan, "new"), former=former.id)
    one, two = await fleet(2, former)
    await one.charge(former, LOOKUP)
    await two.charge(former, LOOKUP)
    one.configure(present)
    assert (await one.charge(present, LOOKUP)).remaining == 997
    # The other one has not reloaded yet, nor has one that comes now.
    (_, _, three) = await fleet(1, former)
    for node in (two, three):
        assert await reason(node.charge(former, LOOKUP)) == "ledger_unavailable"
        node.configure(present)
        assert (await node.meter.balance(present)).balance == 997
    assert (await one.balance("new")).granted == 1000
    # Whoever is given that name on purpose begins anew.
    one.configure(present, former)
    assert (await one.charge(former, LOOKUP)).remaining == 999


BEFORE = account(Plan("p", 1000, Every.month))
AFTER = replace(account(Plan("p", 1000, Every.month), "new"), former=BEFORE.id)


def reload(who: Account, *nodes: Node) -> None:
    """A second later they go by a config that knows only this account."""
    nodes[0].clock.advance(1)
    for node in nodes:
        node.configure(who)


async def test_who_is_renamed_and_back_begins_anew_at_every_node(fleet: Fleet) -> None:
    one, two, three = nodes = await fleet(3, BEFORE)
    await one.charge(BEFORE, LOOKUP)
    reload(AFTER, *nodes)
    assert (await two.charge(AFTER, LOOKUP)).remaining == 998
    reload(BEFORE, *nodes)
    found = [(await node.charge(BEFORE, LOOKUP)).remaining for node in (three, two, one)]
    assert found == [999, 998, 997]
    reload(AFTER, *nodes)
    assert [(await node.meter.balance(AFTER)).balance for node in nodes] == [998 + 997] * 3
    reload(BEFORE, *nodes)
    assert [(await node.charge(BEFORE, LOOKUP)).remaining for node in nodes] == [999, 998, 997]


async def test_a_name_in_use_again_is_granted_once_while_a_node_still_takes_it_over(fleet: Fleet) -> None:
    one, two, late = nodes = await fleet(3, BEFORE)
    await one.charge(BEFORE, LOOKUP)
    reload(AFTER, *nodes)
    assert (await late.charge(AFTER, LOOKUP)).remaining == 998
    reload(BEFORE, one)
    for left in (999, 998, 997):
        assert (await one.charge(BEFORE, LOOKUP)).remaining == left
        assert (await late.meter.standing(AFTER)).remaining == 998
    reload(BEFORE, two)
    assert (await two.charge(BEFORE, LOOKUP)).remaining == 996
    reload(BEFORE, late)
    assert (await late.charge(BEFORE, LOOKUP)).remaining == 995
    assert [(await one.balance(name)).granted for name in ("ci", "new")] == [1000, 1000]


async def test_who_is_renamed_once_more_is_granted_nothing_by_a_node_that_was_not_told(fleet: Fleet) -> None:
    one, late = nodes = await fleet(2, BEFORE)
    await one.charge(BEFORE, LOOKUP)
    for who in (AFTER, BEFORE):
        reload(who, *nodes)
        await one.charge(who, LOOKUP)
    reload(AFTER, one)
    assert (await one.meter.balance(AFTER)).balance == 1997
    one.clock.advance(1)
    assert await reason(late.charge(BEFORE, LOOKUP)) == "ledger_unavailable"
    # Another change of its config says nothing of that.
    reload(BEFORE, late)
    assert await reason(late.charge(BEFORE, LOOKUP)) == "ledger_unavailable"
    reload(AFTER, late)
    assert (await late.charge(AFTER, LOOKUP)).remaining == 1996


async def test_who_was_renamed_while_it_was_asked_for_is_granted_nothing_twice(fleet: Fleet) -> None:
    one, late = await fleet(2, BEFORE)
    await late.charge(BEFORE, LOOKUP)

    async def around(call: Callable[[], Awaitable[Any]]) -> Any:
        late.door.around = None
        reload(AFTER, one, late)
        await one.charge(AFTER, LOOKUP)
        return await call()

    late.door.around = around
    assert await reason(late.charge(BEFORE, LOOKUP)) == "ledger_unavailable"
    assert (await late.charge(BEFORE, LOOKUP)).remaining == 997
    assert [(await one.balance(name)).granted for name in ("ci", "new")] == [0, 1000]


async def test_who_was_renamed_back_while_it_was_asked_for_begins_anew(fleet: Fleet) -> None:
    one, two = nodes = await fleet(2, BEFORE)
    await one.charge(BEFORE, LOOKUP)
    reload(AFTER, *nodes)
    await one.charge(BEFORE, LOOKUP)

    async def around(call: Callable[[], Awaitable[Any]]) -> Any:
        two.door.around = None
        reload(BEFORE, *nodes)
        await one.charge(BEFORE, LOOKUP)
        return await call()

    two.door.around = around
    await two.charge(AFTER, LOOKUP)
    assert [(await node.charge(BEFORE, LOOKUP)).remaining for node in nodes] == [998, 997]
    assert [(await one.balance(name)).granted for name in ("ci", "new")] == [1000, 1000]


async def test_who_was_renamed_by_an_older_config_begins_anew(fleet: Fleet) -> None:
    one, late = nodes = await fleet(2, BEFORE)
    await one.charge(BEFORE, LOOKUP)
    reload(AFTER, *nodes)
    reload(BEFORE, one)
    one.clock.advance(1)
    assert (await late.charge(AFTER, LOOKUP)).remaining == 998
    assert (await one.charge(BEFORE, LOOKUP)).remaining == 999


async def test_what_an_older_config_grants_is_taken_over(fleet: Fleet) -> None:
    one, late = nodes = await fleet(2, BEFORE)
    await one.charge(BEFORE, LOOKUP)
    reload(AFTER, *nodes)
    await one.charge(AFTER, LOOKUP)
    reload(BEFORE, *nodes)
    reload(AFTER, one)
    one.clock.advance(1)
    assert (await late.charge(BEFORE, LOOKUP)).remaining == 999
    assert (await one.meter.balance(AFTER)).balance == 998 + 999
    assert await reason(late.charge(BEFORE, LOOKUP)) == "ledger_unavailable"


async def test_what_follows_a_name_does_not_keep_it_from_beginning_anew(fleet: Fleet) -> None:
    one, late = nodes = await fleet(2, BEFORE)
    held = await one.reserve(BEFORE, FULL)
    reload(AFTER, *nodes)
    assert (await late.charge(AFTER, LOOKUP)).remaining == 990
    reload(BEFORE, one)
    one.clock.advance(1)
    await late.meter.release(Held(AFTER, FULL, held.reserve), "failed")
    one.clock.advance(1)
    assert (await late.meter.balance(AFTER)).balance == 999
    assert (await one.charge(BEFORE, LOOKUP)).remaining == 999


async def test_many_nodes_take_over_once(fleet: Fleet) -> None:
    old = account(Plan("p", 20, Every.month), "old")
    new = replace(account(Plan("p", 20, Every.month), "new"), former="old")
    nodes = await fleet(3, old)
    await nodes[0].charge(old, OPTIONS)
    for node in nodes:
        node.configure(new)
    charges = await asyncio.gather(*(node.charge(new, LOOKUP) for node in nodes))
    assert sorted(charge.remaining or 0 for charge in charges) == [11, 12, 13]
    assert sum(isinstance(record, Renamed) for record, _ in await recorded(nodes[0].connection)) == 1


# Clocks


AHEAD_AND_BACK = [pytest.param(seconds, id=f"{seconds:+g}s") for seconds in (-7200.0, -30.0, 30.0, 7200.0)]


@pytest.mark.parametrize("seconds", AHEAD_AND_BACK)
async def test_a_throttle_does_not_mind_redis_clock_being_set(fleet: Fleet, seconds: float) -> None:
    who = account(Plan("p", throttle=ThrottlePolicy(Rate(1, 10.0), 2)))
    (node,) = await fleet(1, who)
    assert [await reason(node.charge(who, LOOKUP)) for _ in range(3)] == ["", "", "throttled"]
    node.door.ahead = seconds
    assert await reason(node.charge(who, LOOKUP)) == "throttled"
    node.clock.advance(9.5)
    assert await reason(node.charge(who, LOOKUP)) == "throttled"
    node.clock.advance(0.5)
    assert [await reason(node.charge(who, LOOKUP)) for _ in range(2)] == ["", "throttled"]


@pytest.mark.parametrize("seconds", AHEAD_AND_BACK)
async def test_a_cap_does_not_mind_redis_clock_being_set(fleet: Fleet, seconds: float) -> None:
    who = account(Plan("p"), cap=Rate(2, 60.0))
    one, two = await fleet(2, who)
    for node in (one, two):
        assert await reason(node.charge(who, FULL)) == ""
    one.door.ahead = two.door.ahead = seconds
    one.clock.advance(59)
    for node in (one, two, one):
        assert await reason(node.charge(who, FULL)) == "force_refresh_capped"
    one.clock.advance(1.5)
    for node in (one, two):
        assert await reason(node.charge(who, FULL)) == ""
    assert await reason(one.charge(who, FULL)) == "force_refresh_capped"


async def test_a_force_refresh_is_recorded_by_the_fleets_clock(fleet: Fleet) -> None:
    who = account(Plan("p"), cap=Rate(2, 60.0))
    (node,) = await fleet(1, who)
    await node.charge(who, FULL)
    (forced,) = [record for record, _ in await recorded(node.connection) if isinstance(record, Forced)]
    now = node.clock.steady_now
    assert forced == Forced("acme", now, now + 60 + 7200, "fleet", now)
    scores = await node.connection.ask("ZRANGE", names.forced(names.shard("acme"), "acme"), 0, -1, "WITHSCORES")
    assert int(scores[1]) == now * 1_000_000


# Nodes that die


def abandoned(node: Node, *dead: Node) -> Abandoned:
    async def found() -> set[int]:
        return {one.connection.incarnation for one in dead}

    return Abandoned(node.link, node.connection, node.clock, found)


async def test_what_a_dead_node_had_reserved_is_released_once(fleet: Fleet) -> None:
    who = account(Plan("p", 100, Every.month))
    one, two, dead = await fleet(3, who)
    for _ in range(3):
        await dead.reserve(who, FULL)
    mine = await one.reserve(who, FULL)
    assert await abandoned(one).release() == set()
    seen = asyncio.Event()

    async def around(call: Callable[[], Awaitable[Any]]) -> Any:
        await seen.wait()
        return await call()

    # Neither gives back anything before the other has seen it as well.
    one.door.around = two.door.around = around
    left = await asyncio.gather(abandoned(one, dead).release(), abandoned(two, dead).release())
    assert [len(clean) for clean in left] == [0, 0]
    seen.set()
    await asyncio.gather(one.link.verify(), two.link.verify())
    balance = await one.balance()
    assert balance == Balance(100, 0, 9, 0, 91, balance.term)
    releases = [record for record, _ in await recorded(one.connection) if isinstance(record, Release)]
    assert [release.outcome for release in releases] == ["abandoned"] * 3
    gone = dead.connection.incarnation
    assert await abandoned(one, dead).release() == {gone}
    lasts = [await one.connection.ask("PTTL", names.call(each)) for each in (gone, one.connection.incarnation)]
    assert (lasts[0] > 0, lasts[1]) == (True, -1)
    await one.meter.settle(mine, Outcome.refreshed)


async def test_who_was_taken_for_dead_charges_nothing(fleet: Fleet) -> None:
    who = account(Plan("p", 100, Every.month))
    one, frozen = await fleet(2, who)
    reservation = await frozen.reserve(who, FULL)
    await abandoned(one, frozen).release()
    await one.link.verify()
    with pytest.raises(Problem) as caught:
        await frozen.meter.settle(reservation, Outcome.refreshed)
    assert (caught.value.reason, reservation.state) == (Reason.ledger_unavailable, State.ended)
    assert (await frozen.meter.release(reservation, "ledger_unavailable")).remaining == 100
    assert frozen.meter.tally.charged.total() == frozen.meter.tally.released.total() == 0


# Kept answers


async def test_an_answer_is_kept_with_its_charge(fleet: Fleet) -> None:
    who = account(Plan("p", 100, Every.month))
    (node,) = await fleet(1, who)
    charges = list[Charge]()

    def keep(charge: Charge) -> Kept:
        charges.append(charge)
        return Kept("ci", "a-key", "a-print", charge.operation or 0, 4e9, "Y29udGVudA==")

    reservation = await node.reserve(who, FULL)
    await node.charge(who, LOOKUP)
    await node.meter.settle(reservation, Outcome.refreshed, keep)
    name = names.kept(names.shard("acme"), "ci", "a-key")
    fields = await node.connection.ask("HMGET", name, "fingerprint", "operation", "remaining", "content")
    assert fields == [b"a-print", b"%d" % reservation.reserve.id, b"90", b"Y29udGVudA=="]
    assert [charge.tokens for charge in charges] == [9]
    await node.meter.refund(reservation, Outcome.truncated, keep(charges[0]))
    assert await node.connection.ask("EXISTS", name) == 0


async def test_no_answer_is_kept_of_what_was_refused(fleet: Fleet) -> None:
    who = account(Plan("p", 5, Every.month, ThrottlePolicy(Rate(1, 60.0), 1)))
    (node,) = await fleet(1, who)

    def keep(charge: Charge) -> Kept:
        return Kept("ci", "a-key", "a-print", charge.operation or 0, 4e9, "")

    await node.meter.repeat(who)
    for quote in (LOOKUP, OPTIONS):
        assert await reason(node.meter.charge(who, ROUTE, quote, Outcome.hit, "", keep)) == "throttled"
    assert await node.connection.ask("EXISTS", names.kept(names.shard("acme"), "ci", "a-key")) == 0


async def test_what_is_heard_before_a_reuse_is_asked_for_overtakes_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its account's shard has to be found first, it was decided before that."""
    who = account()
    [node] = await fleet(1, who)
    run = node.door.run

    async def heard(script: Script, *rest: Any) -> Any:
        reply = await run(script, *rest)
        if script.name == "home":
            node.news.known = int(await node.connection.ask("INCR", names.SEQUENCE))
        return reply

    monkeypatch.setattr(node.door, "run", heard)
    with pytest.raises(Overtaken):
        await node.charge(who, LOOKUP)
    assert (await node.charge(who, LOOKUP)).tokens == 1
