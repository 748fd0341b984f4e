"""What lying upstreams send, byte by byte: bounded, free where it is no answer, stored only if it may be."""

import gzip
from collections.abc import Iterator

import httpx
import pytest
from support.answers import status_of, tokens
from support.config import KEY, UPSTREAM_SECRET, config, key_field, plan, product_route, route
from support.config import origin as own
from support.gateway import RunningGateway
from support.scripts import End, Endless, Pause, Script, answer, head, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

GROWTH = 32 << 20


@pytest.fixture(scope="module")
def doubting(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        route("/cached/{id}", "cached", cache={"ttl": "1h"}),
        route("/pass/{rest:.*}", "pass"),
        product_route(),
    ]
    upstreams = {"origin": own(origin.url, timeout={"connect": "1s", "first_byte": "500ms", "total": "1s"})}
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    whole = config(origin.url, *routes, upstreams=upstreams, keys=keys, plans={"pro": plan(100_000)})
    with RunningGateway(tmp_path_factory.mktemp("doubting"), whole) as running:
        yield running


@pytest.fixture
def client(doubting: RunningGateway) -> httpx.Client:
    return doubting.client(key_field())


def raw(*lines: str, content: bytes = b"ok") -> bytes:
    """A response of exactly these lines."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def chunks(*pieces: bytes) -> bytes:
    return head(200, "Transfer-Encoding: chunked") + b"".join(pieces)


OK = "HTTP/1.1 200 OK"
TWO = "Content-Length: 2"
PAD = b"X-Pad: " + b"a" * 1000 + b"\r\n"
INVALID = (502, "upstream_invalid")
LATE = (504, "upstream_read_timeout")

# What is no answer, or never comes to an end.
REFUSED: dict[str, tuple[Script, tuple[int, str]]] = {
    "a field without end": ((b"HTTP/1.1 200 OK\r\nX-A: ", Endless(b"a" * 10_000)), INVALID),
    "fields without end": ((b"HTTP/1.1 200 OK\r\n", Endless(PAD)), INVALID),
    "interim answers without end": ((Endless(head(100) * 50),), INVALID),
    "early hints without end": ((Endless(head(103, "Link: </a>") * 50),), INVALID),
    "trailers without end": ((chunks(b"2\r\nok\r\n0\r\n"), Endless(PAD)), INVALID),
    "a chunk extension without end": ((chunks(b"2;"), Endless(b"a" * 10_000)), LATE),
    "a byte now and then": ((head(200, "Content-Length: 99"), *(b"a", Pause(0.2)) * 10, End.hang), LATE),
    "a large field": ((raw(OK, "X-A: " + "a" * 70_000, TWO),), INVALID),
    "many fields": ((raw(OK, *[f"X-{number}: a" for number in range(1000)], TWO),), INVALID),
    "negative length": ((raw(OK, "Content-Length: -2"), End.close), INVALID),
    "length with a sign": ((raw(OK, "Content-Length: +2"), End.close), INVALID),
    "a list of lengths": ((raw(OK, "Content-Length: 2, 2"), End.close), INVALID),
    "more than its length": ((raw(OK, TWO, content=b"ok and more"),), INVALID),
    "chunk without its end": ((chunks(b"2\r\nokZZ\r\n"), End.hang), INVALID),
    "chunk size beyond 64 bits": ((chunks(b"f" * 18 + b"\r\n"), End.hang), INVALID),
    "length in the trailers": ((chunks(b"2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n"), End.hang), INVALID),
    "a coding nobody asked for": ((raw(OK, "Transfer-Encoding: gzip"), End.close), INVALID),
    "a coding below the chunks": (
        (raw(OK, "Transfer-Encoding: gzip, chunked", content=b"2\r\nok\r\n0\r\n\r\n"),),
        INVALID,
    ),
    "identity as a coding": ((raw(OK, "Transfer-Encoding: identity"), End.close), INVALID),
    "status 0": ((raw("HTTP/1.1 0 OK", TWO), End.close), INVALID),
    "status 099": ((raw("HTTP/1.1 099 OK", TWO), End.close), INVALID),
    "status 2000": ((raw("HTTP/1.1 2000 OK", TWO), End.close), INVALID),
    "status 999": ((raw("HTTP/1.1 999 OK", TWO),), (502, "upstream_error")),
    "version 2.0": ((raw("HTTP/2.0 200 OK", TWO), End.close), INVALID),
    "another protocol": ((raw("ICY 200 OK", TWO), End.close), INVALID),
    "no head": ((b"<html>hello</html>", End.close), INVALID),
    "carriage return in the reason": ((raw("HTTP/1.1 200 a\rX: y", TWO), End.close), INVALID),
    "carriage return in a field": ((raw(OK, "X-A: a\rSet-Cookie: b", TWO), End.close), INVALID),
    "NUL in a field": ((raw(OK, "X-A: a\0b", TWO), End.close), INVALID),
    "space before the colon": ((raw(OK, "X-A : a", TWO), End.close), INVALID),
    "204 with content": ((raw("HTTP/1.1 204 No Content", TWO), End.close), INVALID),
}


@pytest.mark.parametrize(("script", "refusal"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_answer_is_refused_free_and_not_stored(
    client: httpx.Client, origin: ScriptedUpstream, item: str, script: Script, refusal: tuple[int, str]
) -> None:
    path = f"/cached/{item}"
    before = tokens(client.get("/cached/balance"))[1]
    origin.then(path, *script)
    reply = client.get(path)
    assert (reply.status_code, reply.json()["reason"]) == refusal
    assert UPSTREAM_SECRET not in reply.text
    assert tokens(client.get("/cached/balance"))[1] == before - 1
    healed = client.get(path)
    assert (healed.status_code, status_of(healed).fwd) == (200, "uri-miss")


LONG = str(10**40)

# What is an answer, however odd -> its content, and whether it is stored.
TAKEN: dict[str, tuple[Script, bytes, bool]] = {
    "interim answers before": ((head(100) + head(103, "Link: </a>"), answer("ok")), b"ok", True),
    "no reason": ((raw("HTTP/1.1 200", TWO),), b"ok", True),
    "stray bytes in the reason": ((raw("HTTP/1.1 200 \xe9\xff", TWO),), b"ok", True),
    "stray bytes in a field": ((raw(OK, "X-A: \xe9\xff", TWO),), b"ok", True),
    "version 1.0": ((raw("HTTP/1.0 200 OK", TWO), End.close), b"ok", True),
    "trailers": ((chunks(b"2\r\nok\r\n0\r\nX-Trailer: a\r\n\r\n"),), b"ok", True),
    "JSON that is none": ((answer('{"a":', Content_Type="application/json"),), b'{"a":', True),
    "negative age": ((answer("ok", Age="-5"),), b"ok", True),
    "age without end": ((answer("ok", Age=LONG),), b"ok", False),
    "age in words": ((answer("ok", Age="old"),), b"ok", True),
    "max-age without end": ((answer("ok", Cache_Control=f"max-age={LONG}"),), b"ok", True),
    "negative max-age": ((answer("ok", Cache_Control="max-age=-1"),), b"ok", False),
    "dates in words": ((answer("ok", Date="yesterday", Expires="tomorrow"),), b"ok", False),
    "Vary on everything": ((answer("ok", Vary="*"),), b"ok", False),
    "a cookie": ((answer("ok", Set_Cookie="a=b"),), b"ok", False),
    "no length and no type": ((head(200), b"ok", End.close), b"ok", False),
    "a status nobody knows": ((answer("ok", 299),), b"ok", False),
    "a link that is none": ((answer("ok", Link='<<<>>>;;"', Location="http://[::1"),), b"ok", True),
}


@pytest.mark.parametrize(("script", "content", "kept"), TAKEN.values(), ids=TAKEN.keys())
def test_an_odd_answer_is_passed_on_and_stored_only_if_it_may_be(
    client: httpx.Client, origin: ScriptedUpstream, item: str, script: Script, content: bytes, kept: bool
) -> None:
    path = f"/cached/{item}"
    origin.script(path, *script)
    first, second = client.get(path), client.get(path)
    assert (first.content, second.content) == (content, content)
    assert status_of(second).hit is kept
    assert len(origin.calls(path)) == (1 if kept else 2)
    assert not {"x-trailer", "x-hop"} & set(first.headers)


def test_a_second_answer_to_one_request_is_nobodys(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/pass/{item}", answer("own") + answer("foreign"))
    origin.script(f"/pass/{item}-next", answer("next"))
    assert client.get(f"/pass/{item}").text == "own"
    assert client.get(f"/pass/{item}-next").text == "next"


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
    assert client.get("/cached/last").status_code == 200
    samples = doubting.metrics()
    assert samples.value("gateway_fetches_in_flight") == 0
    assert samples.total("gateway_ledger_drift_tokens") == 0
    assert all(secret not in doubting.log for secret in (KEY, UPSTREAM_SECRET))
