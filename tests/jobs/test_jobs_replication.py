"""What a node does where an answer is lost, where it is far behind, and where it cannot go on."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from jobs.asked import NAME, REQUEST, due, known, only, order, single
from jobs.nodes import Alone, Heir, Losing, Node, node_on, until
from structlog.testing import capture_logs
from support.clock import FakeClock
from support.polling import PATIENCE

from gateway.admission.jobs import How, State
from gateway.errors import BadStart, Problem, Reason
from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.nodes import Nodes
from gateway.fleet.settings import Settings
from gateway.jobs import accepting, owning, reading, replication
from gateway.jobs.replicated import ReplicatedRegister

# Answers that are lost


@pytest.mark.parametrize("arrives", [True, False])
async def test_an_order_whose_answer_is_lost_was_never_asked_for(node: Node, arrives: bool) -> None:
    register = node.register
    with Losing(node, arrives=arrives) as losing:
        with pytest.raises(Problem) as caught:
            await register.accept(order("1"), 100.0)
        assert caught.value.reason is Reason.jobs_unavailable
        assert await due(register, 200.0) == ()
        assert (await register.recorded("acme", NAME, "1")).attempted is None
        assert [job.state for job in await register.latest(None, 2)] == [State.cancelled] * arrives
        if not arrives:
            assert (await losing.arrive())[0] == b"late"
            assert await register.latest(None, 2) == ()
    assert (await register.accept(order("1"), 101.0)).how is How.initiated


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_trigger_is_not_believed_to_be_sent_where_nobody_was_told_that_it_may_be(
    node: Node, arrives: bool
) -> None:
    await node.register.accept(order("1", sending=REQUEST), 100.0)
    step = await only(node.register, 100.0)
    with Losing(node, arrives=arrives), pytest.raises(Problem):
        await node.register.sent(step, 101.0)
    assert not (await only(node.register, 102.0)).sent


async def test_a_single_refresh_that_nobody_was_told_of_is_done_by_nobody(node: Node) -> None:
    with Losing(node, arrives=True), pytest.raises(Problem):
        await node.register.begin(single("a"), REQUEST, 100.0)
    assert (await known(node.register, "a")).state is State.cancelled


async def test_what_was_to_be_taken_back_is_when_that_fails_too(node: Node) -> None:
    with Losing(node, arrives=True), pytest.raises(Problem):
        await node.register.accept(order("1"), 100.0)
    for arrives in (False, True):
        with Losing(node, arrives=arrives), pytest.raises(Problem):
            await node.register.latest(None, 1)
    [job] = await node.register.latest(None, 2)
    assert (job.state, job.reason) == (State.cancelled, "not_charged")


async def test_what_was_lost_is_taken_back_even_if_nobody_asks_for_anything_again(node: Node, other: Node) -> None:
    with Losing(node, arrives=True), pytest.raises(Problem):
        await node.register.accept(order("1"), 100.0)
    await other.register.begin(single("a"), REQUEST, 100.0)
    async with asyncio.timeout(PATIENCE):
        while [job.state for job in await other.register.latest("a", 2)] != [State.cancelled]:
            pass


async def test_what_comes_late_by_another_way_is_taken_back(node: Node) -> None:
    """The node that was told nothing sees its own round in the stream."""
    with Losing(node, arrives=False) as losing, pytest.raises(Problem):
        await node.register.accept(order("1"), 100.0)
    assert (await losing.arrive())[0] == b"done"
    await until(lambda: not node.register._replication._undoing and node.register._replication._sent is None)
    [job] = await node.register.latest(None, 2)
    assert job.state is State.cancelled


async def test_what_a_node_inherited_and_was_not_told_of_another_inherits(redis_url: str, node: Node) -> None:
    await node.register.begin(single("a"), REQUEST, 100.0)
    async with node_on(redis_url, FakeClock(), Alone, Heir) as heir:
        with Losing(heir, arrives=True), pytest.raises(Problem):
            await heir.register.unfinished()
        assert await heir.register._replication.look(owning.owners) == {owning.NOBODY}
        # Nobody need be missed for that.
        assert await ReplicatedRegister.unfinished(heir.register) == ((single("a"), REQUEST),)


# Copies


async def test_a_node_begins_with_the_copy_and_the_stream_is_kept_short(
    redis_url: str, node: Node, other: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.jobs.copies._KEPT", 0)
    monkeypatch.setattr("gateway.jobs.copies._PART", 1000)
    monkeypatch.setattr(replication, "OFTEN", 5)
    other.hang()
    accepted = [await node.register.accept(order(str(n)), 100.0) for n in range(9)]
    await node.register.shorten()
    assert await node.connection.ask("XLEN", names.JOBS) <= 1
    accepted.append(await node.register.accept(order("9"), 100.0))
    everything = [one.job for one in accepted[::-1]]
    assert [job.id for job in await other.register.latest(None, 20)] == everything
    async with node_on(redis_url) as late:
        assert [job.id for job in await late.register.latest(None, 20)] == everything
        joined = await late.register.accept(order("3"), 101.0)
        assert joined.job == accepted[3].job


async def test_a_lost_answer_that_only_a_copy_tells_of_is_taken_back(
    node: Node, other: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.jobs.copies._KEPT", 0)
    node.hang()
    with Losing(node, arrives=True), pytest.raises(Problem):
        await node.register.accept(order("1"), 100.0)
    await other.register.accept(order("2"), 100.0)
    await other.register._replication.copy()
    last, first = await node.register.latest(None, 5)
    assert (first.state, first.reason) == (State.cancelled, "not_charged")
    assert last.state is State.pending


async def test_a_copy_that_is_gone_under_the_readers_hands(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jobs.copies._PART", 1000)
    await node.register.accept(order("1"), 100.0)
    await node.register._replication.copy()
    copy = await node.connection.ask("HGET", names.JOBS_HEAD, "copy")
    await node.connection.ask("RPOP", copy)
    with pytest.raises(Unreachable):
        await node.register._replication.begin()
    await node.connection.ask("DEL", copy)
    with pytest.raises(Unreachable):
        await node.register._replication.begin()


# What cannot be gone on with


async def test_a_newer_gateways_rounds_are_not_passed_over(node: Node, other: Node) -> None:
    node.hang()
    other.hang()
    with capture_logs() as lines:
        with pytest.raises(Problem):
            await other.register._replication.change(replication.Change('["newer",1]'))
        with pytest.raises(Problem) as caught:
            await node.register.latest(None, 1)
    assert caught.value.reason is Reason.jobs_unavailable
    assert [line["event"] for line in lines] == ["refreshes not understood: a newer gateway's, or damaged"] * 2


async def test_what_fails_fails_on_every_node_and_is_behind_them(node: Node, other: Node) -> None:
    with pytest.raises(Problem):
        await node.register.accept(order("\ud800"), 100.0)
    with pytest.raises(Problem):
        await node.register.accept(order("1", since=1e400), 2**70)
    accepted = await other.register.accept(order("1"), 100.0)
    assert [job.id for job in await node.register.latest(None, 5)] == [accepted.job]


async def test_an_account_has_only_so_much_under_way(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = node.register
    monkeypatch.setattr(accepting, "MOST_JOBS", 1)
    await jobs.accept(order("1"), 100.0)
    with pytest.raises(Problem) as caught:
        await jobs.accept(order("2"), 100.0)
    assert caught.value.reason is Reason.throttled


async def test_many_are_pruned_in_slices(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = node.register
    monkeypatch.setattr(reading, "_AT_ONCE", 2)
    for n in range(5):
        await jobs.cancel((await jobs.accept(order(str(n)), 100.0)).job, 101.0)
    await jobs.prune(101.5)
    assert await jobs.latest(None, 10) == ()


async def test_no_register_before_the_fleet_has_agreed_on_a_server(redis_url: str) -> None:
    clock = FakeClock()
    connection = await Connection.open(Settings(redis_url, timeout=2.0), clock)
    with pytest.raises(BadStart, match="register of refreshes"):
        await ReplicatedRegister.open(connection, Nodes(connection, clock), clock)
    await connection.close()


async def test_a_bug_is_told_and_what_it_is_about_looked_at_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as buggy, capture_logs() as lines:
        buggy.setattr(node.register, "attend", fails)
        await until(lambda: bool(lines))
        assert {line["event"] for line in lines} == {"refreshes of the fleet not looked at for a moment"}
    await node.end_lease()
    await until(lambda: node.register._leading.leads)
    while await node.connection.ask("GET", names.JOBS_LEADER) is None:
        pass


async def test_a_closed_register_takes_no_more(redis_url: str) -> None:
    async with node_on(redis_url) as node:
        pass
    with pytest.raises(Problem):
        await node.register.latest(None, 1)


CALLS: dict[str, Callable[[ReplicatedRegister], Awaitable[object]]] = {
    "accept": lambda jobs: jobs.accept(order("1"), 100.0),
    "steps": lambda jobs: due(jobs, 100.0),
    "find": lambda jobs: jobs.find("1"),
    "cancel": lambda jobs: jobs.cancel("1", 100.0),
    "unfinished": lambda jobs: jobs.unfinished(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_without_redis_nothing_is_told_or_changed(
    redis_url: str, node: Node, call: Callable[[ReplicatedRegister], Awaitable[object]]
) -> None:
    await node.register.begin(single("a"), REQUEST, 100.0)
    node.hang()
    await node.connection.close()
    with pytest.raises(Problem) as caught:
        await call(node.register)
    assert caught.value.reason is Reason.jobs_unavailable
