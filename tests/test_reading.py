"""Judging an upstream's head and reading its content within bounds."""

import asyncio

import pytest
from multidict import CIMultiDict
from support.in_process import InProcessUpstream

from gateway.errors import Problem, Reason
from gateway.messages import Outgoing, Response, Stream
from gateway.reading import Buffers, asked, failure, is_proven, judge, read


async def stream(*content: bytes | BaseException, **rest: object) -> tuple[Stream, InProcessUpstream]:
    upstream = InProcessUpstream()
    upstream.then(*content, **rest)
    return await upstream.send(Outgoing("GET", "/", CIMultiDict())), upstream


@pytest.mark.parametrize(
    ("status", "ours", "metered", "reason"),
    [
        (200, True, True, None),
        (404, True, True, None),
        (401, True, True, Reason.upstream_credentials_rejected),
        (401, False, True, None),
        (429, True, True, Reason.upstream_rate_limited),
        (429, False, True, None),
        (500, True, True, Reason.upstream_error),
        (502, False, True, Reason.upstream_error),
        (503, False, True, Reason.upstream_unavailable),
        (504, False, True, Reason.upstream_read_timeout),
        (500, True, False, None),
    ],
)
async def test_judging(status: int, ours: bool, metered: bool, reason: Reason | None) -> None:
    head, _ = await stream(status=status)
    problem = judge(head, ours=ours, metered=metered)
    assert (problem and problem.reason) is reason
    assert problem is None or problem.upstream_status == status


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("", None)])
async def test_an_upstreams_retry_after_is_the_problems(value: str, seconds: float | None) -> None:
    head, _ = await stream(status=503, fields={"Retry-After": value})
    assert failure(head).retry_after == seconds


async def test_a_background_call_waits_for_its_turn_without_a_deadline_and_has_one_then() -> None:
    """With an end that is over already: one that ran meanwhile would end it."""
    upstream, turn = InProcessUpstream(), asyncio.Event()
    upstream.then(b"1", before=(turn,))
    outgoing = Outgoing("GET", "/", CIMultiDict(), background=True)
    async with asyncio.timeout(0) as deadline:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, turn.set)
        head = await asked(upstream, outgoing, 60.0, deadline)
        assert deadline.when() is not None
    assert [chunk async for chunk in head.chunks] == [b"1"]


async def test_any_other_call_has_its_deadline_from_the_start() -> None:
    upstream = InProcessUpstream()
    upstream.then(before=(asyncio.Event(),))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0) as deadline:
            await asked(upstream, Outgoing("GET", "/", CIMultiDict()), 60.0, deadline)


@pytest.mark.parametrize(("most", "buffered"), [(4, True), (3, False)], ids=["within", "past"])
async def test_content_that_is_there_already_is_taken_as_it_is(most: int, buffered: bool) -> None:
    """It takes no share of the buffers, and is not read from the stream; past the bound it is still to be had there."""
    head, _ = await stream(AssertionError("read"))
    head.whole = b"1234"
    answer = await read(head, most, Buffers(0))
    assert (answer.body == b"1234") if isinstance(answer, Response) else (answer is head)
    assert isinstance(answer, Response) is buffered


@pytest.mark.parametrize(
    ("kind", "body", "proven"),
    [
        ("application/json", b"{}", True),
        ("Application/JSON; charset=utf-8", b"[1]", True),
        ("application/problem+json", b"{}", True),
        ("text/plain", b"{}", False),
        ("", b"{}", False),
        ("application/json", b'"' + b"x" * (1 << 20) + b'"', False),
    ],
    ids=["json", "charset", "suffix", "text", "none", "long"],
)
async def test_what_proves_content_that_only_the_close_ends(kind: str, body: bytes, proven: bool) -> None:
    fields = {"Content-Type": kind} if kind else {}
    cut, _ = await stream(fields=fields, delimited=False)
    assert is_proven(cut, body) is proven
    framed, _ = await stream(fields=fields)
    assert is_proven(framed, body)


async def test_cut_json_is_truncated() -> None:
    cut, _ = await stream(fields={"Content-Type": "application/json"}, delimited=False)
    with pytest.raises(Problem, match="upstream_truncated"):
        is_proven(cut, b'{"a":')


async def test_a_whole_answer_holds_nothing_any_more() -> None:
    buffers = Buffers(100)
    given, upstream = await stream(b"ab", b"cd", status=201)
    whole = await read(given, 4, buffers)
    assert isinstance(whole, Response)
    assert (whole.status, whole.body, buffers.held, upstream.open) == (201, b"abcd", 0, 0)


async def test_one_declared_too_long_is_not_read_at_all() -> None:
    given, _ = await stream(b"x" * 5, declared=True)
    assert await read(given, 4, Buffers(0)) is given
    await given.close()


async def test_what_was_read_of_one_too_long_stays_held_until_it_is_sent() -> None:
    """It was let go at once, though a slow client may leave it in memory for long."""
    buffers = Buffers(100)
    given, _ = await stream(b"abc", b"def", b"ghi")
    going_on = await read(given, 5, buffers)
    assert isinstance(going_on, Stream)
    held = [buffers.held]
    parts = []
    async for chunk in going_on.chunks:
        parts.append(chunk)
        held.append(buffers.held)
    assert (b"".join(parts), held) == (b"abcdefghi", [6, 3, 0, 0])
    await going_on.close()
    assert buffers.held == 0


async def test_one_given_up_halfway_lets_go_of_what_it_held() -> None:
    buffers = Buffers(100)
    given, upstream = await stream(b"abc", b"def", b"ghi")
    going_on = await read(given, 5, buffers)
    assert isinstance(going_on, Stream)
    for _ in range(2):
        await going_on.close()
    assert (buffers.held, upstream.open) == (0, 0)


@pytest.mark.parametrize("limit", [3, 100], ids=["too much", "broken"])
async def test_what_cannot_be_read_is_closed_and_let_go(limit: int) -> None:
    buffers = Buffers(limit)
    given, upstream = await stream(b"abcd", Problem(Reason.upstream_truncated))
    with pytest.raises(Problem) as caught:
        await read(given, 100, buffers)
    assert caught.value.reason is (Reason.buffers_full if limit == 3 else Reason.upstream_truncated)
    assert (buffers.held, upstream.open) == (0, 0)
