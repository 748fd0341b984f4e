"""An exchange and its bounds: what is asked for again, whose answer an answer is, and who follows a redirect."""

from collections.abc import Iterator

import httpx
import pytest
from support.config import KEY, config, key_field, route
from support.config import origin as own
from support.early import EarlyUpstream
from support.gateway import RunningGateway
from support.scripts import End, Gate, Script, answer, head
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"
ROUTES = ("cached", "pure", "pass")


@pytest.fixture(scope="module")
def early() -> Iterator[EarlyUpstream]:
    with EarlyUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def asking(
    origin: ScriptedUpstream, early: EarlyUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    routes = [
        route("/cached/{id}", "cached", upstream="origin", cache={"ttl": "1h"}),
        route("/pure/{id}", "pure", upstream="origin", access="public", cache={}),
        route("/pass/{rest:.*}", "pass", upstream="origin"),
        route("/early/{rest:.*}", "early", upstream="early"),
    ]
    whole = config(origin.url, *routes, upstreams={"origin": own(origin.url), "early": own(early.url)})
    with RunningGateway(tmp_path_factory.mktemp("asking"), whole) as running:
        yield running


@pytest.fixture
def client(asking: RunningGateway) -> httpx.Client:
    return asking.client(key_field())


def test_a_second_answer_to_one_request_is_nobodys(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/pass/{item}", answer("own") + answer("foreign"))
    origin.script(f"/pass/{item}-next", answer("next"))
    assert client.get(f"/pass/{item}").text == "own"
    assert client.get(f"/pass/{item}-next").text == "next"


@pytest.mark.parametrize(
    ("method", "status", "fields"),
    [("HEAD", 200, {}), ("GET", 304, {"If-None-Match": '"a"'}), ("GET", 204, {})],
    ids=["HEAD", "304", "204"],
)
def test_content_where_there_is_none_is_nobodys(
    client: httpx.Client, origin: ScriptedUpstream, item: str, method: str, status: int, fields: dict[str, str]
) -> None:
    """RFC 9112 §6.3: the answer ends with its head; what follows it ends the connection."""
    gate = Gate()
    origin.then(f"/pass/{item}", head(status), gate, answer("foreign"))
    assert client.request(method, f"/pass/{item}", headers=fields).status_code == status
    gate.open()
    origin.wait(lambda: not origin.in_flight[f"/pass/{item}"])
    origin.script(f"/pass/{item}-next", answer("next"))
    assert client.get(f"/pass/{item}-next").text == "next"


@pytest.mark.parametrize("end", ["", "/close"], ids=["kept", "closed"])
async def test_an_answer_may_come_before_the_requests_content(
    asking: RunningGateway, early: EarlyUpstream, item: str, end: str
) -> None:
    """The client gets it, and nothing that it still sends is taken for a request (RFC 9112 §9.2)."""
    smuggled = f"GET /{item}/smuggled HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    async with await Connection.open(asking.address) as connection:
        length = f"Content-Length: {2 * len(smuggled)}"
        connection.request("POST", f"/early/{item}{end}", AUTHORIZED, length, body=smuggled)
        reply = await connection.answer()
        assert (reply.status, reply.body) == (200, f"POST /early/{item}{end} HTTP/1.1".encode())
        connection.send(smuggled)
    async with await Connection.open(asking.address) as connection:
        connection.request("GET", f"/early/{item}/next", AUTHORIZED)
        assert (await connection.answer()).body == f"GET /early/{item}/next HTTP/1.1".encode()
    mine = [line for line in early.heard if item in line and "smuggled" not in line]
    assert mine == [f"POST /early/{item}{end} HTTP/1.1", f"GET /early/{item}/next HTTP/1.1"]


AGAIN: dict[str, tuple[str, bytes, Script, int]] = {
    "GET, closed": ("GET", b"", (End.close,), 2),
    "GET, reset": ("GET", b"", (End.reset,), 2),
    "HEAD, closed": ("HEAD", b"", (End.close,), 2),
    "GET with content": ("GET", b"content", (End.close,), 1),
    "OPTIONS": ("OPTIONS", b"", (End.close,), 1),
    "POST": ("POST", b"content", (End.close,), 1),
    "POST without content": ("POST", b"", (End.reset,), 1),
    "PUT": ("PUT", b"content", (End.reset,), 1),
    "DELETE": ("DELETE", b"", (End.close,), 1),
    "after the first byte": ("GET", b"", (b"H", End.close), 1),
    "after the first byte, reset": ("GET", b"", (b"H", End.reset), 1),
    "after an interim answer": ("GET", b"", (head(103), End.reset), 1),
    "after the head": ("HEAD", b"", (head(200, "Content-Length: 9"), End.close), 1),
    "invalid": ("GET", b"", (b"SMTP\r\n\r\n", End.close), 1),
}


@pytest.mark.parametrize(("method", "content", "script", "calls"), AGAIN.values(), ids=AGAIN.keys())
def test_only_what_is_safe_and_unanswered_is_asked_for_again(
    asking: RunningGateway,
    client: httpx.Client,
    origin: ScriptedUpstream,
    item: str,
    method: str,
    content: bytes,
    script: Script,
    calls: int,
) -> None:
    """RFC 9110 §9.2.2; once, and counted."""
    path = f"/pass/{item}"
    origin.script(path, *script)
    before = asking.metrics().value("gateway_upstream_retries_total", upstream="origin")
    client.request(method, path, content=content)
    assert len(origin.calls(path)) == calls
    assert asking.metrics().value("gateway_upstream_retries_total", upstream="origin") == before + calls - 1


@pytest.mark.parametrize("kind", ROUTES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_the_clients_to_follow(
    client: httpx.Client, origin: ScriptedUpstream, item: str, status: int, kind: str
) -> None:
    origin.then(f"/{kind}/{item}", answer("moved", status, Location=f"{origin.url}/{kind}/{item}-new"))
    reply = client.get(f"/{kind}/{item}")
    assert (reply.status_code, reply.headers["Location"]) == (status, f"/{kind}/{item}-new")
    assert not origin.calls(f"/{kind}/{item}-new")
