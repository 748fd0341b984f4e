"""The trace of a request goes on with every fetch that it causes (W3C Trace Context, §3.4), and into its log line."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.config import config, key_field, product_route, route
from support.gateway import RunningGateway
from support.polling import eventually
from support.scripts import answer, head
from support.upstream import ScriptedUpstream
from support.wire import values

pytestmark = pytest.mark.slow

PARENT = "00f067aa0ba902b7"


def trace(number: int) -> str:
    return f"{number:032x}"


def traced(number: int) -> dict[str, str]:
    return {"traceparent": f"00-{trace(number)}-{PARENT}-01", "tracestate": f"vendor={number}"}


@pytest.fixture(scope="module")
def tracing(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        product_route(),
        route("/short/{id}", "short", cache={"ttl": "250ms"}),
        route("/while/{id}", "while", cache={"ttl": "250ms", "stale_while_revalidate": "1h"}),
        route("/pass/{id}", "pass"),
        {"name": "pure", "match": {"path": "/pure/{id}"}, "access": "public", "cache": {}},
    ]
    with RunningGateway(tmp_path_factory.mktemp("tracing"), config(origin.url, *routes)) as running:
        yield running


@pytest.fixture
def client(tracing: RunningGateway) -> httpx.Client:
    return tracing.client(key_field())


def seen(origin: ScriptedUpstream, path: str) -> list[tuple[list[str], list[str]]]:
    """traceparent and tracestate of each call."""
    return [(values(c.fields, "traceparent"), values(c.fields, "tracestate")) for c in origin.calls(path)]


def of(number: int) -> tuple[list[str], list[str]]:
    told = traced(number)
    return [told["traceparent"]], [told["tracestate"]]


@pytest.mark.parametrize(
    "place", ["/v1/products", "/pass", "/pure"], ids=["cached", "passed", "by the origin's fields"]
)
def test_a_fetch(client: httpx.Client, origin: ScriptedUpstream, item: str, place: str) -> None:
    assert client.get(f"{place}/{item}", headers=traced(7)).status_code == 200
    assert seen(origin, f"{place}/{item}") == [of(7)]


def test_a_forced_fetch_is_that_of_its_request(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path = f"/v1/products/{item}"
    client.get(path, headers=traced(1))
    client.get(f"{path}?force_refresh=1", headers=traced(2))
    client.post(f"{path}/refresh", headers=traced(3))
    assert seen(origin, path) == [of(1), of(2), of(3)]


def test_a_background_fetch_is_that_of_the_request_that_caused_it(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path, number = f"/while/{item}", 1
    client.get(path, headers=traced(number))

    def stale() -> bool:
        nonlocal number
        number += 1
        return "fwd" not in (told := client.get(path, headers=traced(number)).headers["Cache-Status"]) and "=-" in told

    eventually(stale)
    eventually(lambda: len(origin.calls(path)) == 2)
    assert seen(origin, path) == [of(1), of(number)]


def test_a_validation_is_that_of_its_request(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path, number = f"/short/{item}", 1
    origin.then(path, answer("body", ETag='"one"'))
    origin.script(path, head(304, 'ETag: "one"'))
    client.get(path, headers=traced(number))

    def validated() -> bool:
        nonlocal number
        number += 1
        client.get(path, headers=traced(number))
        return len(origin.calls(path)) > 1

    eventually(validated)
    assert seen(origin, path)[1] == of(number)


def test_a_hit_is_no_ones_fetch(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path = f"/v1/products/{item}"
    answers = [client.get(path, headers=traced(number)) for number in (1, 2, 3)]
    assert seen(origin, path) == [of(1)]
    assert not any("traceparent" in reply.headers for reply in answers)


@pytest.mark.parametrize(
    "given",
    [
        [("traceparent", "00-nonsense"), ("tracestate", "a=1,a=2,,")],
        [("traceparent", f"00-{trace(0)}-{PARENT}-01")],
        [("traceparent", f"ff-{trace(7)}-{PARENT}-01")],
        [("tracestate", "a=1"), ("tracestate", "b=2")],
        [("traceparent", f"00-{trace(7)}-{PARENT}-01"), ("traceparent", f"00-{trace(8)}-{PARENT}-01")],
    ],
    ids=["invalid", "zeros", "version ff", "state alone, in two lines", "two"],
)
def test_what_is_invalid_goes_on_as_it_is_and_into_no_line(
    client: httpx.Client,
    tracing: RunningGateway,
    origin: ScriptedUpstream,
    item: str,
    given: list[tuple[str, str]],
) -> None:
    """Who only passes traces on must not change them (§3.4); to mend them is for whoever takes part."""
    reply = client.get(f"/v1/products/{item}", headers=given)
    expected = tuple([value for name, value in given if name == wanted] for wanted in ("traceparent", "tracestate"))
    assert seen(origin, f"/v1/products/{item}") == [expected]
    assert "trace_id" not in line_of(tracing, reply)


def line_of(running: RunningGateway, reply: httpx.Response) -> dict[str, Any]:
    """The log's line of the request."""

    def found() -> dict[str, Any] | None:
        wanted = reply.headers["X-Request-Id"]
        lines = [json.loads(line) for line in running.log.splitlines() if f'"{wanted}"' in line]
        return next((line for line in lines if line["event"] == "request"), None)

    return eventually(found)


def test_the_log_names_the_trace(client: httpx.Client, tracing: RunningGateway, item: str) -> None:
    reply = client.get(f"/v1/products/{item}", headers=traced(7))
    assert line_of(tracing, reply)["trace_id"] == trace(7)
