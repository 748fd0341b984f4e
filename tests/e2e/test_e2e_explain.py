"""`gateway explain` beside a gateway: what it says is what happens, and it leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.config import config, key_field, product_route, route
from support.gateway import ROOT, StartGateway, write
from support.scripts import answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

ITEM = "/v1/products/7"


def explained(path: Path, *arguments: str) -> Any:
    """What the command says, run as a process of its own."""
    command = [sys.executable, "-m", "gateway", "explain", *arguments, "--format", "json", "--config", str(path)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "GATEWAY_LISTEN": "127.0.0.1:1", "GATEWAY_ADMIN": "127.0.0.1:2"}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
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
