"""What the fast lane hands to the full one: its answers leave as aiohttp's would, and nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from listener.doors import Door, Source, connections, door, reading, target, text, until
from listener.lanes import FAST, StubLane

from gateway.messages import Answer, Request


@pytest.fixture
async def opened() -> AsyncIterator[Door]:
    async with door(target) as found:
        found.listener.lane = StubLane()
        yield found


@pytest.fixture
def lane(opened: Door) -> StubLane:
    assert isinstance(opened.listener.lane, StubLane)
    return opened.listener.lane


async def given(answer: Answer) -> Answer:
    return answer


async def broken() -> Answer:
    raise KeyError


async def served(lane: StubLane, answering: Coroutine[Any, Any, Answer], *, bodiless: bool = False) -> None:
    await lane.owes()
    lane.owed.pop(0).serve(answering, bodiless=bodiless)


async def test_it_is_sent_and_the_lane_asked_again(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        for body in (b"first", b"second"):
            client.send(FAST)
            await served(lane, given(text(body)))
            assert (await client.answer()).body == body
    assert lane.offered == [FAST, FAST]
    assert not opened.pipeline.requests


async def test_without_its_content_where_that_is_not_asked_for(opened: Door, lane: StubLane) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        await served(lane, given(text(b"unsent")), bodiless=True)
        assert (await client.answer("HEAD")).field("Content-Length") == "6"
        client.send(FAST)
        await served(lane, given(text(b"sent")))
        assert (await client.answer()).body == b"sent"


async def test_what_arrives_while_it_streams_waits_for_its_end(opened: Door, lane: StubLane) -> None:
    gate = asyncio.Event()
    source = Source((b"one ", gate, b"two"))
    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        await served(lane, given(source.answer()))
        client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: connection._held)
        gate.set()
        assert [(await client.answer()).body for _ in range(2)] == [b"one two", b"/slow"]
    assert source.closed.is_set()


@pytest.mark.parametrize("streams", [True, False])
async def test_who_has_left_is_counted_out_once_it_has_ended(opened: Door, lane: StubLane, streams: bool) -> None:
    never, source = asyncio.Event(), Source((b"one", asyncio.Event()))

    async def waiting() -> Answer:
        await never.wait()
        return source.answer()

    async with await opened.connect() as client:
        client.send(FAST)
        connection = await lane.owes()
        await served(lane, given(source.answer()) if streams else waiting())
        if streams:
            await until(lambda: connection.sending)
        client.hang_up()
        await until(lambda: connection.transport is None)
        if not streams:
            assert opened.listener.census.total == 1
            never.set()
        await opened.empty()
    assert source.closed.is_set()


async def test_nothing_is_begun_for_who_has_left(opened: Door, lane: StubLane) -> None:
    begun = list[str]()

    async def answering() -> Answer:
        begun.append("answering")
        return text(b"unsent")

    async with await opened.connect() as client, await opened.connect() as other:
        client.send(FAST)
        await lane.owes()
        client.hang_up()
        await until(lambda: opened.listener.census.total == 1)
        await served(lane, answering())
        other.send(FAST)
        await served(lane, given(text(b"sent")))
        assert (await other.answer()).body == b"sent"
        assert (begun, opened.listener.census.total) == ([], 1)


@pytest.mark.parametrize("lane", [StubLane(), None], ids=["taken", "left"])
async def test_who_sends_its_last_while_the_answer_is_on_its_way_is_not_kept_idle(lane: StubLane | None) -> None:
    long = b"x" * (1 << 24)

    async def respond(_: Request) -> Answer:
        return text(long)

    async with door(respond) as opened, await opened.connect() as client:
        opened.listener.lane = lane
        reading(client).pause_reading()
        client.send(FAST)
        if lane is not None:
            await served(lane, given(text(long)))
        await until(lambda: [found for found in connections(opened) if found.writing_paused])
        client.finish()
        await until(lambda: [found for found in connections(opened) if found.eof])
        reading(client).resume_reading()
        assert (await client.answer()).body == long
        assert await client.ended() == b""


async def test_a_drain_waits_for_it_and_says_so(opened: Door, lane: StubLane) -> None:
    gate = asyncio.Event()

    async def late() -> Answer:
        await gate.wait()
        return text(b"late")

    async with await opened.connect() as client:
        client.send(FAST)
        await served(lane, late())
        draining = asyncio.create_task(opened.listener.drain())
        await until(lambda: opened.listener.draining)
        gate.set()
        assert (await client.answer()).field("Connection") == "close"
        await draining


async def breaking() -> Answer:
    return Source((b"one", KeyError())).answer()


@pytest.mark.parametrize("answering", [broken, breaking])
async def test_a_bug_of_ours_ends_the_connection(
    opened: Door, lane: StubLane, answering: Callable[[], Coroutine[Any, Any, Answer]]
) -> None:
    async with await opened.connect() as client:
        client.send(FAST)
        await served(lane, answering())
        ended = await client.ended()
        assert ended.startswith(b"HTTP/1.1 500 ") or b"\r\n0\r\n" not in ended
    await opened.empty()
