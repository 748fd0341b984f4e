"""The fast lane's place in a connection: what it may take, and in which order the answers of both lanes leave."""

import asyncio
import gc
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listener.doors import Door, connections, door, reading, target, text, until
from listener.lanes import FAST, StubLane
from support.wire import Connection as Client

from gateway.listener.connection import Connection
from gateway.messages import Answer, Request

SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n"


@pytest.fixture
async def opened() -> AsyncIterator[Door]:
    async with door(target) as found:
        found.listener.lane = StubLane()
        yield found


@pytest.fixture
def lane(opened: Door) -> StubLane:
    assert isinstance(opened.listener.lane, StubLane)
    return opened.listener.lane


def targets(opened: Door) -> list[str]:
    return [request.target for request in opened.pipeline.requests]


async def exchanged(client: Client, lane: StubLane) -> Connection:
    """The connection at the other end, once the lane has answered on it."""
    client.send(FAST)
    connection = await lane.owes()
    lane.pay()
    await client.answer()
    return connection


async def test_what_it_takes_never_reaches_the_pipeline(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        for head, body in ((FAST, b"fast"), (FAST, b"fast"), (SLOW, b"/slow"), (FAST, b"fast"), (SLOW, b"/slow")):
            client.send(head)
            if head is FAST:
                await lane.owes()
                lane.pay()
            assert (await client.answer()).body == body
    assert targets(opened) == ["/slow", "/slow"]


async def test_what_arrives_behind_an_answer_that_is_owed_waits_for_it(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        client.send(SLOW + FAST)
        await until(lambda: connection._held)
        assert not opened.pipeline.requests
        lane.pay()
        assert [(await client.answer()).body for _ in range(3)] == [b"fast", b"/slow", b"/fast"]


async def test_it_is_asked_again_behind_its_own_answer(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        client.send(FAST)
        await until(lambda: connection._held)
        lane.pay(b"first")
        assert lane.owed == [connection]
        lane.pay(b"second")
        assert [(await client.answer()).body for _ in range(2)] == [b"first", b"second"]


async def test_a_flood_behind_an_answer_that_is_owed_is_not_read(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        client.send(b"x" * (1 << 24))
        await until(lambda: connection._held)
        await until(lambda: connection._buffer_paused)
        assert len(connection._held) <= 1 << 18
        client.hang_up()
        lane.pay()
        await opened.empty()


async def test_it_is_not_asked_while_another_request_is_under_way() -> None:
    gate = asyncio.Event()

    async def late(request: Request) -> Answer:
        await gate.wait()
        return text(request.target.encode())

    async with door(late) as opened, await opened.connect() as client:
        lane = opened.listener.lane = StubLane()
        connection = await exchanged(client, lane)
        client.send(SLOW)
        await opened.pipeline.arrived.wait()
        client.send(FAST)
        await until(lambda: connection.pipelined)
        gate.set()
        assert [(await client.answer()).body for _ in range(2)] == [b"/slow", b"/fast"]
        assert lane.offered == [FAST, SLOW]


@pytest.mark.parametrize(
    "before",
    [
        b"GET /slow HTTP/1.1\r\nHost: a\r\n",
        SLOW + b"GET /slow HTTP/1.1\r\nHost: a\r\n",
        b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n\r\n\r\n",
        b"POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n\r\n\r\n",
        b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: b\r\n\r\nGET /tail HTTP/1.1\r\n",
    ],
    ids=["a head", "a head behind another", "content", "a chunk", "an upgrade"],
)
async def test_it_is_not_asked_within_a_message(opened: Door, lane: StubLane, before: bytes) -> None:
    """Part of a message must not be taken for a request of its own."""
    async with await opened.connect() as client:
        client.send(before)
        await until(lambda: lane.offered)
        (connection,) = connections(opened)
        await until(lambda: not connection.busy)
        client.send(FAST)
        await client.head()
    assert FAST not in lane.offered


@pytest.mark.parametrize(
    ("steps", "learnt"),
    [
        ([(SLOW, 1), (SLOW, 1)], 2),
        ([(SLOW + SLOW, 2)], 0),
        ([(SLOW[:9], 0), (SLOW[9:], 1)], 0),
        ([(b"\r\n" + SLOW, 1)], 0),
        ([(SLOW + b"\r\n\r\n", 1)], 0),
        ([(POST, 1)], 0),
        ([(POST[:-4], 1)], 0),
        ([(POST, 1), (SLOW, 1), (SLOW, 1)], 1),
    ],
    ids=[
        "one",
        "two",
        "split",
        "empty line before",
        "empty lines behind",
        "content",
        "content to come",
        "behind content",
    ],
)
async def test_only_one_whole_head_is_learnt(
    opened: Door, lane: StubLane, steps: list[tuple[bytes, int]], learnt: int
) -> None:
    """Each step: what is sent, and how many answers that brings."""
    async with await opened.connect() as client:
        for sent, answers in steps:
            client.send(sent)
            for _ in range(answers):
                await client.answer()
            await until(lambda: lane.offered)
    assert lane.learnt == [(SLOW, "/slow")] * learnt


async def test_a_client_that_sends_no_more_still_gets_what_is_owed(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        client.finish()
        await until(lambda: connection.eof)
        lane.pay()
        answer = await client.answer()
        assert (answer.body, answer.field("Connection")) == (b"fast", "close")
        assert await client.ended() == b""
        await opened.empty()


async def test_what_is_held_is_answered_before_a_client_that_sends_no_more_is_left(
    opened: Door, lane: StubLane
) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        client.send(SLOW)
        await until(lambda: connection._held)
        client.finish()
        lane.pay()
        answers = [await client.answer() for _ in range(2)]
        assert [answer.body for answer in answers] == [b"fast", b"/slow"]
        assert answers[0].field("Connection") is None
        assert await client.ended() == b""
        await opened.empty()


async def test_who_has_left_is_owed_nothing(opened: Door, lane: StubLane) -> None:
    for settle in (lane.pay, lane.decline, lane.fail):
        async with await opened.connect() as client:
            client.send(FAST)
            await lane.owes()
            client.hang_up()
            await opened.empty()
            settle()
    assert targets(opened) == []


async def test_what_it_fails_to_answer_is_a_500_and_ends_the_connection(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        await lane.owes()
        lane.fail()
        answer = await client.answer()
        assert (answer.status, answer.field("Connection")) == (500, "close")
        assert await client.ended() == b""
    assert targets(opened) == []
    await opened.empty()


async def test_a_drain_waits_for_what_is_owed_and_says_so(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        await lane.owes()
        draining = asyncio.create_task(opened.listener.drain())
        await until(lambda: opened.listener.draining)
        lane.pay()
        assert (await client.answer()).field("Connection") == "close"
        await draining


async def test_a_drain_answers_what_is_held_last(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        client.send(FAST)
        await until(lambda: connection._held)
        draining = asyncio.create_task(opened.listener.drain())
        await until(lambda: opened.listener.draining)
        lane.pay()
        answers = [await client.answer() for _ in range(2)]
        assert [answer.body for answer in answers] == [b"fast", b"/fast"]
        assert [answer.field("Connection") for answer in answers] == [None, "close"]
        await draining


async def test_while_draining_the_full_lane_answers_all_there_is(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        connection = await exchanged(client, lane)
        assert not connection.rests()
        opened.listener.draining = True
        connection.reconsider()
        client.send(FAST)
        answer = await client.answer()
        assert (answer.body, answer.field("Connection")) == (b"/fast", "close")
        assert await client.ended() == b""


async def test_a_lane_that_was_replaced_answers_what_it_took_and_takes_no_more(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        connection = await exchanged(client, lane)
        client.send(FAST)
        await lane.owes()
        other = opened.listener.lane = StubLane()
        lane.pay(b"old")
        assert (await client.answer()).body == b"old"
        client.send(FAST)
        assert await other.owes() is connection
        opened.listener.lane = None
        other.pay(b"new")
        assert (await client.answer()).body == b"new"
        client.send(FAST)
        assert (await client.answer()).body == b"/fast"
    assert (len(lane.offered), len(other.offered)) == (2, 1)


async def test_what_it_declines_goes_the_full_way_before_what_is_behind_it(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        client.send(SLOW + SLOW)
        await until(lambda: connection._held)
        lane.decline()
        assert [(await client.answer()).body for _ in range(3)] == [b"/fast", b"/slow", b"/slow"]
        await exchanged(client, lane)
        client.send(FAST)
        await lane.owes()
        lane.decline()
        assert connection._lane is None
        assert (await client.answer()).body == b"/fast"


async def test_who_does_not_read_is_asked_for_no_more_and_cut_off() -> None:
    async with door(target, write_timeout=0.05) as opened, await opened.connect() as client:
        lane = opened.listener.lane = StubLane(b"x" * 60_000)
        connection = await unread(client, lane)
        offered = len(lane.offered)
        client.send(FAST)
        await until(lambda: connection._held)
        assert len(lane.offered) == offered
        await opened.empty()
        assert connection._reader_timer is None


async def test_who_reads_again_gets_the_rest(opened: Door, lane: StubLane) -> None:
    lane.body = b"x" * 60_000
    async with await opened.connect() as client:
        connection = await unread(client, lane)
        client.send(FAST + SLOW)
        await until(lambda: connection._held)
        reading(client).resume_reading()
        for _ in range(len(lane.offered)):
            assert (await client.answer()).body == lane.body
        assert [(await client.answer()).body for _ in range(2)] == [b"/fast", b"/slow"]
        assert connection._reader_timer is None
        client.send(FAST)
        assert (await client.answer()).body == lane.body


async def test_a_head_taken_by_it_has_no_deadline_left() -> None:
    async with door(target, head_timeout=0.05) as opened, await opened.connect() as client:
        lane = opened.listener.lane = StubLane()
        client.send(FAST)
        connection = await lane.owes()
        assert connection._head_timer is None
        lane.pay()
        assert (await client.answer()).body == b"fast"


async def test_the_time_to_idle_begins_anew_with_what_it_takes(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        connection = await exchanged(client, lane)
        look(connection)
        await exchanged(client, lane)
        look(connection)
        assert connection.transport is not None
        client.send(FAST)
        await lane.owes()
        for _ in range(2):
            look(connection)
        lane.pay()
        assert (await client.answer()).body == b"fast"
        look(connection)
        assert await client.ended() == b""


async def test_nothing_of_a_connection_is_left_for_the_garbage_collector(opened: Door, lane: StubLane) -> None:
    """Its collections are what stops the loop."""
    gc.collect()
    gc.disable()
    try:
        async with await opened.connect() as client:
            await exchanged(client, lane)
            client.send(SLOW)
            await client.answer()
        await opened.empty()
        await until(lambda: not opened.listener._protocols.connections)
        assert not [found for found in gc.get_objects() if isinstance(found, Connection)]
    finally:
        gc.enable()


def test_answers_come_in_the_order_of_their_requests_however_they_are_cut() -> None:
    with asyncio.Runner() as runner:
        opening = door(target)
        opened = runner.run(opening.__aenter__())
        opened.listener.lane = StubLane(b"/fast")

        @given(st.lists(st.sampled_from([FAST, SLOW, POST]), min_size=1, max_size=8), st.sets(st.integers(1, 300)))
        def ask(heads: list[bytes], cuts: set[int]) -> None:
            sent = b"".join(heads)
            marks = [0, *sorted(cut for cut in cuts if cut < len(sent)), len(sent)]
            pieces = [sent[start:end] for start, end in pairwise(marks)]
            assert runner.run(answers(opened, pieces, len(heads))) == [head.split()[1] for head in heads]

        ask()
        runner.run(opening.__aexit__(None, None, None))


async def answers(opened: Door, pieces: list[bytes], count: int) -> list[bytes]:
    async with await opened.connect() as client:
        for piece in pieces:
            client.send(piece)
            await asyncio.sleep(0)
        return [(await client.answer()).body for _ in range(count)]


async def unread(client: Client, lane: StubLane) -> Connection:
    """A connection that the lane's answers have filled, as its client does not read them."""
    reading(client).pause_reading()
    client.send(FAST)
    connection = await lane.owes()
    await until(lambda: not lane.owed)
    while not connection.writing_paused:
        more = len(lane.offered) + 1
        client.send(FAST)
        await until(partial(lane.was_offered, more))
        await until(lambda: not lane.owed)
    return connection


def look(connection: Connection) -> None:
    """aiohttp's look at an idle connection, as late as can be."""
    connection._next_keepalive_close_time = 0.0
    connection._process_keepalive()
