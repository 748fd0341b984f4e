"""Made keys in real processes: `gateway keys` beside a running gateway, and its admin API against the hostile."""

import json
import re
import subprocess
from typing import Any

import httpx
import pytest
from support.answers import tokens
from support.config import KEY, config, key_field, plan, product_route
from support.gateway import RunningGateway, StartGateway
from support.polling import eventually
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"
TOKEN = "operators-own-token-0123456789"
FORCED = "include_force_refresh=true"


def whole(upstream: ScriptedUpstream, **rest: Any) -> dict[str, Any]:
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    return config(upstream.url, product_route(), keys=keys, plans={"pro": plan(2000)}, **rest)


def command(running: RunningGateway, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`gateway keys …` as a process of its own."""
    return running.command("keys", *arguments)


def printed(running: RunningGateway, *arguments: str) -> str:
    ended = command(running, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def status(running: RunningGateway, key: str, target: str = f"{PRODUCT}/1") -> int:
    return running.client(key_field(key)).get(target).status_code


def test_a_key_made_while_the_gateway_runs_holds_until_it_is_revoked(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running = gateway(whole(upstream))
    key = printed(running, "create", "--id", "shop", "--plan", "pro")
    client = running.client(key_field(key))
    assert [tokens(client.get(f"{PRODUCT}/1")) for _ in range(2)] == [(1, 1999), (1, 1998)]
    running.kill9()
    running.start()
    assert tokens(client.get(f"{PRODUCT}/1")) == (1, 1997)
    printed(running, "revoke", "shop")
    refused = client.get(f"{PRODUCT}/1")
    assert (refused.status_code, refused.json()["reason"]) == (401, "unknown_key")
    running.restart()
    assert client.get(f"{PRODUCT}/1").status_code == 401


def test_a_key_made_before_the_start(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    running.stop()
    key = printed(running, "create", "--id", "alpha")
    assert printed(running, "grant", "alpha", "--tokens=5", "--reason", "a gift").endswith("2000 before and 2005 after")
    running.start()
    assert tokens(running.client(key_field(key)).get(f"{PRODUCT}/1")) == (1, 2004)
    assert tokens(running.client(key_field(KEY)).get(f"{PRODUCT}/1")) == (1, 2003)


def test_rotation_beside_a_running_gateway(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    first = printed(running, "create", "--id", "shop")
    second = printed(running, "rotate", "shop")
    assert [status(running, key) for key in (first, second)] == [200, 200]
    third = printed(running, "rotate", "shop", "--overlap", "0s")
    assert [status(running, key) for key in (first, second, third)] == [401, 401, 200]


def test_an_overlap_ends_by_itself(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    first = printed(running, "create", "--id", "shop")
    printed(running, "rotate", "shop", "--overlap", "1s")
    client = running.client(key_field(first))
    refused = eventually(lambda: reply if (reply := client.get(f"{PRODUCT}/1")).status_code == 401 else None)
    assert refused.json()["reason"] == "expired_key"


def test_what_an_account_may_do_is_what_it_was_made_for(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    key = printed(running, "create", "--id", "shop", "--scopes", "lookup", "--throttle", "2/d")
    client = running.client(key_field(key))
    assert client.get(f"{PRODUCT}/1").status_code == 200
    refused = client.get(f"{PRODUCT}/1?{FORCED}")
    assert (refused.status_code, refused.json()["reason"]) == (403, "insufficient_scope")
    assert [client.get(f"{PRODUCT}/1").status_code for _ in range(2)] == [200, 429]


def test_a_test_key_is_free_and_reaches_no_upstream(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    key = printed(running, "create", "--id", "alpha", "--test")
    client = running.client(key_field(key))
    missing = client.get(f"{PRODUCT}/1")
    assert (missing.status_code, missing.json()["reason"]) == (404, "not_stored")
    assert upstream.calls(f"{PRODUCT}/1") == []
    assert status(running, KEY) == 200
    assert client.get(f"{PRODUCT}/1").status_code == 200
    assert len(upstream.calls(f"{PRODUCT}/1")) == 1
    assert tokens(running.client(key_field(KEY)).get(f"{PRODUCT}/1")) == (1, 1998)


def test_a_mistyped_key_is_told_so(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    key = printed(running, "create", "--id", "shop")
    mistyped = key[:20] + ("A" if key[20] != "A" else "B") + key[21:]
    refused = running.client(key_field(mistyped)).get(f"{PRODUCT}/1").json()
    assert refused["detail"] == "The API key is mistyped: its checksum does not fit."


def test_a_correction_beside_a_running_gateway(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream, admin={"listen": "${GATEWAY_ADMIN}", "token": TOKEN}))
    told = printed(running, "grant", "alpha", "--tokens=-1999", "--reason", "a mistake")
    assert told == "alpha: -1999 tokens, balance 2000 before and 1 after"
    client = running.client(key_field())
    assert [client.get(f"{PRODUCT}/1").status_code for _ in range(2)] == [200, 429]
    refused = command(running, "grant", "alpha", "--tokens=-1", "--reason", "more")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    running.kill9()
    running.start()
    assert client.get(f"{PRODUCT}/1").status_code == 429


def test_a_wrong_token_is_one_line(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream, admin={"listen": "${GATEWAY_ADMIN}", "token": "${TOKEN:-first}"}), TOKEN=TOKEN)
    refused = command(running, "create", "--id", "shop")
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", "gateway: The admin token is wrong\n")
    assert TOKEN not in running.log


def test_no_key_is_in_a_list_a_log_or_a_file(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    keys = [printed(running, "create", "--id", "shop"), printed(running, "rotate", "shop")]
    assert [status(running, key) for key in keys] == [200, 200]
    listed = printed(running, "list") + printed(running, "list", "--format", "json")
    assert [row["state"] for row in json.loads(printed(running, "list", "--format", "json"))] == ["valid", "valid"]
    printed(running, "revoke", "shop")
    assert re.search(r'"event": ?"key created"', running.log)
    written = b"".join(path.read_bytes() for path in running.folder.rglob("*") if path.is_file())
    for key in keys:
        assert f"rk_live_…{key[-4:]}" in listed
        for secret in (key, key[8:30]):
            assert secret not in listed
            assert secret.encode() not in written


HOSTILE: dict[str, tuple[dict[str, str], int]] = {
    "a name that leads here": ({"Host": "rebound.example"}, 403),
    "a page of another site": ({"Origin": "https://site.example"}, 403),
    "a page that hides its site": ({"Origin": "null"}, 403),
    "a page of another server here": ({"Origin": "http://localhost:3000"}, 403),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "text": ({"Content-Type": "text/plain"}, 415),
}


@pytest.mark.parametrize(("fields", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_no_page_of_a_browser_on_this_machine_makes_keys(
    gateway: StartGateway, upstream: ScriptedUpstream, fields: dict[str, str], expected: int
) -> None:
    running = gateway(whole(upstream))
    content = json.dumps({"id": "shop"}).encode()
    with httpx.Client(base_url=running.admin_url, trust_env=False) as client:
        refused = client.post("/-/keys", content=content, headers={"Content-Type": "application/json"} | fields)
        made = client.post("/-/keys", json={"id": "shop"})
        foreign = client.get("/metrics", headers={"Host": "prometheus.example"})
    assert (refused.status_code, made.status_code, foreign.status_code) == (expected, 201, 200)
    assert made.json()["number"] == 1
