"""ReplicatedRegister on a real Redis: the contract, what every node knows, who leads, and what the dead leave."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from jobs.asked import NAME, REQUEST, due, finished, known, only, order, single
from jobs.jobs_contract import JobsContract
from jobs.nodes import Alone, Heir, Node, node_on, until
from support.clock import FakeClock

from gateway.admission.jobs import How, Stage, State
from gateway.jobs.replicated import CHARGED_WITHIN
from gateway.ports import Jobs

pytestmark = pytest.mark.slow


@pytest.fixture
async def jobs(node: Node) -> Jobs:
    return node.register


class TestReplicatedRegister(JobsContract):
    """The contract on Redis."""

    @pytest.fixture
    async def heir(self, redis_url: str, jobs: Jobs) -> AsyncIterator[Jobs]:
        """Of another node."""
        async with node_on(redis_url, FakeClock(), Alone, Heir) as node:
            yield node.register


# What every node knows


async def test_every_node_knows_what_one_was_asked(node: Node, other: Node) -> None:
    accepted = await other.register.accept(order("1", "2", whole=True), 100.0)
    for register in (node.register, other.register):
        assert [job.id for job in await register.latest(None, 10)] == [accepted.job]
        assert (await register.recorded("acme", NAME, "1")).attempted == 100.0
    joined = await node.register.accept(order("2", account="other"), 101.0)
    assert joined.how is How.joined
    assert await node.register.cancel(accepted.job, 102.0) is State.pending
    assert (await known(other.register, accepted.job)).state is State.cancelled
    await other.register.cancel(joined.job, 103.0)
    await other.register.prune(1000.0)
    assert await node.register.latest(None, 10) == ()


async def test_all_nodes_have_the_same_register(node: Node, other: Node) -> None:
    """Whatever was asked for at once, and wherever."""
    registers = (node.register, other.register)
    orders = [order(str(n % 7), account=f"a{n}", sending=REQUEST if n % 3 else None) for n in range(60)]
    await asyncio.gather(*(registers[n % 2].accept(wanted, 100.0 + n) for n, wanted in enumerate(orders)))
    await registers[1].latest(None, 1)
    await registers[0].latest(None, 1)
    contents = [await register._replication.replica.copy() for register in registers]
    assert contents[0] == contents[1]


async def test_the_leader_hears_at_once_of_what_another_node_accepts_and_begins_it_later(
    node: Node, other: Node, clock: FakeClock
) -> None:
    """It may yet be taken back there."""
    heard = list[None]()
    node.register.listen(lambda: heard.append(None), nothing)
    await other.register.accept(order("1"), 100.0)
    await until(lambda: bool(heard))
    own = await node.register.accept(order("2"), 100.0)
    assert [step.job for step in await due(node.register, 100.0)] == [own.job]
    clock.advance(CHARGED_WITHIN)
    assert [step.subject for step in await due(node.register, 100.0)] == ["1", "2"]


async def test_who_asks_again_does_not_hold_up_what_is_under_way(node: Node, other: Node) -> None:
    await node.register.accept(order("1"), 100.0)
    assert (await other.register.accept(order("1"), 101.0)).how is How.joined
    assert len(await due(node.register, 101.0)) == 1


# Who leads


async def test_only_the_leader_is_given_steps_and_may_report(node: Node, other: Node) -> None:
    await node.register.accept(order("1"), 100.0)
    step = await only(node.register, 100.0)
    assert await due(other.register, 100.0) == ()
    assert await other.register.next_due(NAME) is None
    assert not await other.register.sent(step, 100.0)
    await other.register.passed(step, Stage.select, 100.0, 100.0)
    await other.register.failed(step, "late", 100.0)
    assert await only(node.register, 100.0) == step


async def test_another_node_goes_on_where_the_leader_hung(node: Node, other: Node) -> None:
    told = list[None]()
    other.register.listen(lambda: told.append(None), nothing)
    accepted = await node.register.accept(order("1", sending=REQUEST), 100.0)
    trigger = await only(node.register, 100.0)
    assert await node.register.sent(trigger, 101.0)
    node.hang()
    await node.end_lease()
    await until(lambda: other.register.leads)
    assert told
    assert node.register.leads
    advance(other, CHARGED_WITHIN)
    sent = await only(other.register, 102.0)
    assert (sent.sent, sent.began, sent.sending) == (True, 101.0, REQUEST)
    # It comes back, and believes that it leads.
    await node.register.passed(trigger, Stage.select, 103.0, 103.0)
    assert not await node.register.sent(trigger, 103.0)
    assert await only(other.register, 103.0) == sent
    await node.register._leading.keep()
    assert await due(node.register, 103.0) == ()
    await finished(other.register, 104.0)
    assert (await known(node.register, accepted.job)).state is State.done


async def test_a_leader_that_has_led_before_has_another_token(node: Node, other: Node) -> None:
    token = node.register._leading.token
    node.hang()
    await node.end_lease()
    await until(lambda: other.register.leads)
    await node.register._leading.keep()
    other.hang()
    await other.end_lease()
    await node.register._leading.keep()
    assert node.register.leads
    assert node.register._leading.token != token


async def test_whoever_closes_lets_another_lead_at_once(redis_url: str) -> None:
    async with node_on(redis_url) as first:
        assert first.register.leads
    async with node_on(redis_url) as second:
        assert second.register.leads


async def test_no_steps_for_a_leader_whose_lease_has_ended_by_its_own_clock(node: Node, clock: FakeClock) -> None:
    await node.register.accept(order("1"), 100.0)
    node.hang()
    clock.advance(3.0)
    assert not node.register.leads
    assert await due(node.register, 100.0) == ()


# Single refreshes


async def test_what_a_dead_node_left_is_told_to_one_of_the_others(redis_url: str, node: Node) -> None:
    left = [single(id_) for id_ in "abc"]
    for job in left:
        await node.register.begin(job, REQUEST, 100.0)
    async with node_on(redis_url, FakeClock(), Alone, Heir) as one, node_on(redis_url, FakeClock(), Alone, Heir) as two:
        told = await asyncio.gather(one.register.unfinished(), two.register.unfinished())
    assert sorted(told, key=len) == [(), tuple((job, REQUEST) for job in left)]


async def test_nobody_does_what_a_node_that_is_alive_does(node: Node, other: Node) -> None:
    await node.register.begin(single("a"), REQUEST, 100.0)
    for _ in range(3):
        assert await other.register.unfinished() == ()
        advance(other, 100.0)


async def test_the_leader_has_looked_after_what_was_left(redis_url: str, node: Node) -> None:
    await node.register.begin(single("a"), REQUEST, 100.0)
    node.hang()
    await node.end_lease()
    clock, asked = FakeClock(), list[None]()

    async def left() -> None:
        asked.append(None)

    async with node_on(redis_url, clock, Alone) as heir:
        heir.register.listen(lambda: None, left)
        await heir.register.attend()
        assert asked == []
        clock.advance(3.0)
        await heir.register._leading.keep()
        await heir.register.attend()
        assert asked


def advance(node: Node, seconds: float) -> None:
    """Time passes for it."""
    clock = node.register._clock
    assert isinstance(clock, FakeClock)
    clock.advance(seconds)


async def nothing() -> None:
    """No refresh to go on with."""
