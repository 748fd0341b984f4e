"""Single refreshes of a real gateway: by command, by `Prefer: respond-async`, over kill -9, and each key's own."""

import os
import re
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest
from support.answers import status_of, tokens
from support.config import KEY, Config, config, key_field, plan, product_route
from support.gateway import ROOT, RunningGateway, StartGateway
from support.polling import PATIENCE, eventually
from support.scripts import Gate, answer, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

ITEM = "/v1/products/7"
FORCED = f"{ITEM}?force_refresh=1"
OTHER_KEY = "rk_live_bravo"
ASYNC = {"Prefer": "respond-async, wait=5"}


def whole(upstream: ScriptedUpstream) -> Config:
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}, {"id": "bravo", "key": OTHER_KEY, "plan": "pro"}]
    return config(upstream.url, product_route(), keys=keys, plans={"pro": plan(2000)})


def command(running: RunningGateway, *arguments: str) -> "subprocess.Popen[str]":
    """`gateway refresh …` as a process of its own."""
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "GATEWAY_LISTEN": f"127.0.0.1:{running.port}",
        "GATEWAY_ADMIN": f"127.0.0.1:{running.admin_port}",
    }
    line = [sys.executable, "-m", "gateway", "refresh", *arguments, "--config", str(running.path)]
    return subprocess.Popen(
        line, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_interruptible
    )


def _interruptible() -> None:
    """Also where the suite itself runs in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def told(process: "subprocess.Popen[str]") -> tuple[int, str, list[str]]:
    """How it ended, and what it printed."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err.splitlines()


def balance(client: httpx.Client) -> tuple[int, int]:
    """(charged, reserved)"""
    document = client.get("/-/balance").json()
    return document["charged"], document["reserved"]


def ended(client: httpx.Client, place: str) -> dict[str, Any]:
    """The refresh, once it has ended."""
    document: dict[str, Any] = {}

    def has_ended() -> bool:
        nonlocal document
        document = client.get(place).json()
        return bool(document["state"] != "running")

    eventually(has_ended)
    return document


def test_by_command_until_it_is_done(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    client = running.client(key_field())
    client.get(ITEM)
    status, out, err = told(command(running, ITEM))
    assert (status, out) == (0, "done: 1 of 1 response; gateway; fwd=request; fwd-status=200; stored\n")
    assert re.fullmatch(r"refresh [0-9a-f]{16} has begun", err[0])
    assert (status_of(client.get(ITEM)).hit, len(upstream.calls(ITEM))) == (True, 2)
    assert balance(client) == (2, 0)
    status, out, err = told(command(running, "/none"))
    assert (status, out, err) == (2, "", ["gateway: 404 no_route: No route matches this request"])


def test_by_command_without_waiting(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script(ITEM, gate, answer("{}"))
    running = gateway(whole(upstream))
    status, out, _ = told(command(running, ITEM, "--no-wait"))
    id_ = out.strip()
    assert status == 0
    assert told(command(running, "--status", id_)) == (0, "running: 0 of 1 response\n", [])
    status, out, _ = told(command(running, "--list"))
    assert out.splitlines()[1].split()[0] == id_
    assert told(command(running, "--cancel", id_)) == (0, "cancelled: 0 of 1 response\n", [])
    status, _, err = told(command(running, "--cancel", id_))
    assert (status, err) == (2, ["gateway: the refresh has ended: it is cancelled"])
    gate.open()


def test_who_interrupts_the_command_leaves_the_refresh_running(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    gate = Gate()
    upstream.script(ITEM, gate, answer("{}"))
    running = gateway(whole(upstream))
    process = command(running, ITEM)
    assert process.stderr is not None
    begun = process.stderr.readline().split()
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    status, out, err = told(process)
    assert (status, out, err[-1].split(":")[0]) == (130, "", f"refresh {begun[1]} goes on")
    gate.open()
    eventually(lambda: told(command(running, "--status", begun[1]))[1].startswith("done"))


def test_whoever_would_rather_not_wait_need_not(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script(ITEM, gate, json_answer({"call": 1}))
    running = gateway(whole(upstream))
    client = running.client(key_field())
    accepted = client.get(FORCED, headers=ASYNC)
    place = accepted.headers["Location"]
    assert (accepted.status_code, accepted.headers["Preference-Applied"]) == (202, "respond-async")
    assert re.fullmatch("/-/refreshes/[0-9a-f]{16}", place)
    assert client.get(place).json()["state"] == "running"
    assert balance(client) == (0, 4)
    gate.open()
    document = ended(client, place)
    assert (document["state"], document["status"], document["tokens"]) == ("done", 200, 4)
    assert document["cache_status"] == "gateway; fwd=uri-miss; fwd-status=200; stored"
    assert balance(client) == (4, 0)
    assert (status_of(client.get(ITEM)).hit, len(upstream.calls(ITEM))) == (True, 1)
    samples = running.metrics()
    assert samples.value("gateway_refreshes_total", route="product", kind="async", outcome="delivered") == 1


def test_one_that_fails_is_free_and_says_why(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    upstream.script(ITEM, answer("", status=500))
    client = gateway(whole(upstream)).client(key_field())
    document = ended(client, client.get(FORCED, headers=ASYNC).headers["Location"])
    assert (document["state"], document["reason"], document["tokens"]) == ("failed", "upstream_error", 0)
    assert balance(client) == (0, 0)


def test_other_requests_are_answered_as_ever(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    client = gateway(whole(upstream)).client(key_field())
    assert client.get(ITEM, headers=ASYNC).status_code == 200
    assert (client.get(FORCED).status_code, client.get("/-/refreshes").json()["refreshes"]) == (200, [])


def test_each_key_sees_and_cancels_its_own(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script(ITEM, gate, answer("{}"))
    running = gateway(whole(upstream))
    client, other = running.client(key_field()), running.client(key_field(OTHER_KEY))
    place = client.post(f"{ITEM}/refresh", headers=ASYNC).headers["Location"]
    assert [each["id"] for each in client.get("/-/refreshes").json()["refreshes"]] == [place.rpartition("/")[2]]
    assert other.get("/-/refreshes").json() == {"refreshes": [], "next": None}
    assert (other.get(place).status_code, other.delete(place).status_code) == (404, 404)
    assert client.delete(place).json()["state"] == "cancelled"
    assert client.delete(place).json()["reason"] == "refresh_ended"
    gate.open()
    # It was admitted: the fetch goes on to its end, and costs what it brings.
    eventually(lambda: balance(client) == (9, 0))
    assert client.get(place).json()["state"] == "cancelled"


def test_what_a_killed_gateway_had_promised_is_done_by_the_next(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    gate = Gate()
    upstream.script(ITEM, gate, answer("{}"))
    running = gateway(whole(upstream))
    client = running.client(key_field())
    places = [client.get(FORCED, headers=ASYNC).headers["Location"]]
    with httpx.Client(base_url=running.admin_url, trust_env=False) as admin:
        places.append(
            admin.post("/-/refreshes", json={"url": "/v1/products/8", "account": "alpha"}).headers["Location"]
        )
    upstream.wait_for_calls(ITEM)
    running.kill9()
    gate.open()
    running.start()
    for place in places:
        assert ended(client, place)["state"] == "done"
    assert balance(client) == (0, 0), "nobody was charged for what died"
    on_disk = b"".join([path.read_bytes() for path in running.folder.rglob("jobs.sqlite3*")])
    assert (ITEM.encode() in on_disk, KEY.encode() in on_disk) == (True, False)
    reply = client.get(ITEM)
    assert (status_of(reply).hit, tokens(reply)[0]) == (True, 1)
