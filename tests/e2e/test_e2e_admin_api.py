"""The operators' API of a real gateway: what is stored and purged, accounts, config, log, and who is let in."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from support.answers import status_of
from support.config import KEY, UPSTREAM_SECRET, config, key_field, plan, product_route, route
from support.gateway import RunningGateway, StartGateway
from support.polling import PATIENCE
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

TOKEN = "operators-own-token-0123456789"
ITEM = "/v1/products/7"
OTHER = "/v1/products/8"
BY_TEAM = "/team/7"


def whole(upstream: ScriptedUpstream, **rest: Any) -> dict[str, Any]:
    cached = product_route(cache={"ttl": "15m", "tags": ["product:{id}"]}, tokens_in_body=False)
    team = route("/team/{id}", "team", cache={"ttl": "15m", "share": "organization"}, price=1)
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    return config(upstream.url, cached, team, keys=keys, plans={"pro": plan(2000)}, **rest)


def operator(running: RunningGateway, token: str = "") -> httpx.Client:
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=running.admin_url, headers=fields, trust_env=False, timeout=PATIENCE)


def command(running: RunningGateway, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`gateway purge …` as a process of its own."""
    return running.command("purge", *arguments)


def test_what_is_stored_is_seen_and_purged_softly(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    client = running.client(key_field())
    for path in (ITEM, OTHER, BY_TEAM):
        assert client.get(path).status_code == 200
    with operator(running) as admin:
        rows = admin.get("/-/stored").json()["stored"]
        told = sorted((row["target"], row["route"], row["share"], row["share_of"], tuple(row["tags"])) for row in rows)
        assert told == [
            (BY_TEAM, "team", "organization", "alpha", ()),
            (ITEM, "product", "everyone", None, ("product:7",)),
            (OTHER, "product", "everyone", None, ("product:8",)),
        ]
        assert all(0 < row["ttl"] <= 900 and not row["stale"] for row in rows)
        assert admin.post("/-/purge", json={"url": ITEM}).json() == {"purged": 1, "kind": "soft"}
        (row,) = admin.get("/-/stored", params={"tag": "product:7"}).json()["stored"]
        assert (row["stale"], row["purged"]) == (True, True)
    assert not status_of(client.get(ITEM)).hit
    assert len(upstream.calls(ITEM)) == 2
    assert status_of(client.get(ITEM)).hit
    assert status_of(client.get(OTHER)).hit


def test_a_soft_purge_of_everything_is_no_avalanche(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    client = running.client(key_field())
    assert client.get(ITEM).status_code == 200
    with operator(running) as admin:
        assert admin.post("/-/purge", json={"everything": True}).json()["purged"] == 1
    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(lambda _: client.get(ITEM), range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(upstream.calls(ITEM)) == 2


PURGES = {
    "a URL": ((ITEM,), "1 stored response made stale"),
    "a prefix": (("--prefix", "/v1/"), "2 stored responses made stale"),
    "a tag": (("--tag", "product:8", "--hard"), "1 stored response removed"),
    "a route": (("--route", "team"), "1 stored response made stale"),
    "everything": (("--everything", "--hard"), "3 stored responses removed"),
}


@pytest.mark.parametrize(("arguments", "told"), PURGES.values(), ids=PURGES)
def test_purging_by_command(
    gateway: StartGateway, upstream: ScriptedUpstream, arguments: tuple[str, ...], told: str
) -> None:
    running = gateway(whole(upstream, admin={"listen": "${GATEWAY_ADMIN}", "token": TOKEN}))
    client = running.client(key_field())
    for path in (ITEM, OTHER, BY_TEAM):
        client.get(path)
    ended = command(running, *arguments)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, told, "")
    assert running.metrics().value("gateway_stored_responses") == 3 - ("--hard" in arguments) * int(told[0])
    again = [status_of(client.get(path)).hit for path in (ITEM, OTHER, BY_TEAM)]
    assert again.count(False) == int(told[0])
    assert re.search(r'"event": ?"purged"', running.log)


def test_a_purge_without_a_gateway_is_one_line(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    running.stop()
    ended = command(running, "--everything")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    running.start()


def test_accounts_and_their_standing(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    running.client(key_field()).get(ITEM)
    with operator(running) as admin:
        admin.post("/-/keys", json={"id": "shop"})
        told = admin.get("/-/accounts").json()
        assert [(account["account"], account["balance"]) for account in told["accounts"]] == [
            ("alpha", 1999),
            ("shop", None),
        ]
        assert told["next"] is None
        assert admin.get("/-/accounts/alpha").json() == told["accounts"][0]


def test_a_reload_by_the_api(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    with operator(running) as admin:
        before = admin.get("/-/config").json()
        assert (before["ok"], before["errors"]) == (True, [])
        running.path.write_text(running.path.read_text().replace("routes:", "ruotes:"))
        refused = admin.post("/-/config/reload")
        assert (refused.status_code, refused.json()["reason"]) == (409, "conflict")
        assert any("routes" in error["message"] and error["line"] > 0 for error in refused.json()["errors"])
        told = admin.get("/-/config").json()
        assert (told["ok"], told["errors"]) == (False, refused.json()["errors"])
        running.path.write_text(running.path.read_text().replace("ruotes:", "routes:").replace("ttl: 15m", "ttl: 1h"))
        reloaded = admin.post("/-/config/reload")
        assert (reloaded.status_code, reloaded.json()["ok"]) == (200, True)
        assert reloaded.json()["changes"]
    assert running.client(key_field()).get(ITEM).status_code == 200


def test_the_log_says_more_where_it_is_told_to(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream, log={"level": "error", "format": "json"}))
    client = running.client(key_field())
    client.get(ITEM)
    with operator(running) as admin:
        assert admin.get("/-/log").json() == {"level": "error"}
        assert admin.put("/-/log", json={"level": "info"}).json() == {"level": "info"}
        client.get(OTHER)
        assert admin.put("/-/log", json={"level": "error"}).json() == {"level": "error"}
    client.get(BY_TEAM)
    running.stop()
    lines = [json.loads(line) for line in running.log.splitlines() if '"request"' in line]
    assert [line["route"] for line in lines] == ["product"]
    running.start()


def operations(admin: httpx.Client) -> list[tuple[str, str]]:
    """Method and path of all that is described, path parameters filled."""
    paths = admin.get("/-/openapi.json").json()["paths"]
    return [(method.upper(), re.sub(r"{\w+}", "alpha", path)) for path, found in paths.items() for method in found]


SITES = {
    "a name that leads here": {"Host": "rebound.example"},
    "a page of another site": {"Origin": "https://site.example"},
    "a page that hides its site": {"Origin": "null"},
    "a page without an origin": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("fields", SITES.values(), ids=SITES)
def test_no_page_of_a_browser_on_this_machine_gets_at_anything(
    gateway: StartGateway, upstream: ScriptedUpstream, fields: dict[str, str]
) -> None:
    running = gateway(whole(upstream))
    running.client(key_field()).get(ITEM)
    with operator(running) as admin:
        found = [*operations(admin), ("GET", "/-/openapi.json")]
        refused = {admin.request(method, path, headers=fields).status_code for method, path in found}
        rows = admin.get("/-/stored").json()["stored"]
    assert len(found) >= 15
    assert refused == {403}
    assert [row["stale"] for row in rows] == [False]


def test_a_form_gets_nothing_done(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    with operator(running) as admin:
        posts = [path for method, path in operations(admin) if method == "POST"]
        assert {"/-/purge", "/-/config/reload", "/-/keys"} <= set(posts)
        assert {admin.post(path, data={"everything": "true"}).status_code for path in posts} == {415}


def test_nothing_is_done_without_the_token(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream, admin={"listen": "${GATEWAY_ADMIN}", "token": TOKEN}))
    with operator(running, TOKEN) as admin, operator(running) as stranger:
        found = [*operations(admin), ("GET", "/-/openapi.json")]
        assert {stranger.request(method, path).status_code for method, path in found} == {401}


def test_no_secret_is_in_what_is_told(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream, admin={"listen": "${GATEWAY_ADMIN}", "token": TOKEN}))
    running.client(key_field()).get(ITEM)
    with operator(running, TOKEN) as admin:
        gets = [path for method, path in operations(admin) if method == "GET"]
        answers = [admin.get(path) for path in gets]
    assert len(answers) >= 7
    for answer in answers:
        for secret in (KEY, TOKEN, UPSTREAM_SECRET):
            assert secret not in answer.text
