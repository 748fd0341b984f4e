"""Real gateways on one Redis: a key, a repeated refresh and a receipt are the same at whichever of them one asks."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.config import KEY, config, product_route
from support.gateway import RunningGateway
from support.redis_server import RedisServer
from support.upstream import ScriptedUpstream
from typer.testing import CliRunner

from gateway.cli import app
from gateway.config.load import load

pytestmark = pytest.mark.slow

PATH = "/v1/products/1"
FORCED = f"{PATH}?include_force_refresh=1"


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def gateways(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, upstream: ScriptedUpstream
) -> Iterator[list[RunningGateway]]:
    """Two nodes."""
    whole = config(upstream.url, product_route(), keys=[{"id": "alpha", "key": KEY}])
    whole |= {"store": {"kind": "redis", "url": redis_server.empty_database(), "timeout": "1s"}}
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
        yield [stack.enter_context(RunningGateway(folder, whole)) for folder in folders]


def admin(gateway: RunningGateway, method: str, path: str, order: object = None) -> Any:
    url = f"http://127.0.0.1:{gateway.admin_port}/-/keys{path}"
    answer = httpx.request(method, url, json=order, trust_env=False, timeout=20)
    assert answer.is_success, answer.text
    return answer.json()


def get(gateway: RunningGateway, key: str, path: str = PATH, **fields: str) -> httpx.Response:
    url = f"http://127.0.0.1:{gateway.port}{path}"
    return httpx.get(url, headers={"X-Api-Key": key, **fields}, trust_env=False, timeout=20)


def test_a_revocation_that_was_answered_holds_at_every_node(gateways: list[RunningGateway]) -> None:
    """Hits from the fast lane are what a node remembers best whose key it was."""
    for round_ in range(5):
        first, second = gateways if round_ % 2 else reversed(gateways)
        key = admin(first, "POST", "", {"id": f"shop-{round_}"})["key"]
        assert {get(one, key).status_code for one in gateways for _ in range(5)} == {200}
        rotated = admin(second, "POST", f"/shop-{round_}/rotate", {"overlap": "0s"})["key"]
        assert [get(one, key).status_code for one in gateways] == [401, 401]
        assert {get(one, rotated).status_code for one in gateways for _ in range(5)} == {200}
        admin(first, "DELETE", f"/shop-{round_}")
        assert [get(one, rotated).status_code for one in gateways] == [401, 401]


def test_what_one_node_has_answered_another_repeats_for_nothing(gateways: list[RunningGateway]) -> None:
    first, second = gateways
    fields = {"Idempotency-Key": "one"}
    answer, again = get(first, KEY, FORCED, **fields), get(second, KEY, FORCED, **fields)
    assert (again.status_code, again.content) == (200, answer.content)
    assert (again.headers["Idempotent-Replayed"], again.headers["X-Tokens-Consumed"]) == ("true", "0")
    assert again.headers["X-Receipt-Id"] == answer.headers["X-Receipt-Id"]
    assert get(second, KEY, "/v1/products/2?include_force_refresh=1", **fields).status_code == 422


def test_a_receipt_is_found_at_another_node_right_after_its_answer(gateways: list[RunningGateway]) -> None:
    first, second = gateways
    for _ in range(10):
        answer = get(first, KEY, FORCED)
        name = answer.headers["X-Receipt-Id"]
        found = get(second, KEY, f"/-/receipts/{name}")
        assert (found.status_code, found.json()["tokens"]) == (200, int(answer.headers["X-Tokens-Consumed"]))


def test_the_command_line_asks_the_gateway_or_redis(
    gateways: list[RunningGateway], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder where no gateway runs a change goes to Redis, and holds at all nodes as well."""
    first = gateways[0]
    monkeypatch.setenv("GATEWAY_LISTEN", f"127.0.0.1:{first.port}")
    monkeypatch.setenv("GATEWAY_ADMIN", f"127.0.0.1:{first.admin_port}")
    elsewhere = tmp_path / "gateway.yaml"
    elsewhere.write_text(first.path.read_text())
    assert load(elsewhere).store.kind == "redis"
    made = run("create", "--id", "typed", path=elsewhere).splitlines()[0]
    assert [get(one, made).status_code for one in gateways] == [200, 200]
    listed = [json.loads(run("list", "--format", "json", path=path)) for path in (elsewhere, first.path)]
    assert listed[0] == listed[1]
    run("revoke", "typed", path=first.path)
    assert [get(one, made).status_code for one in gateways] == [401, 401]


def run(*words: str, path: Path) -> str:
    result = CliRunner().invoke(app, ["keys", *words, "--config", str(path)], env={"NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    return result.stdout
