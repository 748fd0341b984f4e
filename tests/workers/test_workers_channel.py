"""What passes between supervisor and worker, and what becomes of it where one of them has ended."""

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from gateway.workers.channel import Abandon, Answer, Channel, Failed, Frame, Keep, Ready, Swap

# The supervisor's loop, and a worker's.
LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize("loop", LOOPS)
def test_frames_arrive_in_the_order_in_which_they_were_sent(loop: Loop) -> None:
    frames: list[Frame] = [Ready(), Answer(1, b"x" * 1_000_000), Keep(b""), Swap()]

    async def run() -> None:
        one, other = [await Channel.over(end) for end in socket.socketpair()]
        for frame in frames:
            one.send(frame)
        assert [await other.receive() for _ in frames] == frames
        one.close()
        assert await other.receive() is None
        other.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("loop", LOOPS)
def test_the_last_word_arrives_however_soon_the_process_ends(loop: Loop) -> None:
    async def run() -> None:
        one, other = [await Channel.over(end) for end in socket.socketpair()]
        await one.end(Failed("it is full"))
        assert (await other.receive(), await other.receive()) == (Failed("it is full"), None)
        await one.end(Failed("nobody listens any more"))
        other.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("unread", [b"", b"begin"], ids=["in_order", "with_something_unread"])
@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_sent_to_one_that_has_ended_goes_nowhere(loop: Loop, unread: bytes) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        channel = await Channel.over(ours)
        ours.send(unread)
        theirs.close()
        assert await channel.receive() is None
        for frame in (Ready(), Abandon(), Ready()):
            channel.send(frame)
            await asyncio.sleep(0)
        channel.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
