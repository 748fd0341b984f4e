"""`gateway usage` and `gateway keys list` beside a running gateway: it tells them what the files say, to the byte."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from support.config import KEY, Config, config, key_field, plan, product_route
from support.gateway import RunningGateway, StartGateway
from support.polling import PATIENCE
from support.processes import command
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

TOKEN = "operators-own-token-0123456789"
PRODUCT = "/v1/products"
# Nobody listens there.
NOBODY = 1


def whole(upstream: ScriptedUpstream, **rest: Any) -> Config:
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    admin = {"listen": "${GATEWAY_ADMIN}", "token": TOKEN}
    return config(upstream.url, product_route(), keys=keys, plans={"pro": plan(2000)}, admin=admin, **rest)


def printed(running: RunningGateway, *arguments: str, path: Path | None = None, admin: int = 0) -> str:
    """What a `gateway` command prints; `admin` is the port that it asks, the gateway's unless said."""
    options = ["--config", str(path or running.path)]
    asked = running.places | ({"GATEWAY_ADMIN": f"127.0.0.1:{admin}"} if admin else {})
    ended = command(*arguments, *options, environ=asked)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout


def test_both_ways_say_the_same(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    with httpx.Client(base_url=running.admin_url, headers={"Authorization": f"Bearer {TOKEN}"}) as admin:
        made = admin.post("/-/keys", json={"id": "shop", "plan": "pro"}, timeout=PATIENCE).json()["key"]
    for key in (KEY, made, made):
        running.client(key_field(key)).get(f"{PRODUCT}/1")
    running.client(key_field()).post(f"{PRODUCT}/1/refresh")
    for arguments in (
        ("usage",),
        ("usage", "--by", "outcome", "--format", "json"),
        ("keys", "list", "--format", "json"),
    ):
        told = printed(running, *arguments)
        assert "shop" in told or "refreshed" in told
        assert printed(running, *arguments, admin=NOBODY) == told
    running.stop()
    assert printed(running, *arguments) == told
    running.start()


def test_a_gateway_that_runs_is_asked(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    """By a config that differs from its own it can be told who has spoken."""
    running = gateway(whole(upstream, timezone="Europe/Berlin"))
    other = running.folder / "other.yaml"
    other.write_text(yaml.safe_dump(yaml.safe_load(running.path.read_text()) | {"timezone": "Asia/Tokyo"}))
    assert "(Europe/Berlin)" in printed(running, "usage", path=other)
    assert "(Asia/Tokyo)" in printed(running, "usage", path=other, admin=NOBODY)
    running.kill9()
    assert "(Asia/Tokyo)" in printed(running, "usage", path=other)
    running.start()


def test_a_wrong_token_hides_nothing_from_who_has_the_files(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    running.client(key_field()).get(f"{PRODUCT}/1")
    other = running.folder / "other.yaml"
    other.write_text(running.path.read_text().replace(TOKEN, "another-token"))
    assert printed(running, "usage", path=other) == printed(running, "usage")
