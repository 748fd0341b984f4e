"""Web pages as clients (`cors`): preflights are free and end at the gateway, and pages can read every answer."""

from collections.abc import Iterator

import httpx
import pytest
from support.config import KEY, KeyRing, config, plan, route
from support.gateway import RunningGateway
from support.scripts import answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

APP = "https://app.example.com"
OTHER = "https://other.example.com"
RING = KeyRing(10, "poor")


@pytest.fixture(scope="module")
def serving_pages(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    read = {"methods": ["GET", "HEAD"]}
    refresh = {"query": ["force_refresh"], "post": "/named/{id}/refresh"}
    routes = [
        route("/named/{id}", "named", cache={"ttl": "1h"}, refresh=refresh, cors=[APP]),
        route("/every/{id}", "every", cors="*"),
        route("/pure/{id}", "pure", access="public", cache={}, cors={"origins": [APP]}),
        route("/plain/{id}", "plain"),
    ]
    routes[0]["match"].update(read)
    whole = config(origin.url, *routes, plans={"poor": plan(1)})
    whole["keys"] += RING.keys
    with RunningGateway(tmp_path_factory.mktemp("pages"), whole) as running:
        yield running


@pytest.fixture
def browser(serving_pages: RunningGateway) -> httpx.Client:
    return serving_pages.client({"Origin": APP})


def asked(browser: httpx.Client, path: str, method: str = "GET", **fields: str) -> httpx.Response:
    asking = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,x-a"}
    return browser.options(path, headers=asking | fields)


def test_a_preflight_is_answered_here_for_nothing(
    browser: httpx.Client, serving_pages: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    before = serving_pages.metrics().total("gateway_tokens_charged_total")
    reply = asked(browser, f"/named/{item}")
    assert (reply.status_code, reply.content) == (204, b"")
    assert reply.headers["Access-Control-Allow-Origin"] == APP
    assert reply.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST"
    assert reply.headers["Access-Control-Allow-Headers"] == "authorization, x-a"
    assert reply.headers["Access-Control-Max-Age"] == "600"
    assert "Origin" in reply.headers["Vary"]
    assert not origin.calls(f"/named/{item}")
    assert serving_pages.metrics().total("gateway_tokens_charged_total") == before


@pytest.mark.parametrize(("path", "method"), [("/named/1/refresh", "POST"), ("/every/1", "PUT"), ("/pure/1", "GET")])
def test_whatever_the_page_may_send_is_allowed(browser: httpx.Client, path: str, method: str) -> None:
    reply = asked(browser, path, method)
    assert reply.status_code == 204
    assert method in reply.headers["Access-Control-Allow-Methods"].split(", ")


def test_another_origin_is_refused(browser: httpx.Client) -> None:
    reply = asked(browser, "/named/1", Origin=OTHER)
    assert (reply.status_code, reply.json()["reason"]) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_without_cors_a_preflight_needs_a_key_as_anything_does(browser: httpx.Client, origin: ScriptedUpstream) -> None:
    assert asked(browser, "/plain/1").status_code == 401
    assert asked(browser, "/plain/1", Authorization=f"Bearer {KEY}").status_code == 200
    assert [request.method for request in origin.calls("/plain/1")] == ["OPTIONS"]


def test_pages_can_read_an_answer_and_its_fields(browser: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(
        f"/named/{item}", answer("content", Access_Control_Allow_Origin=OTHER, Access_Control_Allow_Credentials="true")
    )
    for _ in range(2):
        reply = browser.get(f"/named/{item}", headers={"Authorization": f"Bearer {KEY}"})
        assert reply.status_code == 200
        assert reply.headers["Access-Control-Allow-Origin"] == APP
        assert "X-Tokens-Remaining" in reply.headers["Access-Control-Expose-Headers"]
        assert "Origin" in reply.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in reply.headers


def test_a_stored_answer_is_no_other_origins(browser: httpx.Client, item: str) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    assert browser.get(f"/named/{item}", headers=key).headers["Access-Control-Allow-Origin"] == APP
    reply = browser.get(f"/named/{item}", headers=key | {"Origin": OTHER})
    assert "hit" in reply.headers["Cache-Status"]
    assert "Access-Control-Allow-Origin" not in reply.headers
    assert "Origin" in reply.headers["Vary"]


def test_pages_can_read_why_they_are_refused(browser: httpx.Client, item: str) -> None:
    poor = RING.take()
    statuses: list[int] = []
    for fields in ({}, poor, poor):
        reply = browser.get(f"/named/{item}-{len(statuses)}", headers=fields)
        statuses.append(reply.status_code)
        assert reply.headers.get_list("Access-Control-Allow-Origin") == [APP]
        assert "Retry-After" in reply.headers["Access-Control-Expose-Headers"]
    assert statuses == [401, 200, 429]


@pytest.mark.parametrize(("left", "status", "sent"), [("0", 204, None), ("3", 200, "2")])
def test_rfc9110_7_6_2_options_goes_so_far(
    browser: httpx.Client, origin: ScriptedUpstream, item: str, left: str, status: int, sent: str | None
) -> None:
    reply = browser.options(f"/plain/{item}", headers={"Authorization": f"Bearer {KEY}", "Max-Forwards": left})
    assert reply.status_code == status
    assert ("Allow" in reply.headers) is (status == 204)
    assert [request.field("Max-Forwards") for request in origin.calls(f"/plain/{item}")] == ([sent] if sent else [])
