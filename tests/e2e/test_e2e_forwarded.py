"""What an upstream is told of where a request comes from, and that being told it keeps nothing from being reused."""

import json
from collections.abc import Iterator

import httpx
import pytest
from support.addresses import HOST
from support.answers import status_of
from support.config import KEY, config, key_field, route
from support.gateway import RunningGateway, StartGateway
from support.scripts import answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

CLAIMS = {
    "Forwarded": "for=192.0.2.1",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
}
ROUTES = [
    route("/pass/{id}", "pass"),
    route("/pure/{id}", "pure", cache={}),
    route("/ttl/{id}", "ttl", cache={"ttl": "1h"}),
]


@pytest.fixture(scope="module")
def strict(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("strict"), config(origin.url, *ROUTES)) as running:
        yield running


@pytest.fixture
def client(strict: RunningGateway) -> httpx.Client:
    return strict.client(key_field(KEY))


@pytest.mark.parametrize("kind", ["pass", "pure"])
def test_a_stranger_is_not_believed(
    strict: RunningGateway, client: httpx.Client, origin: ScriptedUpstream, item: str, kind: str
) -> None:
    assert client.get(f"/{kind}/{item}", headers=CLAIMS).status_code == 200
    [request] = origin.calls(f"/{kind}/{item}")
    host = f"{HOST}:{strict.port}"
    told = [request.field(name) for name in CLAIMS]
    assert told == [f'for={HOST};host="{host}";proto=http', HOST, "http", host]


def test_a_trusted_proxy_is(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, *ROUTES, trusted_proxies=[f"{HOST}/32"]))
    assert running.client(key_field(KEY)).get("/pure/1", headers=CLAIMS).status_code == 200
    [request] = upstream.calls("/pure/1")
    element = f'for={HOST};host="{HOST}:{running.port}";proto=http'
    told = [request.field(name) for name in CLAIMS]
    assert told == [f"for=192.0.2.1, {element}", f"192.0.2.1, {HOST}", "https", "shop.example"]


def test_by_ttl_the_upstream_is_told_nothing_that_is_not_keyed(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    assert client.get(f"/ttl/{item}", headers=CLAIMS).status_code == 200
    [request] = origin.calls(f"/ttl/{item}")
    assert [request.field(name) for name in CLAIMS] == [None] * 4


@pytest.mark.parametrize("kind", ["pure", "ttl"])
@pytest.mark.parametrize("name", [*CLAIMS, "Via", "Host"])
def test_rfc9111_4_1_what_the_gateway_writes_selects_the_same_again(
    client: httpx.Client, origin: ScriptedUpstream, item: str, name: str, kind: str
) -> None:
    path = f"/{kind}/{item}"
    origin.script(path, answer("content", Cache_Control="max-age=600", Vary=name))
    assert status_of(client.get(path)).fwd == "uri-miss"
    assert status_of(client.get(path)).hit
    # Nobody can make another variant by a claim that is not believed.
    assert status_of(client.get(path, headers=CLAIMS)).hit
    assert len(origin.calls(path)) == 1


def test_what_is_not_forwarded_is_named_once_without_its_value(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running = gateway(config(upstream.url, *ROUTES))
    client = running.client(key_field(KEY) | {"X-Color": "vermilion"})
    for path in ("/ttl/1", "/ttl/1", "/ttl/2", "/pure/1", "/pass/1"):
        assert client.get(path).status_code == 200
    told = [json.loads(line) for line in running.log.splitlines() if "request fields not forwarded" in line]
    assert [(line["route"], line["setting"]) for line in told] == [("ttl", "forward")]
    assert "x-color" in told[0]["fields"]
    assert not {"authorization", "connection", "host", "x-forwarded-for"} & set(told[0]["fields"])
    assert "vermilion" not in running.log
