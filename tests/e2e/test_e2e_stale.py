"""What is stale, from outside (RFC 9111 §4.2.4, §4.3; RFC 5861): fetched again, validated, or served all the same."""

from collections.abc import Iterator

import httpx
import pytest
from support.answers import status_of
from support.config import config, key_field, route
from support.gateway import RunningGateway, StartGateway
from support.polling import eventually
from support.scripts import Gate, Received, answer, head
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def aging(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    routes = [
        route("/short/{id}", "short", cache={"ttl": "250ms"}),
        route("/while/{id}", "while", cache={"ttl": "250ms", "stale_while_revalidate": "1h"}),
        route("/error/{id}", "error", cache={"ttl": "250ms", "stale_if_error": "1h"}),
    ]
    with RunningGateway(tmp_path_factory.mktemp("aging"), config(origin.url, *routes)) as running:
        yield running


@pytest.fixture
def client(aging: RunningGateway) -> httpx.Client:
    return aging.client(key_field())


def test_a_stale_response_is_fetched_again(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    client.get(f"/short/{item}")

    def stale() -> httpx.Response | None:
        reply = client.get(f"/short/{item}")
        return reply if status_of(reply).fwd == "stale" else None

    reply = eventually(stale)
    assert reply.json()["call"] == 2
    assert status_of(reply).stored


def validated(request: Received) -> bytes:
    if request.field("If-None-Match") == '"one"':
        return head(304, 'ETag: "one"', "X-Round: two")
    return answer("body", ETag='"one"', X_Round="one")


def test_a_stale_response_with_a_validator_is_validated(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/short/{item}", validated)
    client.get(f"/short/{item}")

    def validation() -> httpx.Response | None:
        reply = client.get(f"/short/{item}")
        return reply if len(origin.calls(f"/short/{item}")) == 2 else None

    reply = eventually(validation)
    assert (reply.status_code, reply.text, reply.headers["X-Round"]) == (200, "body", "two")
    assert (status_of(reply).fwd, status_of(reply).parameters["fwd-status"]) == ("stale", "304")


def test_stale_while_revalidate_answers_at_once(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    path, gate = f"/while/{item}", Gate()
    origin.then(path, answer("old"))
    origin.script(path, gate, answer("new"))
    client.get(path)

    def revalidating() -> bool:
        assert client.get(path).text == "old"
        return len(origin.calls(path)) == 2

    eventually(revalidating)
    stale = client.get(path)
    assert (stale.text, status_of(stale).hit, status_of(stale).ttl <= 0) == ("old", True, True)
    gate.open()
    eventually(lambda: client.get(path).text == "new")


def test_stale_if_error_answers_for_a_failing_upstream(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.then(f"/error/{item}", answer("good"))
    origin.script(f"/error/{item}", answer("broken", 500))
    client.get(f"/error/{item}")

    def fallen_back() -> httpx.Response | None:
        reply = client.get(f"/error/{item}")
        return reply if len(origin.calls(f"/error/{item}")) > 1 else None

    reply = eventually(fallen_back)
    assert (reply.status_code, reply.text) == (200, "good")
    assert int(reply.headers["Age"]) >= 0


def test_stale_if_error_bridges_an_upstream_that_is_down(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    cache = {"ttl": "250ms", "stale_if_error": "1h"}
    client = gateway(config(upstream.url, route("/error/{id}", "error", cache=cache))).client(key_field())
    assert client.get("/error/1").json()["call"] == 1
    upstream.refuse()

    def bridged() -> bool:
        reply = client.get("/error/1")
        assert (reply.status_code, reply.json()["call"]) == (200, 1)
        return status_of(reply).fwd == "stale"

    eventually(bridged)
    upstream.accept()
    eventually(lambda: client.get("/error/1").json()["call"] == 2)
