"""What one caller's request led to and others must not get: answers to conditions, ranges, cookies, credentials."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from support.answers import status_of, tokens
from support.config import KeyRing, config, plan, route
from support.config import origin as own
from support.gateway import RunningGateway
from support.scripts import Gate, Received, answer, head
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

RING = KeyRing(40, "pro")
TTL = {"ttl": "1h"}
PRICE = {"base": 1, "force_refresh": 3}
REFRESH = {"query": ["force_refresh"]}


@pytest.fixture(scope="module")
def apart(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        route("/pure/{id}", "pure", access="public", cache={}),
        route("/keyed/{id}", "keyed", cache={}),
        route("/theirs/{id}", "theirs", cache=TTL, price=PRICE, refresh=REFRESH, upstream="client"),
        route("/paid/{rest:.*}", "paid", cache=TTL, rewrite={"strip_prefix": "/paid"}),
        route("/free/{rest:.*}", "free", cache=TTL, rewrite={"strip_prefix": "/free"}, access="public"),
    ]
    for entry in routes:
        entry.setdefault("upstream", "origin")
    upstreams = {"origin": own(origin.url), "client": {"url": origin.url, "credentials": "client"}}
    whole = config(origin.url, *routes, upstreams=upstreams, keys=RING.keys, plans={"pro": plan(2000)})
    with RunningGateway(tmp_path_factory.mktemp("apart"), whole) as running:
        yield running


@pytest.fixture
def client(apart: RunningGateway) -> httpx.Client:
    return apart.client(RING.take())


@pytest.fixture
def stranger(apart: RunningGateway) -> httpx.Client:
    return apart.client()


def tagged(request: Received) -> bytes:
    if request.field("If-None-Match") == '"a"':
        return head(304, 'ETag: "a"')
    return answer("whole", ETag='"a"', Cache_Control="max-age=600")


def test_a_clients_condition_is_answered_where_nothing_is_stored(
    stranger: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/pure/{item}"
    origin.script(path, tagged)
    reply = stranger.get(path, headers={"If-None-Match": '"a"'})
    assert (reply.status_code, reply.content, reply.headers["ETag"]) == (304, b"", '"a"')
    assert status_of(reply).stored
    assert origin.calls(path)[0].field("If-None-Match") is None
    assert status_of(whole := stranger.get(path)).hit
    assert whole.text == "whole"


def test_a_clients_condition_is_not_mixed_with_the_gateways_own(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/keyed/{item}"
    origin.then(path, answer("whole", ETag='"a"', Cache_Control="max-age=0"))
    origin.script(path, tagged)
    client.get(path)
    reply = client.get(path, headers={"If-None-Match": '"other"', "If-Match": '"b"', "Range": "bytes=0-1"})
    assert (reply.status_code, reply.text, tokens(reply)) == (206, "wh", (1, 1998))
    (_, validating) = origin.calls(path)
    assert [validating.field(name) for name in ("If-None-Match", "If-Match", "Range")] == ['"a"', '"b"', None]


@pytest.mark.parametrize(
    ("status", "fields"),
    [(416, {"Range": "bytes=900-"}), (412, {"If-Match": '"b"'}), (206, {"Range": "bytes=0-1"})],
)
def test_what_a_range_or_condition_led_to_is_stored_for_nobody(
    stranger: httpx.Client, origin: ScriptedUpstream, item: str, status: int, fields: dict[str, str]
) -> None:
    path = f"/pure/{item}"
    origin.then(path, answer("no", status, Cache_Control="max-age=600"))
    origin.script(path, answer("whole", Cache_Control="max-age=600"))
    assert stranger.get(path, headers=fields).status_code == status
    reply = stranger.get(path)
    assert (reply.status_code, reply.text) == (200, "whole")


async def test_an_answer_to_a_cookie_is_not_given_to_who_waits(
    apart: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/pure/{item}", Gate()
    origin.script(path, gate, lambda request: answer(f"for {request.field('Cookie')}"))
    async with httpx.AsyncClient(base_url=apart.url, trust_env=False, timeout=20) as caller:
        waiting = [asyncio.create_task(caller.get(path, headers={"Cookie": f"user={n}"})) for n in range(5)]
        await origin.arrived(path)
        gate.open()
        replies = await asyncio.gather(*waiting)
    assert [reply.text for reply in replies] == [f"for user={n}" for n in range(5)]


def test_the_public_gets_nothing_that_credentials_were_for(
    client: httpx.Client, stranger: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/{item}", lambda request: answer("paid" if request.field("Authorization") else "open"))
    assert client.get(f"/paid/{item}").text == "paid"
    assert stranger.get(f"/free/{item}").text == "open"
    assert (client.get(f"/paid/{item}").text, stranger.get(f"/free/{item}").text) == ("paid", "open")
    assert len(origin.calls(f"/{item}")) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 429])
def test_a_refresh_that_the_upstream_refuses_outdates_nothing_and_has_no_surcharge(
    client: httpx.Client, origin: ScriptedUpstream, item: str, status: int
) -> None:
    """Where the credentials are the client's, such an answer is passed on and charged, but it is no fresh data."""
    path = f"/theirs/{item}"
    origin.then(path, answer("good"))
    origin.script(path, answer("refused", status))
    client.get(path)
    refused = client.get(f"{path}?force_refresh=true")
    assert (refused.status_code, tokens(refused)) == (status, (1, 1998))
    kept = client.get(path)
    assert (status_of(kept).hit, kept.text) == (True, "good")


def test_a_refresh_that_finds_the_thing_gone_is_fresh_data(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/theirs/{item}"
    origin.then(path, answer("good"))
    origin.script(path, answer("gone", 404))
    client.get(path)
    gone = client.get(f"{path}?force_refresh=true")
    assert (gone.status_code, tokens(gone)[0]) == (404, 4)
    assert not status_of(client.get(path)).hit
