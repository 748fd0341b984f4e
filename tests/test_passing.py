"""Content that streams through: judged by its head, charged when that leaves, refunded should it break."""

import asyncio
from pathlib import Path

import pytest
from admission.snapshots import make_request, make_route, public_route
from support.in_process import GRANT, received, way

from gateway.errors import Problem, Reason

PATH = "/v1/products/1"
JSON = {"Content-Type": "application/json"}
TRUNCATED = Problem(Reason.upstream_truncated)


async def test_content_streams_both_ways_and_is_charged_at_its_head(tmp_path: Path) -> None:
    async with way(tmp_path, make_route()) as running:
        gate = asyncio.Event()
        running.upstream.then(b"half", gate, b"more", status=201)
        request = make_request(PATH, "POST", body=True)
        answer = await running.handle(request)
        assert (running.balance.charged, running.balance.reserved) == (1, 0)
        gate.set()
        got = await received(answer)
        assert (got.status, got.body, got.cache.fwd, got.tokens) == (201, b"halfmore", "bypass", (1, GRANT - 1))
        assert running.upstream.sent[0].body is request.body


@pytest.mark.parametrize(
    ("status", "answered", "reason"),
    [
        (401, 502, "upstream_credentials_rejected"),
        (402, 502, "upstream_credentials_rejected"),
        (403, 502, "upstream_credentials_rejected"),
        (407, 502, "upstream_credentials_rejected"),
        (429, 503, "upstream_rate_limited"),
        (500, 502, "upstream_error"),
        (503, 503, "upstream_unavailable"),
        (504, 504, "upstream_read_timeout"),
    ],
)
async def test_what_is_not_passed_on_is_free_and_closed(
    tmp_path: Path, status: int, answered: int, reason: str
) -> None:
    async with way(tmp_path, make_route()) as running:
        running.upstream.then(b"secret words", status=status, fields={"Retry-After": "7"})
        got = await running.ask(PATH)
        assert (got.status, running.balance.charged, b"secret" in got.body) == (answered, 0, False)
        assert reason.encode() in got.body
        assert (got.fields.get("Retry-After") == "7") is (status not in (401, 402, 403, 407))


@pytest.mark.parametrize("status", [401, 403, 429, 500])
async def test_where_the_client_holds_the_credentials_its_upstream_speaks(tmp_path: Path, status: int) -> None:
    async with way(tmp_path, public_route()) as running:
        running.upstream.then(b"words", status=status)
        got = await running.ask("/public/a")
        assert (got.status, got.body) == (status, b"words")


async def test_a_stream_that_breaks_is_refunded(tmp_path: Path) -> None:
    async with way(tmp_path, make_route()) as running:
        running.upstream.then(b"half", TRUNCATED)
        got = await running.ask(PATH)
        assert (got.broken, got.body, running.balance.charged, running.balance.remaining) == (True, b"half", 0, GRANT)


async def test_a_refund_the_journal_does_not_take_is_made_later(tmp_path: Path) -> None:
    """The charge for an answer that broke stayed."""
    async with way(tmp_path, make_route()) as running:
        gate = asyncio.Event()
        running.upstream.then(b"half", gate, TRUNCATED)
        answer = await running.handle(make_request(PATH))
        with running.journal_failing():
            gate.set()
            assert (await received(answer)).broken
            assert running.balance.charged == 1
        await running.settled()
        assert running.balance.charged == 0


async def test_a_stream_that_is_never_read_is_closed(tmp_path: Path) -> None:
    async with way(tmp_path, make_route()) as running:
        answer = await running.handle(make_request(PATH))
        assert answer.close is not None
        await answer.close()
        assert running.upstream.open == 0


async def test_a_stream_whose_charge_the_journal_does_not_take_is_closed(tmp_path: Path) -> None:
    async with way(tmp_path, make_route()) as running:
        gate = asyncio.Event()
        running.upstream.then(b"never sent", before=(gate,))
        asking = running.asking(PATH)
        await running.upstream.arrived()
        with running.journal_failing():
            gate.set()
            assert (await asking).status == 503
            assert running.upstream.open == 0


async def test_a_stream_of_which_nothing_tells_the_end_is_free(tmp_path: Path) -> None:
    async with way(tmp_path, make_route()) as running:
        running.upstream.then(b"text", delimited=False)
        got = await running.ask(PATH)
        assert (got.body, got.tokens) == (b"text", (0, GRANT))


async def test_tokens_go_into_the_body_of_an_uncached_route(tmp_path: Path) -> None:
    async with way(tmp_path, make_route(tokens_in_body=True)) as running:
        got = await running.ask(PATH)
        assert got.body == b'{"call":1,"tokens_consumed":1,"tokens_remaining":1999}'


async def test_a_body_too_long_for_tokens_streams_without(tmp_path: Path) -> None:
    async with way(tmp_path, make_route(tokens_in_body=True)) as running:
        running.upstream.then(b"x" * (8 << 20), b"y")
        got = await running.ask(PATH)
        assert (len(got.body), got.tokens[0]) == ((8 << 20) + 1, 1)


async def test_a_body_for_tokens_that_drips_ends_at_the_total_timeout(tmp_path: Path) -> None:
    """Only streams are without one."""
    async with way(tmp_path, make_route(tokens_in_body=True), total_timeout=0.05) as running:
        running.upstream.then(b"{", asyncio.Event(), fields=JSON)
        assert ((await running.ask(PATH)).status, running.balance.charged) == (504, 0)


async def test_a_cut_body_for_tokens_is_truncated_and_free(tmp_path: Path) -> None:
    async with way(tmp_path, make_route(tokens_in_body=True)) as running:
        running.upstream.then(b'{"a":', fields=JSON, delimited=False)
        assert ((await running.ask(PATH)).status, running.balance.charged) == (502, 0)


@pytest.mark.parametrize(
    ("in_body", "shown"),
    [
        (False, "cache;desc=pass, upstream;dur=2000.00, total;dur=2000.00"),
        (True, "cache;desc=pass, upstream;dur=5000.00, total;dur=5000.00"),
    ],
    ids=["streams", "buffered for its tokens"],
)
async def test_how_long_the_upstream_took(tmp_path: Path, in_body: bool, shown: str) -> None:
    async with way(tmp_path, make_route(tokens_in_body=in_body)) as running:
        heading, more = asyncio.Event(), asyncio.Event()
        running.upstream.then(b'{"a":', more, b"1}", before=(heading,), fields=JSON)
        asking = running.asking(PATH)
        await running.upstream.arrived()
        running.clock.advance(2.0)
        heading.set()
        for _ in range(20):
            await asyncio.sleep(0)
        running.clock.advance(3.0)
        more.set()
        assert (await asking).fields.getall("Server-Timing") == [shown]


async def test_how_long_nobody_answered(tmp_path: Path) -> None:
    async with way(tmp_path, make_route()) as running:
        gate = asyncio.Event()
        running.upstream.then(before=(gate, Problem(Reason.upstream_read_timeout)))
        asking = running.asking(PATH)
        await running.upstream.arrived()
        running.clock.advance(9.0)
        gate.set()
        got = await asking
        assert got.fields["Server-Timing"] == "cache;desc=pass, upstream;dur=9000.00, total;dur=9000.00"
