"""`gateway explain` beside a gateway: what it says is what happens, and it leaves nothing behind."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.addresses import HOST
from support.answers import cache_status, status_of
from support.config import config, key_field, product_route, route
from support.gateway import RunningGateway, StartGateway, write
from support.polling import eventually
from support.processes import command
from support.scripts import Gate, answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

ITEM = "/v1/products/7"


def explained(path: Path, *arguments: str, **places: str) -> Any:
    """What the command says, run as a process of its own."""
    nowhere = {"GATEWAY_LISTEN": "127.0.0.1:1", "GATEWAY_ADMIN": "127.0.0.1:2"}
    line = ["explain", *arguments, "--format", "json", "--config", str(path)]
    ended = command(*line, environ=nowhere | places)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize(
    ("method", "target", "fields"),
    [
        (
            "GET",
            f"{ITEM}?include_offers=true&b=%7e",
            {"Accept": "text/html", "User-Agent": "x", "If-None-Match": '"a"'},
        ),
        ("GET", f"{ITEM}?force_refresh", {"Accept-Language": "en"}),
        ("POST", f"{ITEM}/refresh", {"X-Forwarded-For": "192.0.2.1"}),
        ("GET", ITEM, {"Cache-Control": "no-store"}),
        ("PUT", "/other", {"Content-Type": "text/plain", "If-Match": "*", "Cookie": "a=b"}),
    ],
    ids=["lookup", "forced", "refresh", "demanded", "pass"],
)
def test_what_is_explained_is_what_happens(
    gateway: StartGateway, upstream: ScriptedUpstream, method: str, target: str, fields: dict[str, str]
) -> None:
    upstream.script(ITEM, answer("{}"))
    upstream.script("/other", answer("{}"))
    # Those that the client library adds by itself.
    sent = {"Accept-Encoding": "gzip", "Accept": "*/*", "User-Agent": "python", "Connection": "close"} | fields
    running = gateway(config(upstream.url, product_route(), route("/{rest:.*}", "other")))
    told = explained(running.path, method, target, "--key", "alpha", *_options(sent))
    assert not upstream.calls(ITEM)
    reply = running.client(key_field()).request(method, target, headers=sent)
    [received] = [*upstream.calls(ITEM), *upstream.calls("/other")]
    assert (received.method, upstream.url + received.target) == (told["onward"]["method"], told["onward"]["url"])
    assert {name.lower() for name, _ in received.fields} - _CONNECTIONS == _names(told)
    most = told["quote"]["forced"] if told["caching"] and told["caching"]["missing"] == "forced fetch" else None
    assert int(reply.headers["X-Tokens-Consumed"]) == (most or told["quote"]["total"])


# What the upstream's connection needs, and says of the content.
_CONNECTIONS = {"host", "connection", "content-length", "transfer-encoding"}


def _options(fields: dict[str, str]) -> list[str]:
    return [word for name, value in fields.items() for word in ("-H", f"{name}: {value}")]


def _names(told: Any) -> set[str]:
    return {field["name"].lower() for field in told["onward"]["fields"]}


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    path = write(tmp_path, config("http://127.0.0.1:9", product_route()))
    assert explained(path, "GET", ITEM, "--key", "alpha")["route"] == "product"
    assert list(tmp_path.iterdir()) == [path]


def live(running: RunningGateway, *arguments: str) -> Any:
    """What the command says of the gateway that runs."""
    return explained(running.path, *arguments, GATEWAY_ADMIN=f"{HOST}:{running.admin_port}")


def purge(running: RunningGateway, **order: object) -> None:
    httpx.post(f"{running.admin_url}/-/purge", json=order, trust_env=False).raise_for_status()


Step = Callable[[RunningGateway, httpx.Client], object]

LIVE: dict[str, tuple[tuple[Step, ...], str, dict[str, str], str, str]] = {
    "nothing stored": ((), ITEM, {}, "fetch", "unstored"),
    "fresh": ((lambda _, client: client.get(ITEM),), ITEM, {}, "reuse", "fresh"),
    "another variant": (
        (lambda _, client: client.get("/vary", headers={"Accept-Language": "de"}),),
        "/vary",
        {"Accept-Language": "en"},
        "fetch",
        "unmatched",
    ),
    "purged": (
        (lambda _, client: client.get(ITEM), lambda running, _: purge(running, everything=True)),
        ITEM,
        {},
        "fetch",
        "purged",
    ),
    "gone": (
        (lambda _, client: client.get(ITEM), lambda running, _: purge(running, everything=True, hard=True)),
        ITEM,
        {},
        "fetch",
        "unstored",
    ),
    "outdated": (
        (lambda _, client: client.get(f"{ITEM}?a"), lambda _, client: client.get(f"{ITEM}?force_refresh")),
        f"{ITEM}?a",
        {},
        "fetch",
        "outdated",
    ),
    "forced": ((lambda _, client: client.get(ITEM),), f"{ITEM}?force_refresh", {}, "fetch", "forced"),
}


@pytest.mark.parametrize(("steps", "target", "fields", "decision", "why"), LIVE.values(), ids=LIVE)
def test_what_runs_tells_what_happens_next(
    gateway: StartGateway,
    upstream: ScriptedUpstream,
    steps: tuple[Step, ...],
    target: str,
    fields: dict[str, str],
    decision: str,
    why: str,
) -> None:
    upstream.script("/vary", answer("{}", Vary="Accept-Language"))
    running = gateway(config(upstream.url, product_route(), route("/{rest:.*}", "other", cache="15m")))
    client = running.client(key_field())
    for step in steps:
        step(running, client)
    calls = len(upstream.requests)
    told = live(running, "GET", target, "--key", "alpha", *_options(fields))
    assert (told["running"], len(upstream.requests)) == (True, calls)
    assert (told["verdict"]["decision"], told["verdict"]["grounds"][0]["why"]) == (decision, why)
    reply = client.get(target, headers=fields)
    foreseen = cache_status(told["verdict"]["cache_status"])
    assert (status_of(reply).hit, status_of(reply).fwd) == (foreseen.hit, foreseen.fwd)
    assert int(reply.headers["X-Tokens-Consumed"]) == told["verdict"]["tokens"]


def test_a_refresh_by_the_operators(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, product_route()))
    client = running.client(key_field())
    client.get(ITEM)
    charged = running.metrics().total("gateway_tokens_charged_total")
    begun = httpx.post(f"{running.admin_url}/-/refreshes", json={"url": ITEM}, trust_env=False)
    assert begun.status_code == 202
    place = running.admin_url + begun.headers["Location"]
    eventually(lambda: httpx.get(place, trust_env=False).json()["state"] == "done")
    reply = client.get(ITEM)
    assert (status_of(reply).hit, len(upstream.calls(ITEM))) == (True, 2)
    samples = running.metrics()
    assert samples.value("gateway_refreshes_total", route="product", kind="admin", outcome="delivered") == 1
    assert samples.total("gateway_tokens_charged_total") == charged + 1


def test_the_gateway_ends_only_after_its_refreshes(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    gate = Gate()
    upstream.script(ITEM, gate, answer("{}"))
    running = gateway(config(upstream.url, product_route()))
    httpx.post(f"{running.admin_url}/-/refreshes", json={"url": ITEM}, trust_env=False)
    upstream.wait_for_calls(ITEM)
    running.process.send_signal(signal.SIGTERM)
    eventually(lambda: "draining" in running.log)
    assert running.process.poll() is None
    gate.open()
    assert running.ended() == 0
