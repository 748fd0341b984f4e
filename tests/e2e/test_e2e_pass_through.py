"""Everything else passes: methods, bodies, fields and statuses that the gateway neither caches nor changes."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.addresses import HOST, free_port
from support.answers import status_of
from support.config import KEY, UPSTREAM_SECRET, config, key_field, route
from support.config import origin as own
from support.gateway import RunningGateway, StartGateway
from support.scripts import answer, head
from support.upstream import ScriptedUpstream
from support.wire import Connection, values

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"
MIB = 1 << 20


@pytest.fixture(scope="module")
def passing(
    origin: ScriptedUpstream, httpbin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    upstreams = {
        "httpbin": own(httpbin),
        "scripted": own(origin.url),
        "client": {"url": origin.url, "credentials": "client"},
        "based": own(f"{origin.url}/base/v2"),
        "several": own([f"http://{HOST}:{free_port()}", origin.url]),
    }
    everything = "/{rest:.*}"
    routes = [
        route(f"/httpbin{everything}", "httpbin", upstream="httpbin", rewrite={"strip_prefix": "/httpbin"}),
        route(f"/open{everything}", "open", upstream="httpbin", access="public", rewrite={"strip_prefix": "/open"}),
        route(f"/client{everything}", "client", upstream="client"),
        route(f"/based{everything}", "based", upstream="based", rewrite={"strip_prefix": "/based"}),
        route(f"/several{everything}", "several", upstream="several"),
        route(f"/public{everything}", "public", upstream="scripted", access="public"),
        {
            "name": "other-host",
            "match": {"host": "other.example", "path": everything},
            "upstream": "based",
        },
        route(everything, "rest", upstream="scripted"),
    ]
    whole = config(origin.url, *routes, upstreams=upstreams, limits={"body": "100MiB"})
    with RunningGateway(tmp_path_factory.mktemp("passing"), whole) as running:
        yield running


@pytest.fixture
def client(passing: RunningGateway) -> httpx.Client:
    return passing.client(key_field())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_methods_queries_and_bodies_reach_httpbin(client: httpx.Client, method: str) -> None:
    body = None if method == "GET" else "some text"
    reply = client.request(method, "/httpbin/anything/a%20b?x=1&x=2&y=%C3%BC", content=body).json()
    assert (reply["method"], reply["data"]) == (method, body or "")
    assert reply["args"] == {"x": ["1", "2"], "y": "ü"}
    assert reply["url"].startswith("http://127.0.0.1:")


def test_head_and_options(client: httpx.Client) -> None:
    reply = client.head("/httpbin/get")
    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["Content-Length"]) > 100
    assert "POST" in client.options("/httpbin/post").headers["Allow"]


def test_a_method_nobody_knows_passes(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    assert client.request("PROPFIND", f"/{item}", content=b"<all/>").status_code == 200
    assert [(call.method, call.body) for call in origin.calls(f"/{item}")] == [("PROPFIND", b"<all/>")]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 404, 405, 410, 418, 422, 451])
def test_any_status_passes(client: httpx.Client, status: int) -> None:
    asked = {"If-None-Match": '"a"', "Range": "bytes=0-"}
    assert client.get(f"/httpbin/status/{status}", headers=asked).status_code == status


@pytest.mark.parametrize("status", [500, 503, 599])
def test_server_errors_pass_on_public_routes(client: httpx.Client, status: int) -> None:
    assert client.get(f"/open/status/{status}").status_code == status


def test_fields_of_requests_and_answers_pass(client: httpx.Client) -> None:
    sent = {"X-Odd": "kept; as=it, is", "Accept": "a/b", "User-Agent": "tester/1", "If-Match": '"a"'}
    seen = client.get("/httpbin/headers", headers=sent).json()["headers"]
    assert {name: seen[name] for name in sent} == sent
    answered = client.get("/httpbin/response-headers", params={"X-Odd": "a", "ETag": '"b"', "Server": "c"}).headers
    assert (answered["X-Odd"], answered["ETag"]) == ("a", '"b"')


def test_cookies_pass_both_ways(client: httpx.Client) -> None:
    assert "a=b" in client.get("/httpbin/cookies/set?a=b").headers["Set-Cookie"]
    client.cookies.clear()
    assert client.get("/httpbin/cookies", headers={"Cookie": "c=d"}).json() == {"cookies": {"c": "d"}}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "brotli"])
def test_httpbins_compressed_bodies_arrive_compressed(client: httpx.Client, encoding: str) -> None:
    reply = client.get(f"/httpbin/{encoding}", headers={"Accept-Encoding": "gzip, deflate, br"})
    assert reply.headers["Content-Encoding"] == {"brotli": "br"}.get(encoding, encoding)


async def test_compressed_bytes_are_untouched(passing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    packed = gzip.compress(b"text " * 1000, compresslevel=1)
    origin.script(f"/{item}", answer(packed, Content_Encoding="gzip"))
    async with await Connection.open(passing.address) as connection:
        for lines in ((), ("Accept-Encoding: gzip",), ("Accept-Encoding: identity",)):
            connection.request("GET", f"/{item}", AUTHORIZED, *lines)
            reply = await connection.answer()
            assert (reply.body, reply.field("Content-Encoding")) == (packed, "gzip")
    asked = [call.field("Accept-Encoding") for call in origin.calls(f"/{item}")]
    assert asked[1:] == ["gzip", "identity"]


@pytest.mark.parametrize("target", ["/httpbin/bytes/1000?seed=1", "/httpbin/stream-bytes/100000?seed=1&chunk_size=999"])
def test_binary_bodies_are_exact(client: httpx.Client, httpbin: str, target: str) -> None:
    direct = httpx.get(httpbin + target.removeprefix("/httpbin"), trust_env=False)
    assert client.get(target).content == direct.content


def test_ranges_and_conditions_pass(client: httpx.Client) -> None:
    part = client.get("/httpbin/range/1000", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.headers["Content-Range"], len(part.content)) == (206, "bytes 10-19/1000", 10)
    assert client.get("/httpbin/etag/abc", headers={"If-None-Match": '"abc"'}).status_code == 304


def test_an_upload_reaches_httpbin(client: httpx.Client) -> None:
    form = client.post("/httpbin/post", data={"a": "1"}, files={"f": ("name.txt", b"x" * 100_000)}).json()
    assert (form["form"], len(form["files"]["f"])) == ({"a": "1"}, 100_000)


def test_the_upstreams_credentials_replace_the_clients_key(client: httpx.Client) -> None:
    seen = client.get("/httpbin/bearer").json()
    assert seen == {"authenticated": True, "token": UPSTREAM_SECRET}
    assert KEY not in client.get("/httpbin/anything", headers={"X-Api-Key": KEY}).text


@pytest.mark.parametrize("field", ["Authorization", "X-Api-Key"])
def test_with_credentials_client_the_key_goes_on(
    passing: RunningGateway, origin: ScriptedUpstream, item: str, field: str
) -> None:
    value = f"Bearer {KEY}" if field == "Authorization" else KEY
    assert passing.client({field: value}).get(f"/client/{item}").status_code == 200
    assert [call.field(field) for call in origin.calls(f"/client/{item}")] == [value]


def test_public_routes_pass_authorization_and_add_none(
    passing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    passing.client({"Authorization": "Bearer theirs"}).get(f"/public/{item}")
    passing.client().get(f"/public/{item}")
    assert [call.field("Authorization") for call in origin.calls(f"/public/{item}")] == ["Bearer theirs", None]


async def test_hop_by_hop_fields_end_here(passing: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    origin.script(
        f"/{item}",
        head(200, "Connection: keep-alive, X-Theirs", "X-Theirs: 1", "Keep-Alive: timeout=5", "Content-Length: 0"),
    )
    lines = ["Connection: X-Mine, Authorization, keep-alive", "X-Mine: 1", "Keep-Alive: 5", "TE: trailers", "X-End: 2"]
    async with await Connection.open(passing.address) as connection:
        connection.request("GET", f"/{item}", AUTHORIZED, *lines, "Proxy-Authorization: Basic x", "Proxy-Connection: a")
        reply = await connection.answer()
    assert reply.status == 200
    assert (reply.field("X-Theirs"), reply.field("Keep-Alive")) == (None, None)
    (received,) = origin.calls(f"/{item}")
    for name in ("X-Mine", "Keep-Alive", "TE", "Proxy-Authorization", "Proxy-Connection", "Upgrade"):
        assert received.field(name) is None, name
    assert received.field("X-End") == "2"
    assert received.field("Authorization") == f"Bearer {UPSTREAM_SECRET}"
    assert received.field("Host") == origin.url.removeprefix("http://")


async def test_repeated_answer_fields_stay_repeated(
    passing: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/{item}", head(200, "Set-Cookie: a=1", "Set-Cookie: b=2", "X-Bytes: caf\xe9", "Content-Length: 0"))
    async with await Connection.open(passing.address) as connection:
        connection.request("GET", f"/{item}", AUTHORIZED)
        reply = await connection.answer()
    assert values(reply.fields, "Set-Cookie") == ["a=1", "b=2"]
    assert reply.field("X-Bytes") == "caf\xe9"


def test_a_base_path_is_prepended_and_a_prefix_stripped(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/base/v2/{item}", answer("based"))
    assert client.get(f"/based/{item}?a=1").text == "based"
    assert [call.target for call in origin.calls(f"/base/v2/{item}")] == [f"/base/v2/{item}?a=1"]


def test_a_route_may_be_chosen_by_host(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    client.get(f"/{item}", headers={"Host": "Other.Example"})
    client.get(f"/{item}", headers={"Host": "third.example"})
    assert len(origin.calls(f"/base/v2/{item}")) == len(origin.calls(f"/{item}")) == 1


def test_the_next_url_is_tried_on_a_failed_connection(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    assert client.get(f"/several/{item}").status_code == 200
    assert client.post(f"/several/{item}", content=b"body").status_code == 200
    assert [call.method for call in origin.calls(f"/several/{item}")] == ["GET", "POST"]


LOCATIONS = {
    "absolute": ("/{item}", "{origin}/there?a=1", "{gateway}/there?a=1"),
    "base path": ("/based/{item}", "{origin}/base/v2/there", "{gateway}/based/there"),
    "path": ("/{item}", "/there", "/there"),
    "path under a base path": ("/based/{item}", "/base/v2/there", "/based/there"),
    "elsewhere": ("/{item}", "https://elsewhere.example/there", "https://elsewhere.example/there"),
}


@pytest.mark.parametrize(("target", "location", "expected"), LOCATIONS.values(), ids=LOCATIONS.keys())
def test_redirects_are_not_followed_and_stay_at_the_gateway(
    passing: RunningGateway,
    client: httpx.Client,
    origin: ScriptedUpstream,
    item: str,
    target: str,
    location: str,
    expected: str,
) -> None:
    path = target.format(item=item)
    upstream_path = path.replace("/based", "/base/v2")
    origin.script(upstream_path, answer(status=302, Location=location.format(origin=origin.url)))
    reply = client.get(path)
    assert reply.status_code == 302
    assert reply.headers["Location"].removeprefix(passing.url) == expected.format(gateway="")
    assert len(origin.calls(upstream_path)) == 1


def test_httpbins_redirects_lead_back_to_the_gateway(passing: RunningGateway, client: httpx.Client) -> None:
    reply = client.get("/httpbin/absolute-redirect/1")
    assert reply.headers["Location"].removeprefix(passing.url) == "/httpbin/get"
    followed = client.get("/httpbin/redirect/2", follow_redirects=True)
    assert (followed.status_code, followed.url.path) == (200, "/httpbin/get")


def test_the_six_lines(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    """The design's simplest config, with the harness's ports."""
    running = gateway(
        f"""
        listen: ${{GATEWAY_LISTEN}}
        admin: {{listen: "${{GATEWAY_ADMIN}}"}}
        upstreams:
          api:
            url: {upstream.url}
            headers: {{Authorization: "Bearer ${{API_KEY}}"}}
        keys: [{{id: me, key: "${{GATEWAY_KEY}}"}}]
        routes: [{{cache: 15m, price: 1, refresh: true}}]
        """,
        API_KEY=UPSTREAM_SECRET,
        GATEWAY_KEY=KEY,
    )
    client = running.client(key_field())
    assert [client.get("/a").json()["call"] for _ in range(2)] == [1, 1]
    assert client.get("/a?force_refresh=true").json()["call"] == 2
    assert client.post("/a/refresh").json()["call"] == 3
    assert upstream.calls("/a")[0].field("Authorization") == f"Bearer {UPSTREAM_SECRET}"
    assert client.get("/a").headers["X-Tokens-Consumed"] == "1"


def test_one_upstream_without_a_config_file(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """`gateway serve --upstream URL --ttl 15m`: open to everyone, every GET stored for 15 minutes, the rest passed."""
    bare = RunningGateway(tmp_path, "")
    bare.options = ["--upstream", upstream.url, "--ttl", "15m"]
    with bare as running:
        client = running.client()
        assert [client.get("/a?b=1").json()["call"] for _ in range(2)] == [1, 1]
        assert 890 <= status_of(client.get("/a?b=1")).ttl <= 900
        assert client.post("/a").json()["call"] == 2, "what is no lookup passes"


def test_an_answer_to_the_gateways_own_credentials_is_stored_for_the_public(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    """RFC 9111 §3.5 is about the client's Authorization: with the gateway's own, every call went to the paid API."""
    open_door = route("/open/{id}", "open", access="public", credentials="upstream", cache="15m")
    client = gateway(config(upstream.url, open_door)).client()
    for _ in range(3):
        assert client.get("/open/1").status_code == 200
    assert len(upstream.calls("/open/1")) == 1


def test_upstream_credentials_on_a_public_route_are_sent_only_where_it_says_so(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    routes = [
        route("/open/{id}", "open", access="public", credentials="upstream"),
        route("/shut/{id}", "shut", access="public"),
    ]
    client = gateway(config(upstream.url, *routes)).client()
    for path in ("/open/1", "/shut/1"):
        assert client.get(path).status_code == 200
    sent = [upstream.calls(path)[0].field("Authorization") for path in ("/open/1", "/shut/1")]
    assert sent == [f"Bearer {UPSTREAM_SECRET}", None]
