"""The upstream client against raw sockets: what each way of failing becomes, what is retried, how it is counted."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from multidict import CIMultiDict
from support.addresses import HOST, free_port, unanswering
from support.polling import PATIENCE
from support.scripts import End, Endless, Gate, Pause, answer, head
from support.upstream import ScriptedUpstream
from upstreams.clients import client, whole

from gateway.admission.snapshot import Rate
from gateway.errors import Problem, Reason
from gateway.messages import Outgoing


async def test_an_exchange_is_counted_once_with_its_status(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", answer("hello", 404))
    async with client(upstream.url) as to:
        stream = await to.send("/a")
        assert (stream.status, stream.length, stream.delimited) == (404, 5, True)
        assert await whole(stream) == b"hello"
        await stream.close()
        assert to.counts.exchanges == {"404": 1}


async def test_connections_are_kept_and_reused(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url) as to:
        for _ in range(5):
            await to.get("/a")
    assert upstream.connections == 1


async def test_a_base_path_is_prepended_and_the_target_is_not_requoted(upstream: ScriptedUpstream) -> None:
    async with client(f"{upstream.url}/base/") as to:
        await to.get("/a%2Cb?q=%20+x&&y")
    assert upstream.requests[0].target == "/base/a%2Cb?q=%20+x&&y"


async def test_nothing_is_added_to_the_fields(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url) as to:
        await to.get("/a")
    assert {name.lower() for name, _ in upstream.requests[0].fields} == {"host"}


FAILURES = [
    pytest.param((End.close,), "truncated", Reason.upstream_truncated, 2, id="closed before any byte"),
    pytest.param((End.reset,), "truncated", Reason.upstream_truncated, 2, id="reset before any byte"),
    pytest.param((b"SMTP ready\r\n\r\n",), "invalid", Reason.upstream_invalid, 1, id="not HTTP"),
    pytest.param((head(101, "Upgrade: x", "Connection: upgrade"),), "invalid", Reason.upstream_invalid, 1, id="101"),
    pytest.param((head(206, "Content-Length: 0"),), "invalid", Reason.upstream_invalid, 1, id="unasked 206"),
    pytest.param((head(304),), "invalid", Reason.upstream_invalid, 1, id="unasked 304"),
    pytest.param((b"HTTP/1.1 200 O\0K\r\n\r\n",), "invalid", Reason.upstream_invalid, 1, id="NUL in the reason phrase"),
    pytest.param(
        (head(200, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",),
        "invalid",
        Reason.upstream_invalid,
        1,
        id="two framings",
    ),
    pytest.param(
        (head(200, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",),
        "invalid",
        Reason.upstream_invalid,
        1,
        id="coded",
    ),
    pytest.param((b"HTTP/2.0 200 OK\r\n\r\n",), "invalid", Reason.upstream_invalid, 1, id="version"),
    pytest.param((head(204, "Content-Length: 2"),), "invalid", Reason.upstream_invalid, 1, id="204 with a length"),
    pytest.param((head(204, "Transfer-Encoding: chunked"),), "invalid", Reason.upstream_invalid, 1, id="204 in chunks"),
    pytest.param((b"H", End.close), "truncated", Reason.upstream_truncated, 1, id="closed after the first byte"),
    pytest.param((b"H", End.reset), "truncated", Reason.upstream_truncated, 1, id="reset after the first byte"),
    pytest.param((head(103), End.close), "truncated", Reason.upstream_truncated, 1, id="closed after an interim one"),
    pytest.param(
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
        "invalid",
        Reason.upstream_invalid,
        1,
        id="chunked in version 1.0",
    ),
    pytest.param(
        (head(200, "Transfer-Encoding: \x0bchunked"), End.close), "invalid", Reason.upstream_invalid, 1, id="odd coding"
    ),
    pytest.param((Endless(head(103) * 50),), "invalid", Reason.upstream_invalid, 1, id="interim without end"),
    pytest.param((Pause(60),), "read_timeout", Reason.upstream_read_timeout, 1, id="silence"),
]


def patience(label: str) -> float:
    """Seconds for the upstream: few only where it is silent, as on a busy machine any other may be late."""
    return 1.0 if label == "read_timeout" else PATIENCE


@pytest.mark.parametrize(("script", "label", "reason", "calls"), FAILURES)
async def test_a_failing_head_is_a_problem_and_counted_once(
    upstream: ScriptedUpstream, script: tuple[object, ...], label: str, reason: Reason, calls: int
) -> None:
    upstream.script("/a", *script)  # type: ignore[arg-type]
    async with client(upstream.url, first_byte_timeout=patience(label)) as to:
        with pytest.raises(Problem) as caught:
            await to.get("/a")
        assert caught.value.reason is reason
        assert to.counts.exchanges == {label: 1}
        assert len(upstream.calls("/a")) == calls
        assert to.counts.retries == calls - 1


async def test_reading_the_requests_content_may_fail(upstream: ScriptedUpstream) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"half"
        await upstream.arrived("/a")
        raise Problem(Reason.request_timeout)

    async with client(upstream.url) as to:
        with pytest.raises(Problem) as caught:
            await to.upstream.send(Outgoing("POST", "/a", CIMultiDict(), stalled()))
        assert caught.value.reason is Reason.request_timeout
        assert not to.counts.exchanges


BROKEN = [
    pytest.param((head(200, "Content-Length: 10"), b"short", End.close), "truncated", id="short of its length"),
    pytest.param((head(200, "Content-Length: 10"), b"short", End.reset), "truncated", id="reset"),
    pytest.param(
        (head(200, "Transfer-Encoding: chunked"), b"5\r\nshort\r\n", End.close), "truncated", id="no last chunk"
    ),
    pytest.param((head(200, "Content-Length: 10"), b"short", Pause(60)), "read_timeout", id="idle"),
]


@pytest.mark.parametrize(("script", "label"), BROKEN)
async def test_content_that_breaks_is_a_problem_and_counted_once(
    upstream: ScriptedUpstream, script: tuple[object, ...], label: str
) -> None:
    upstream.script("/a", *script)  # type: ignore[arg-type]
    async with client(upstream.url, first_byte_timeout=patience(label)) as to:
        stream = await to.send("/a")
        with pytest.raises(Problem):
            await whole(stream)
        await stream.close()
        assert to.counts.exchanges == {label: 1}
        assert len(upstream.calls("/a")) == 1


async def test_a_refused_connection() -> None:
    async with client(f"http://{HOST}:{free_port()}") as to:
        with pytest.raises(Problem) as caught:
            await to.get()
        assert caught.value.reason is Reason.upstream_refused
        assert to.counts.exchanges == {"refused": 1}


async def test_a_name_that_does_not_resolve() -> None:
    async with client("http://no-such-host.invalid") as to:
        with pytest.raises(Problem) as caught:
            await to.get()
        assert caught.value.reason is Reason.upstream_dns
        assert to.counts.exchanges == {"dns": 1}


async def test_a_connection_that_is_not_accepted_in_time() -> None:
    with unanswering() as port:
        async with client(f"http://{HOST}:{port}", connect_timeout=0.2) as to:
            with pytest.raises(Problem) as caught:
                await to.get()
            assert caught.value.reason is Reason.upstream_connect_timeout
            assert to.counts.exchanges == {"connect_timeout": 1}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_only_get_and_head_are_repeated(upstream: ScriptedUpstream, method: str) -> None:
    upstream.script("/a", End.close)
    async with client(upstream.url) as to:
        with pytest.raises(Problem):
            await to.send("/a", method)
        assert len(upstream.calls("/a")) == 1
        assert to.counts.retries == 0


async def test_a_get_with_content_is_not_repeated(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", End.close)
    async with client(upstream.url) as to:
        with pytest.raises(Problem):
            await to.send("/a", "GET", b"content")
        assert len(upstream.calls("/a")) == 1
        assert to.counts.retries == 0


async def test_a_kept_connection_that_died_is_repeated_once(upstream: ScriptedUpstream) -> None:
    upstream.then("/a", answer("first"))
    upstream.then("/a", End.close)
    upstream.then("/a", answer("second"))
    async with client(upstream.url) as to:
        assert await to.get("/a") == b"first"
        assert await to.get("/a") == b"second"
        assert to.counts.retries == 1
        assert to.counts.exchanges == {"200": 2}


async def test_the_next_url_is_tried_when_connecting_fails(upstream: ScriptedUpstream) -> None:
    async with client(f"http://{HOST}:{free_port()}", upstream.url) as to:
        await to.send("/a", "POST", b"content")
        assert upstream.wait_for_calls("/a")[0].body == b"content"
        assert to.counts.retries == 1


async def test_a_second_url_is_not_tried_once_the_first_was_connected(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", b"SMTP\r\n\r\n")
    async with client(upstream.url, f"http://{HOST}:{free_port()}") as to:
        with pytest.raises(Problem) as caught:
            await to.get("/a")
        assert caught.value.reason is Reason.upstream_invalid


async def test_a_get_is_repeated_once_over_all_urls(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", End.close)
    with ScriptedUpstream() as first:
        first.script("/a", End.hang)
        async with client(first.url, upstream.url) as to:
            asking = asyncio.create_task(to.get("/a"))
            await first.arrived("/a")
            await asyncio.to_thread(first.refuse)
            with pytest.raises(Problem) as caught:
                await asking
            assert caught.value.reason is Reason.upstream_truncated
            assert (len(first.calls("/a")), len(upstream.calls("/a"))) == (1, 1)
            assert (to.counts.retries, to.counts.exchanges) == (2, {"truncated": 1})


async def test_a_close_delimited_answer_says_so(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", head(200), b"all of it", End.close)
    async with client(upstream.url) as to:
        stream = await to.send("/a")
        assert not stream.delimited
        assert await whole(stream) == b"all of it"


async def test_redirects_are_not_followed_and_cookies_not_kept(upstream: ScriptedUpstream) -> None:
    upstream.script("/a", answer("", 302, Location="/b", Set_Cookie="a=b"))
    async with client(upstream.url) as to:
        assert (await to.send("/a")).status == 302
        await to.get("/c")
    assert upstream.calls("/b") == []
    assert upstream.calls("/c")[0].field("Cookie") is None


async def test_past_the_connections_requests_queue_in_order(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/held", gate, answer("done"))
    async with client(upstream.url, connections=2) as to:
        tasks = [asyncio.create_task(to.get("/held")) for _ in range(6)]
        await upstream.arrived("/held", 2)
        assert upstream.in_flight["/held"] == 2
        gate.open()
        assert await asyncio.gather(*tasks) == [b"done"] * 6
        assert upstream.peak["/held"] == 2


async def test_a_full_queue_and_a_long_wait_are_503(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/held", gate, answer("done"))
    async with client(upstream.url, connections=1, queue=1, wait=0.2) as to:
        first = asyncio.create_task(to.get("/held"))
        await upstream.arrived("/held")
        waiting = asyncio.create_task(to.get("/held"))
        await asyncio.sleep(0)
        for refused in (to.get("/held"), waiting):
            with pytest.raises(Problem) as caught:
                await refused
            assert caught.value.reason is Reason.upstream_queue_full
            assert caught.value.retry_after
        gate.open()
        assert await first == b"done"
        assert await to.get("/held") == b"done", "the places were given back"
        assert len(upstream.calls("/held")) == 2


async def test_a_caller_that_leaves_the_queue_takes_no_place(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script("/held", gate, answer("done"))
    async with client(upstream.url, connections=1) as to:
        first = asyncio.create_task(to.get("/held"))
        await upstream.arrived("/held")
        leaving, staying = (asyncio.create_task(to.get("/held")) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        gate.open()
        assert (await first, await staying) == (b"done", b"done")
        assert len(upstream.calls("/held")) == 2


async def test_the_rate_is_kept(upstream: ScriptedUpstream) -> None:
    async with client(upstream.url, rate=Rate(2, 3600.0), wait=0.1) as to:
        await to.get("/a")
        await to.get("/a")
        with pytest.raises(Problem) as caught:
            await to.get("/a")
        assert caught.value.reason is Reason.upstream_queue_full
        assert len(upstream.calls("/a")) == 2


async def test_a_stream_given_up_frees_its_place(upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.then("/a", head(200, "Content-Length: 10"), b"half.", gate)
    upstream.then("/a", answer("next"))
    async with client(upstream.url, connections=1) as to:
        stream = await to.send("/a")
        await stream.close()
        await stream.close()
        assert await to.get("/a") == b"next"
        gate.open()
