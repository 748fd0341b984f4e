"""What lying upstreams send: bounded, free where it is no answer, stored only if it may be, cut where its head is out.

On a route with a ttl, on a public one where the origin's fields alone decide (`pure`), and on one that does not cache.
"""

import asyncio
import gzip
from collections.abc import Iterator

import httpx
import pytest
from support.answers import cache_status, status_of, tokens
from support.config import KEY, UPSTREAM_SECRET, config, key_field, plan, product_route, route
from support.config import origin as own
from support.gateway import RunningGateway
from support.lying import BAD_CONTENT, BAD_HEADS, ODD, TRUNCATED, Refusal
from support.scripts import End, Endless, Gate, Script, Step, answer, head, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Answer, Connection

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"
GROWTH = 32 << 20
ROUTES = ("cached", "pure", "pass")
BUFFERING = ("cached", "pure")
MOST = 64 << 10


@pytest.fixture(scope="module")
def doubting(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        route("/cached/{id}", "cached", cache={"ttl": "1h", "max_body": "64KiB"}),
        route("/pure/{id}", "pure", access="public", cache={"max_body": "64KiB"}),
        route("/pass/{rest:.*}", "pass"),
        product_route(),
    ]
    upstreams = {"origin": own(origin.url, timeout={"connect": "1s", "first_byte": "500ms", "total": "1s"})}
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    whole = config(origin.url, *routes, upstreams=upstreams, keys=keys, plans={"pro": plan(100_000)})
    with RunningGateway(tmp_path_factory.mktemp("doubting"), whole, alone=True) as running:
        yield running


@pytest.fixture
def client(doubting: RunningGateway) -> httpx.Client:
    return doubting.client(key_field())


def key_of(target: str) -> list[str]:
    """RFC 9111 §3.5 would keep what was asked for with an Authorization out of a public route's store."""
    return [] if target.startswith("/pure/") else [AUTHORIZED]


async def ask(connection: Connection, target: str, method: str = "GET") -> Answer:
    connection.request(method, target, *key_of(target))
    return await connection.answer(method)


async def balance(connection: Connection) -> int:
    """The tokens left, which asking costs one of; only a connection that was kept can tell."""
    return int((await ask(connection, "/cached/balance")).field("X-Tokens-Remaining") or "")


async def heals(connection: Connection, path: str) -> bool:
    """Whether the upstream is asked for `path` again: nothing was stored."""
    reply = await ask(connection, path)
    return reply.status == 200 and cache_status(reply.field("Cache-Status")).fwd in ("uri-miss", "bypass")


async def assert_refused(doubting: RunningGateway, origin: ScriptedUpstream, path: str, refusal: Refusal) -> None:
    """One call, no charge, nothing stored, and the client's connection goes on."""
    async with await Connection.open(doubting.address) as connection:
        before = await balance(connection)
        reply = await ask(connection, path)
        assert (reply.status, reply.json()["reason"]) == refusal
        assert UPSTREAM_SECRET not in reply.body.decode()
        assert await balance(connection) == before - 1
        assert len(origin.calls(path)) == 1
        assert await heals(connection, path)


async def assert_cut(
    doubting: RunningGateway, origin: ScriptedUpstream, path: str, begun: bytes, gate: Gate, *rest: Step
) -> None:
    """One call, the client's connection aborted as the head had gone, refunded, and nothing stored."""
    origin.then(path, begun, gate, *rest)
    async with await Connection.open(doubting.address) as checking, await Connection.open(doubting.address) as cut:
        before = await balance(checking)
        cut.request("GET", path, *key_of(path))
        status, fields = await cut.head()
        gate.open()
        reply = await cut.with_content(status, fields)
        assert (reply.status, reply.complete) == (200, False)
        assert await cut.ended() == b""
        assert await balance(checking) == before - 1
        assert len(origin.calls(path)) == 1
        assert await heals(checking, path)


@pytest.mark.parametrize("kind", ROUTES)
@pytest.mark.parametrize(("script", "refusal"), BAD_HEADS.values(), ids=BAD_HEADS.keys())
async def test_what_is_no_answer_is_refused(
    doubting: RunningGateway, origin: ScriptedUpstream, item: str, script: Script, refusal: Refusal, kind: str
) -> None:
    origin.then(f"/{kind}/{item}", *script)
    await assert_refused(doubting, origin, f"/{kind}/{item}", refusal)


@pytest.mark.parametrize("kind", BUFFERING)
@pytest.mark.parametrize(("begun", "rest", "refusal"), BAD_CONTENT.values(), ids=BAD_CONTENT.keys())
async def test_content_that_breaks_is_refused_where_it_is_buffered(
    doubting: RunningGateway,
    origin: ScriptedUpstream,
    item: str,
    begun: bytes,
    rest: tuple[Step, ...],
    refusal: Refusal,
    kind: str,
) -> None:
    origin.then(f"/{kind}/{item}", begun, *rest)
    await assert_refused(doubting, origin, f"/{kind}/{item}", refusal)


@pytest.mark.parametrize(("begun", "rest"), [row[:2] for row in BAD_CONTENT.values()], ids=BAD_CONTENT.keys())
async def test_content_that_breaks_is_cut_where_it_streams(
    doubting: RunningGateway, origin: ScriptedUpstream, item: str, begun: bytes, rest: tuple[Step, ...]
) -> None:
    await assert_cut(doubting, origin, f"/pass/{item}", begun, Gate(), *rest)


@pytest.mark.parametrize("kind", ROUTES)
@pytest.mark.parametrize(
    ("begun", "end"),
    [
        (head(200, f"Content-Length: {MOST * 4}", "Cache-Control: max-age=60"), End.reset),
        (head(200, "Transfer-Encoding: chunked", "Cache-Control: max-age=60") + b"%x\r\n" % (MOST * 4), End.close),
    ],
    ids=["length", "chunks"],
)
async def test_content_over_the_size_cap_that_breaks_is_cut(
    doubting: RunningGateway, origin: ScriptedUpstream, item: str, begun: bytes, end: End, kind: str
) -> None:
    await assert_cut(doubting, origin, f"/{kind}/{item}", begun + b"a" * MOST * 3, Gate(), end)


@pytest.mark.parametrize("kind", ROUTES)
async def test_content_without_end_is_bounded_by_who_reads_it(
    doubting: RunningGateway, origin: ScriptedUpstream, item: str, kind: str
) -> None:
    """Passed on piece by piece, never held, never stored, and given up with its client."""
    path = f"/{kind}/{item}"
    origin.then(path, head(200, "Cache-Control: max-age=60"), Endless(b"a" * 10_000))
    held = doubting.resident()
    async with await Connection.open(doubting.address) as connection:
        connection.request("GET", path, *key_of(path))
        assert (await connection.head())[0] == 200
        for _ in range(64):
            await connection.reader.readexactly(1 << 20)
        connection.hang_up()
    await asyncio.to_thread(origin.wait, lambda: not origin.in_flight[path])
    assert doubting.resident() - held < GROWTH
    async with await Connection.open(doubting.address) as connection:
        assert await heals(connection, path)


@pytest.mark.parametrize("kind", ROUTES)
async def test_a_cut_that_cannot_be_seen_is_free_and_not_stored(
    doubting: RunningGateway, origin: ScriptedUpstream, item: str, kind: str
) -> None:
    """Content that only an orderly close ends (RFC 9112 §8): JSON that does not parse is known to be cut."""
    path = f"/{kind}/{item}"
    cut = head(200, "Content-Type: application/json", "Cache-Control: max-age=60")
    origin.then(path, cut, b'{"a": [1', End.close)
    if kind in BUFFERING:
        await assert_refused(doubting, origin, path, TRUNCATED)
        return
    async with await Connection.open(doubting.address) as connection:
        before = await balance(connection)
        assert (await ask(connection, path)).body == b'{"a": [1'
        assert await balance(connection) == before - 1
        assert await heals(connection, path)


@pytest.mark.parametrize("kind", ROUTES)
@pytest.mark.parametrize(("script", "content", "kept", "kept_if_pure"), ODD.values(), ids=ODD.keys())
def test_an_odd_answer_is_passed_on_and_stored_only_if_it_may_be(
    doubting: RunningGateway,
    origin: ScriptedUpstream,
    item: str,
    script: Script,
    content: bytes,
    kept: bool,
    kept_if_pure: bool,
    kind: str,
) -> None:
    path = f"/{kind}/{item}"
    stored = {"cached": kept, "pure": kept_if_pure, "pass": False}[kind]
    origin.script(path, *script)
    client = doubting.client(None if kind == "pure" else key_field())
    first, second = client.get(path), client.get(path)
    assert (first.content, second.content) == (content, content)
    assert status_of(second).hit is stored
    assert len(origin.calls(path)) == (1 if stored else 2)
    assert not {"x-trailer", "x-hop"} & set(first.headers)


@pytest.mark.parametrize(("kind", "expected"), [("cached", 502), ("pure", 999), ("pass", 502)])
async def test_a_status_of_no_class_is_an_error(
    doubting: RunningGateway, origin: ScriptedUpstream, item: str, kind: str, expected: int
) -> None:
    """RFC 9110 §15: one above 599 is treated as a 5xx, which public routes pass on."""
    origin.then(f"/{kind}/{item}", answer("ok", 999))
    async with await Connection.open(doubting.address) as connection:
        before = await balance(connection)
        assert (await ask(connection, f"/{kind}/{item}")).status == expected
        assert await balance(connection) == before - 1
        assert await heals(connection, f"/{kind}/{item}")


def test_coded_content_is_never_unpacked(doubting: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    held = doubting.resident()
    bomb = gzip.compress(b"0" * (100 << 20))
    client = doubting.client(key_field())
    for path in (f"/cached/{item}", f"/v1/products/{item}"):
        origin.script(path, answer(bomb, Content_Encoding="gzip", Content_Type="application/json"))
        with client.stream("GET", path) as reply:
            assert b"".join(reply.iter_raw()) == bomb
    assert doubting.resident() - held < GROWTH


def test_an_upstream_cannot_speak_for_the_gateway(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    said = json_answer(
        {"tokens_consumed": 0, "a": 1, "tokens_remaining": 0},
        X_Request_Id="theirs",
        X_Tokens_Consumed="0",
        X_Tokens_Remaining="0",
        X_RateLimit_Tokens_Remaining="0",
    )
    origin.script(f"/v1/products/{item}", said)
    for _ in range(2):
        reply = client.get(f"/v1/products/{item}", headers={"X-Request-Id": "ours"})
        assert reply.headers.get_list("X-Request-Id") == ["ours"]
        assert reply.headers.get_list("X-Tokens-Consumed") == ["1"]
        [left] = reply.headers.get_list("X-Tokens-Remaining")
        assert reply.headers.get_list("X-RateLimit-Tokens-Remaining") == [left] != ["0"]
        assert reply.json() == {"a": 1, "tokens_consumed": 1, "tokens_remaining": int(left)}


def test_fields_that_connection_nominates_end_here(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(
        f"/cached/{item}",
        answer("ok", Connection="X-Hop, keep-alive", X_Hop="1", Keep_Alive="timeout=5", Upgrade="h2c", X_End="2"),
    )
    for _ in range(2):
        reply = client.get(f"/cached/{item}")
        assert not {"x-hop", "keep-alive", "upgrade", "connection"} & set(reply.headers)
        assert reply.headers["X-End"] == "2"


def test_after_all_of_it_nothing_is_in_flight_or_astray(doubting: RunningGateway, client: httpx.Client) -> None:
    assert tokens(client.get("/cached/last"))[0] == 1
    samples = doubting.metrics()
    assert samples.value("gateway_fetches_in_flight") == 0
    assert samples.total("gateway_ledger_drift_tokens") == 0
    assert all(secret not in doubting.log for secret in (KEY, UPSTREAM_SECRET))
