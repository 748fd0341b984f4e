"""Every refusal from outside: status, code and reason in a problem document (RFC 9457), and nothing sent on."""

from collections.abc import Iterator

import httpx
import pytest
from support.config import KEY, OTHER_KEY, UPSTREAM_SECRET, config, key_field, product_route, route
from support.gateway import RunningGateway, StartGateway
from support.upstream import ScriptedUpstream
from support.wire import exchange

pytestmark = pytest.mark.slow

AUTHORIZED = f"Authorization: Bearer {KEY}"


@pytest.fixture(scope="module")
def refusing(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        route("/cached/{id}", "cached", cache={"ttl": "1h"}),
        route("/pass/{rest:.*}", "pass"),
        product_route(),
        {"name": "reader", "match": {"path": "/reader", "methods": ["GET", "HEAD"]}},
    ]
    limits = {"target": "2KiB", "fields": "8KiB", "body": "64KiB"}
    with RunningGateway(tmp_path_factory.mktemp("refusing"), config(origin.url, *routes, limits=limits)) as running:
        yield running


@pytest.fixture
def client(refusing: RunningGateway) -> httpx.Client:
    return refusing.client(key_field())


def request(target: str, *lines: str, method: str = "GET", host: str = "localhost", body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1") + body


# What arrives -> status, code and reason of the answer.
REFUSALS: dict[str, tuple[bytes, int, str, str]] = {
    "no key": (request("/cached/1"), 401, "unauthorized", "missing_key"),
    "unknown key": (request("/cached/1", "Authorization: Bearer rk_live_nobody"), 401, "unauthorized", "unknown_key"),
    "two keys": (
        request("/cached/1", AUTHORIZED, f"X-Api-Key: {OTHER_KEY}"),
        400,
        "bad_request",
        "conflicting_keys",
    ),
    "no route": (request("/elsewhere", AUTHORIZED), 404, "not_found", "no_route"),
    "method": (request("/reader", AUTHORIZED, method="DELETE"), 405, "bad_request", "method_not_allowed"),
    "bad flag": (
        request("/v1/products/1?force_refresh=maybe", AUTHORIZED),
        400,
        "bad_request",
        "bad_flag",
    ),
    "dot segment": (request("/cached/../1", AUTHORIZED), 400, "bad_request", "ambiguous_target"),
    "encoded dot segment": (request("/cached/%2e%2e/1", AUTHORIZED), 400, "bad_request", "ambiguous_target"),
    "encoded slash": (request("/cached/a%2fb", AUTHORIZED), 400, "bad_request", "ambiguous_target"),
    "empty segment": (request("/cached//1", AUTHORIZED), 400, "bad_request", "ambiguous_target"),
    "null byte": (request("/cached/%00", AUTHORIZED), 400, "bad_request", "ambiguous_target"),
    "long target": (request("/cached/" + "a" * 3000, AUTHORIZED), 414, "bad_request", "target_too_long"),
    "large fields": (
        request("/cached/1", AUTHORIZED, "X-Large: " + "a" * 9000),
        431,
        "bad_request",
        "fields_too_large",
    ),
    "large body": (
        request("/pass/1", AUTHORIZED, "Content-Length: 70000", method="POST"),
        413,
        "bad_request",
        "body_too_large",
    ),
    "expectation": (request("/pass/1", AUTHORIZED, "Expect: a-pony"), 417, "bad_request", "expectation_failed"),
    "body on a lookup": (
        request("/cached/1", AUTHORIZED, "Content-Length: 4", body=b"body"),
        400,
        "bad_request",
        "unexpected_body",
    ),
    "trace": (request("/cached/1", AUTHORIZED, method="TRACE"), 501, "bad_request", "not_implemented"),
    "no host": (
        b"GET /cached/1 HTTP/1.1\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n",
        400,
        "bad_request",
        "malformed_request",
    ),
    "two hosts": (request("/cached/1", "Host: other", AUTHORIZED), 400, "bad_request", "malformed_request"),
    "malformed field": (
        request("/cached/1", AUTHORIZED, f"bad field {KEY}"),
        400,
        "bad_request",
        "malformed_request",
    ),
    "garbage": (b"\x16\x03\x01 no http\r\n\r\n", 400, "bad_request", "malformed_request"),
    "length and chunked": (
        request("/pass/1", AUTHORIZED, "Content-Length: 4", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n",
        400,
        "bad_request",
        "malformed_request",
    ),
}


@pytest.mark.parametrize(("raw", "status", "code", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_has_its_status_code_and_reason(
    refusing: RunningGateway, origin: ScriptedUpstream, raw: bytes, status: int, code: str, reason: str
) -> None:
    before = len(origin.requests)
    reply = await exchange(refusing.address, raw)
    problem = reply.json()
    assert (reply.status, problem["code"], problem["reason"]) == (status, code, reason), problem
    assert problem["status"] == status
    assert all(problem[member] for member in ("title", "type", "error", "request_id"))
    assert reply.field("Content-Type") == "application/json"
    assert KEY.encode() not in reply.body
    assert len(origin.requests) == before


def test_refusals_name_what_is_missing(client: httpx.Client, refusing: RunningGateway) -> None:
    assert "Bearer" in refusing.client().get("/cached/1").headers["WWW-Authenticate"]
    allowed = {method.strip() for method in client.delete("/reader").headers["Allow"].split(",")}
    assert allowed == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/problem+json", "application/problem+json"),
        ("text/html, application/problem+json;q=0.5", "application/problem+json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
    ],
)
def test_problem_documents_by_accept(client: httpx.Client, accept: str, media_type: str) -> None:
    reply = client.get("/elsewhere", headers={"Accept": accept, "X-Request-Id": "asked-1"})
    assert (reply.headers["Content-Type"], reply.json()["request_id"]) == (media_type, "asked-1")


def test_hosts_that_are_not_listed_are_misdirected(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, route("/{rest:.*}", "all"), hosts=["api.example.com"]))
    client = running.client(key_field())
    assert client.get("/", headers={"Host": "api.example.com"}).status_code == 200
    reply = client.get("/", headers={"Host": "evil.example.com"})
    assert (reply.status_code, reply.json()["reason"]) == (421, "misdirected_request")


def test_no_secret_in_any_log_line(refusing: RunningGateway, client: httpx.Client) -> None:
    refusing.client(key_field("rk_live_wrong_and_secret")).get("/cached/1")
    client.get("/elsewhere", headers={"X-Api-Key": OTHER_KEY})
    for secret in (KEY, OTHER_KEY, UPSTREAM_SECRET, "rk_live_wrong_and_secret"):
        assert secret not in refusing.log


def test_refusals_are_counted_by_reason(refusing: RunningGateway, client: httpx.Client) -> None:
    before = refusing.metrics().total("gateway_refusals_total", reason="no_route")
    client.get("/elsewhere")
    assert refusing.metrics().total("gateway_refusals_total", reason="no_route") == before + 1
