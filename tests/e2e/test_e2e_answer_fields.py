"""Fields that both the upstream and the gateway send: each answer has one reading of them, hits included."""

import time
from collections.abc import Iterator

import httpx
import pytest
from support.answers import status_of, tokens
from support.config import KeyRing, config, plan, product_route, route
from support.gateway import RunningGateway
from support.scripts import Received, head, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

RING = KeyRing(40, "pro")
# What a paid API of the same kind says of the account that the gateway holds there.
LIMITS = {
    "X_Tokens_Consumed": "77",
    "X_Tokens_Remaining": "66",
    "RateLimit": '"theirs";r=5',
    "RateLimit_Policy": '"theirs";q=9',
    "X_RateLimit_Tokens_Remaining": "5",
    "X_RateLimit_Throttle_Limit": "4",
    "X_RateLimit_Throttle_Remaining": "3",
    "X_RateLimit_Reset": "2020-01-01T00:00:00Z",
}
NAMES = [name.replace("_", "-") for name in LIMITS]
EARLIER = {"X_Request_Id": "theirs", "Via": "1.0 nearer", "Cache_Status": "nearer; hit", "Age": "100"}
METERED = ["/v1/products", "/bare", "/plain"]
EVERY = [*METERED, "/public"]


@pytest.fixture(scope="module")
def answering(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        product_route(),
        route("/bare/{id}", "bare"),
        route("/plain/{id}", "plain", cache={"ttl": "1h"}),
        route("/public/{id}", "public", access="public", cache={"ttl": "1h"}),
        route("/brief/{id}", "brief", cache={"ttl": "250ms"}, tokens_in_body=True),
        route("/second/{id}", "second", cache={"ttl": "700ms"}),
    ]
    plans = {"pro": plan(2000, throttle={"rate": "600/min", "burst": 600})}
    with RunningGateway(
        tmp_path_factory.mktemp("answering"), config(origin.url, *routes, keys=RING.keys, plans=plans)
    ) as running:
        yield running


@pytest.fixture
def client(answering: RunningGateway) -> httpx.Client:
    return answering.client(RING.take())


@pytest.mark.parametrize("base", METERED)
@pytest.mark.parametrize("directive", ["max-age=60", "no-store"])
def test_what_the_upstream_says_of_its_own_limits_is_not_the_clients(
    client: httpx.Client, origin: ScriptedUpstream, item: str, base: str, directive: str
) -> None:
    origin.script(f"{base}/{item}", json_answer({}, 200, Cache_Control=directive, **LIMITS))
    for left in (1999, 1998):
        reply = client.get(f"{base}/{item}")
        assert {name: len(reply.headers.get_list(name)) for name in NAMES} == dict.fromkeys(NAMES, 1)
        assert tokens(reply) == (1, left)
        assert "theirs" not in str(reply.headers)


def test_limits_of_a_public_upstream_pass(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/public/{item}", json_answer({}, 200, **LIMITS))
    assert client.get(f"/public/{item}").headers["RateLimit"] == '"theirs";r=5'


@pytest.mark.parametrize("base", EVERY)
@pytest.mark.parametrize("directive", ["max-age=600", "no-store"])
def test_earlier_recipients_are_named_before_the_gateway(
    client: httpx.Client, origin: ScriptedUpstream, item: str, base: str, directive: str
) -> None:
    """RFC 9110 §7.6.3, RFC 9211 §2; one Age and one request id, which is the client's own."""
    origin.script(f"{base}/{item}", json_answer({}, 200, Cache_Control=directive, **EARLIER))
    for _ in range(2):
        reply = client.get(f"{base}/{item}", headers={"X-Request-Id": "mine"})
        assert reply.headers.get_list("X-Request-Id") == ["mine"]
        assert reply.headers["Via"] == "1.0 nearer, 1.1 gateway"
        assert reply.headers["Cache-Status"].startswith("nearer; hit, gateway; ")
        assert [int(age) for age in reply.headers.get_list("Age")] == [pytest.approx(100, abs=20)]


@pytest.mark.parametrize("named", [True, False], ids=["named by the 304", "not named"])
def test_validating_leaves_the_entity_tag_weak_for_clients_and_strong_for_the_upstream(
    client: httpx.Client, origin: ScriptedUpstream, answering: RunningGateway, item: str, named: bool
) -> None:
    def script(request: Received) -> bytes:
        if request.field("If-None-Match"):
            return head(304, 'ETag: "a"') if named else head(304)
        return json_answer({"a": 1}, ETag='"a"', Cache_Control="max-age=0")

    path = f"/brief/{item}"
    origin.script(path, script)
    first, *later = (client.get(path) for _ in range(3))
    stored = answering.metrics().value("gateway_stored_responses")
    later.append(client.get(path))
    assert first.headers.get_list("ETag") == ['W/"a"']
    for reply in later:
        assert (status_of(reply).fwd, reply.headers.get_list("ETag")) == ("stale", ['W/"a"'])
        assert reply.headers.get_list("Vary") == ["Accept-Encoding"]
    assert [call.field("If-None-Match") for call in origin.calls(path)] == [None, '"a"', '"a"', '"a"']
    assert answering.metrics().value("gateway_stored_responses") == stored


def test_a_304_brings_no_fields_of_its_exchange(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path = f"/plain/{item}"
    origin.then(path, json_answer({}, ETag='"a"', Cache_Control="max-age=0"))
    origin.script(path, head(304, 'ETag: "a"', "X-Request-Id: theirs", "X-Tokens-Remaining: 66"))
    client.get(path)
    reply = client.get(path, headers={"X-Request-Id": "mine"})
    assert (status_of(reply).fwd, tokens(reply)) == ("stale", (1, 1998))
    assert reply.headers.get_list("X-Request-Id") == ["mine"]


def test_a_lifetime_below_a_second_is_counted_from_receipt(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    """Date tells whole seconds, so that it must not make a response of this very second older than it is."""
    for number in range(10):
        path = f"/second/{item}-{number}"
        now = time.time()
        stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
        origin.script(path, json_answer({}, Date=stamp))
        client.get(path)
        again = client.get(path)
        if int(time.time()) == int(now):
            assert status_of(again).hit
            return
    pytest.fail("no two requests within one second")
