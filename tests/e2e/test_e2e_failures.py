"""Every upstream failure from outside: status, code and reason, free of charge, and nothing stored."""

from collections.abc import Iterator

import httpx
import pytest
from support.addresses import HOST, free_port, unanswering
from support.answers import status_of, tokens
from support.config import KEY, UPSTREAM_SECRET, Config, config, key_field, plan, route
from support.config import origin as own
from support.gateway import RunningGateway
from support.load import connections
from support.scripts import End, Gate, Pause, Script, answer, head, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Answer, Connection

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"


def routes_of(*names: str) -> list[Config]:
    cached = [route(f"/{name}/{{id}}", name, upstream=name, cache={"ttl": "1h"}) for name in names]
    return [*cached, route("/pass/{rest:.*}", "pass", upstream="quick")]


@pytest.fixture(scope="module")
def failing(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with unanswering() as silent:
        upstreams = {
            "quick": own(origin.url, timeout={"connect": "1s", "first_byte": "300ms", "total": "600ms"}),
            "refused": own(f"http://{HOST}:{free_port()}"),
            "nowhere": own("http://nowhere.invalid"),
            "silent": own(f"http://{HOST}:{silent}", timeout={"connect": "200ms"}),
            "narrow": own(origin.url, limits={"connections": 1, "queue": 1, "wait": "10s"}),
            "impatient": own(origin.url, limits={"connections": 1, "queue": 10, "wait": "100ms"}),
        }
        routes = [
            *routes_of(*upstreams),
            route("/public/{rest:.*}", "public", upstream="quick", access="public"),
        ]
        keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
        limits = {"target": "2KiB", "fields": "8KiB", "body": "64KiB"}
        whole = config(origin.url, *routes, upstreams=upstreams, keys=keys, plans={"pro": plan(100_000)}, limits=limits)
        with RunningGateway(tmp_path_factory.mktemp("failing"), whole) as running:
            yield running


@pytest.fixture
def client(failing: RunningGateway) -> httpx.Client:
    return failing.client(key_field())


def chunked(*chunks: bytes) -> bytes:
    return head(200, "Transfer-Encoding: chunked") + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks)


TRUNCATED, INVALID = (
    (502, "upstream_unavailable", "upstream_truncated"),
    (502, "upstream_unavailable", "upstream_invalid"),
)
REJECTED = (502, "upstream_unavailable", "upstream_credentials_rejected")
LIMITED = (503, "service_unavailable", "upstream_rate_limited")
LATE = (504, "upstream_timeout", "upstream_read_timeout")

# What the upstream does -> status, code and reason of the answer on a cached, metered route.
FAILURES: dict[str, tuple[Script, tuple[int, str, str]]] = {
    "500": ((answer("secret trace", 500),), (502, "upstream_unavailable", "upstream_error")),
    "501": ((answer("secret trace", 501),), (502, "upstream_unavailable", "upstream_error")),
    "401": ((answer("secret trace", 401),), REJECTED),
    "402": ((answer("secret trace", 402),), REJECTED),
    "403": ((answer("secret trace", 403),), REJECTED),
    "407": ((answer("secret trace", 407),), REJECTED),
    "429": ((answer("secret trace", 429, Retry_After="17"),), LIMITED),
    "no answer": ((End.hang,), LATE),
    "no end": ((head(200, "Content-Length: 9") + b"half", End.hang), LATE),
    "closed at once": ((End.close,), TRUNCATED),
    "reset at once": ((End.reset,), TRUNCATED),
    "half a head": ((b"HTTP/1.1 200 OK\r\nContent-", End.close), TRUNCATED),
    "short body": ((head(200, "Content-Length: 9") + b"half", End.close), TRUNCATED),
    "short body, reset": ((head(200, "Content-Length: 9") + b"half", End.reset), TRUNCATED),
    "chunked without end": ((chunked(b"half"), End.close), TRUNCATED),
    "close-delimited, reset": ((head(200, "Content-Type: application/json"), b'{"a": [1', End.reset), TRUNCATED),
    "garbage": ((b"\x00\x01\x02 garbage\r\n\r\n", End.close), INVALID),
    "bad status line": ((b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", End.close), INVALID),
    "bad chunk": ((head(200, "Transfer-Encoding: chunked") + b"zz\r\n\r\n", End.close), INVALID),
    "bad chunk, later": ((chunked(b"half"), Pause(0.05), b"zz\r\n\r\n", End.close), INVALID),
    "bad length": ((head(200, "Content-Length: nine"), End.close), INVALID),
    "two lengths": ((head(200, "Content-Length: 4", "Content-Length: 5"), b"bodys", End.close), INVALID),
    "length and chunked": (
        (head(200, "Content-Length: 4", "Transfer-Encoding: chunked"), b"4\r\nbody\r\n0\r\n\r\n", End.close),
        INVALID,
    ),
    "unasked 304": ((head(304),), INVALID),
    "101": ((head(101, "Upgrade: other", "Connection: upgrade"), End.close), INVALID),
}


@pytest.mark.parametrize(("script", "expected"), FAILURES.values(), ids=FAILURES.keys())
def test_an_upstream_failure_has_its_answer_is_free_and_not_stored(
    client: httpx.Client, origin: ScriptedUpstream, item: str, script: Script, expected: tuple[int, str, str]
) -> None:
    before = tokens(client.get("/quick/balance"))[1]
    path = f"/quick/{item}"
    origin.script(path, *script)
    reply = client.get(path)
    problem = reply.json()
    assert (reply.status_code, problem["code"], problem["reason"]) == expected, problem
    assert "secret trace" not in reply.text
    assert UPSTREAM_SECRET not in reply.text
    assert status_of(reply).stored is False
    assert tokens(client.get("/quick/balance"))[1] == before - 1
    origin.script(path, json_answer({"well": "again"}))
    healed = client.get(path)
    assert (healed.status_code, status_of(healed).fwd) == (200, "uri-miss")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (502, (502, "upstream_unavailable", "upstream_error")),
        (503, (503, "service_unavailable", "upstream_unavailable")),
        (504, (504, "upstream_timeout", "upstream_read_timeout")),
    ],
)
def test_gateway_errors_of_the_upstream_keep_their_meaning(
    client: httpx.Client, origin: ScriptedUpstream, item: str, status: int, expected: tuple[int, str, str]
) -> None:
    origin.script(f"/quick/{item}", answer("secret trace", status, Retry_After="9"))
    reply = client.get(f"/quick/{item}")
    problem = reply.json()
    assert (reply.status_code, problem["code"], problem["reason"]) == expected
    assert "secret trace" not in reply.text


@pytest.mark.parametrize("value", ["17", "Sun, 06 Nov 1994 08:49:54 GMT"], ids=["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_an_upstreams_retry_after_is_kept(
    client: httpx.Client, origin: ScriptedUpstream, item: str, status: int, value: str
) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    origin.script(f"/quick/{item}", answer("slow down", status, Date=date, Retry_After=value))
    assert client.get(f"/quick/{item}").headers["Retry-After"] == "17"


UNREACHABLE = {
    "refused": ("/refused/1", (502, "upstream_unavailable", "upstream_refused")),
    "dns": ("/nowhere/1", (502, "upstream_unavailable", "upstream_dns")),
    "connect timeout": ("/silent/1", (504, "upstream_timeout", "upstream_connect_timeout")),
}


@pytest.mark.parametrize(("target", "expected"), UNREACHABLE.values(), ids=UNREACHABLE.keys())
def test_an_upstream_that_cannot_be_reached(client: httpx.Client, target: str, expected: tuple[int, str, str]) -> None:
    before = tokens(client.get("/quick/balance"))[1]
    problem = client.get(target).json()
    assert (problem["status"], problem["code"], problem["reason"]) == expected
    assert tokens(client.get("/quick/balance"))[1] == before - 1


async def ask(connection: Connection, target: str) -> Answer:
    connection.request("GET", target, AUTHORIZED)
    return await connection.answer()


async def test_a_full_queue_is_refused_with_retry_after(
    failing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    gate = Gate()
    for number in range(5):
        origin.script(f"/narrow/{item}-{number}", gate, answer("late"))
    async with connections(failing.address, 3) as (busy, waiting, refused):
        busy.request("GET", f"/narrow/{item}-0", AUTHORIZED)
        await origin.arrived(f"/narrow/{item}-0")
        waiting.request("GET", f"/narrow/{item}-1", AUTHORIZED)
        async with await Connection.open(failing.address) as probe:
            assert (await ask(probe, "/quick/probe")).status == 200
        reply = await ask(refused, f"/narrow/{item}-2")
        assert (reply.status, reply.json()["reason"]) == (503, "upstream_queue_full")
        assert int(reply.field("Retry-After") or 0) >= 1
        gate.open()
        assert [(await caller.answer()).body for caller in (busy, waiting)] == [b"late", b"late"]
    assert not origin.calls(f"/narrow/{item}-2")


async def test_waiting_too_long_for_a_connection_is_refused(
    failing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    gate = Gate()
    origin.script(f"/impatient/{item}-0", gate, answer("late"))
    async with connections(failing.address, 2) as (busy, refused):
        busy.request("GET", f"/impatient/{item}-0", AUTHORIZED)
        await origin.arrived(f"/impatient/{item}-0")
        reply = await ask(refused, f"/impatient/{item}-1")
        assert (reply.status, reply.json()["reason"]) == (503, "upstream_queue_full")
        gate.open()
        assert (await busy.answer()).body == b"late"


def test_a_close_delimited_body_that_parses_is_taken(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/quick/{item}", head(200, "Content-Type: application/json"), b'{"a": 1}', End.close)
    assert client.get(f"/quick/{item}").json() == {"a": 1}


def test_a_post_is_never_sent_twice(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path = f"/pass/{item}"
    assert client.get(path).status_code == 200
    origin.script(path, End.reset)
    assert client.post(path, content=b"once").status_code == 502
    assert [call.method for call in origin.calls(path)] == ["GET", "POST"]


def test_a_get_on_a_dead_kept_connection_is_sent_once_more(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/pass/{item}"
    origin.then(path, answer("first"))
    origin.then(path, End.reset)
    origin.then(path, answer("third"))
    assert client.get(path).text == "first"
    assert client.get(path).text == "third"


def test_bodies_of_5xx_pass_on_public_routes_only(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/public/{item}", answer("the upstream's words", 500))
    origin.script(f"/pass/{item}", answer("the upstream's words", 500))
    passed, replaced = client.get(f"/public/{item}"), client.get(f"/pass/{item}")
    assert (passed.status_code, passed.text) == (500, "the upstream's words")
    assert (replaced.status_code, "words" in replaced.text) == (502, False)


def test_nothing_of_a_failure_or_a_key_is_in_the_log(
    failing: RunningGateway, client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/quick/{item}", answer("secret trace", 500, X_Secret="secret field"))
    client.get(f"/quick/{item}")
    client.get("/refused/1")
    for secret in (KEY, UPSTREAM_SECRET, "secret trace", "secret field"):
        assert secret not in failing.log
