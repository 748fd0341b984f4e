"""`gateway explain` as it is typed: what it prints, and when it ends with 0 or 2."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from admin.operated import TOKEN, operated
from admission.snapshots import seed_route
from aiohttp import web
from explaining.foreseeing import Foreseer, open_for
from support.config import KEY, UPSTREAM_SECRET, config, plan, product_route, route
from support.in_process import ALPHA, Way, way
from support.stores import behind
from typer.testing import CliRunner, Result

from gateway.admin.content import answer
from gateway.admin.endpoints import Endpoint
from gateway.admin.explaining import ExplainApi
from gateway.admission.snapshot import CachePolicy, Every, Plan, Rate, ThrottlePolicy
from gateway.cli import app
from gateway.config.compile import snapshot
from gateway.config.load import load
from gateway.config.section import Section
from gateway.explaining.asking import Question
from gateway.rfc9111.stored import Policy

PRODUCT = "/v1/products/7"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    keys = [{"id": "shop", "key": KEY, "organization": "acme"}, {"id": "spare", "key": ""}]
    whole = config(
        "http://up.example",
        route("/admin", "hidden", match={"path": "/{rest:.*}", "host": "admin.example"}),
        product_route(),
        keys=keys,
        plans={"pro": plan(2000)},
        organizations={"acme": {"plan": "pro", "balance": "organization"}},
    )
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(whole | {"listen": "127.0.0.1:1", "admin": {"listen": "127.0.0.1:2"}}))
    return path


def run(path: Path, *arguments: str) -> Result:
    command = ["explain", *arguments, "--config", str(path)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "200", "NO_COLOR": "1"})


def text(path: Path, *arguments: str) -> dict[str, list[str]]:
    """What is printed, by label."""
    ended = run(path, *arguments)
    assert ended.exit_code == 0, ended.output
    found: dict[str, list[str]] = {}
    label = ""
    for line in ended.stdout.splitlines():
        label = line[:15].strip() or label
        found.setdefault(label, []).append(line[15:].strip())
    return found


def as_json(path: Path, *arguments: str) -> Any:
    ended = run(path, *arguments, "--format", "json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_the_whole_as_text(path: Path) -> None:
    fields = ["Cache-Control: no-cache, max-age=5", "Accept:text/html", "User-Agent: x", 'If-None-Match: "a"']
    told = text(
        path, "get", f"{PRODUCT}?include_offers", "--key", "shop", *[word for f in fields for word in ("-H", f)]
    )
    identity = snapshot(load(path)).upstreams["origin"].identity
    assert told == {
        "source": ["nothing runs: from the config alone"],
        "request": [f"GET {PRODUCT}?include_offers for localhost"],
        "passed over": ["hidden: another host"],
        "route": ["product"],
        "account": ["shop of the organization acme, plan pro"],
        "balance": ["of acme"],
        "intent": ["lookup: a stored response will do"],
        "cache key": [f"{identity} | everyone | {PRODUCT}?include_offers"],
        "share": ["everyone"],
        "group": [f"{PRODUCT}, which a refresh outdates as a whole"],
        "if not stored": ["it is fetched"],
        "quote": [
            "1 base",
            "5 offers_reviews",
            "6 in all; 9 where the request's Cache-Control forces a fetch",
        ],
        "demands": ["no-cache, max-age=5: honoured, and work that they force costs a force refresh"],
        "answered here": ["If-None-Match, by what is stored"],
        "upstream": [f"origin: GET http://up.example{PRODUCT}?include_offers"],
        "goes on": [
            "Accept: text/html",
            "Accept-Encoding (the gateway's)",
            "Authorization (the upstream's headers)",
            "X-Request-Id (the gateway's)",
            "Via (the gateway's)",
        ],
        "stays behind": [
            "Cache-Control: the gateway heeds it itself",
            "User-Agent: it is in no cache key: neither a default field nor in forward or cache.vary_on.headers",
            "If-None-Match: the gateway heeds it itself",
            "Host: it is the gateway's to write",
        ],
    }


def test_a_background_refresh_as_text(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    whole = behind("http://up.example") | {"listen": "127.0.0.1:1", "admin": {"listen": "127.0.0.1:2"}}
    path.write_text(yaml.safe_dump(whole))
    told = text(path, "POST", "/stores/refreshstore?storeId=7", "--key", "alpha", "--offline")
    assert told["intent"] == ["background refresh: becomes a job, and is answered at once"]
    assert told["begins"] == [
        "stores, for which an API key needs the scope background",
        "first the upstream gets this request itself, once for all its subjects",
        "then what is stored with the tags store:{subject} is fetched again",
        "each subject costs 2 more than the base",
    ]
    assert told["quote"] == ["3 base", "2 subjects", "5 in all"]
    assert told["upstream"] == ["origin: POST http://up.example/stores/refreshstore?storeId=7"]
    told = text(path, "GET", "/stores/getrefreshstatus?storeId=7", "--key", "alpha", "--offline")
    assert told["intent"] == ["status: how a background refresh stands, free"]
    assert "upstream" not in told


def test_a_refusal_is_an_answer(path: Path) -> None:
    told = text(path, "GET", PRODUCT)
    assert told["route"] == ["product"]
    assert told["refused"][0] == "401 missing_key: An API key is required"
    assert "upstream" not in told


def test_no_route(path: Path) -> None:
    assert text(path, "GET", "/none", "--key", "shop")["route"] == ["none"]


def test_what_the_gateway_answers_itself(path: Path) -> None:
    told = text(path, "OPTIONS", "http://admin.example/x", "-H", "Max-Forwards: 0", "--key", "shop")
    assert told["intent"] == ["own: the gateway answers by itself, free"]
    assert told["answer"] == ["Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"]


def test_the_host_of_a_url_counts(path: Path) -> None:
    assert as_json(path, "GET", "http://admin.example/x", "--key", "shop")["route"] == "hidden"
    assert (
        as_json(path, "GET", f"http://up.example{PRODUCT}", "-H", "Host: gw.example", "--key", "shop")["host"]
        == "gw.example"
    )


def test_what_is_no_url_is_refused_as_the_gateway_does(path: Path) -> None:
    assert as_json(path, "GET", "v1")["refusal"]["reason"] == "malformed_request"


def test_announced_content_counts(path: Path) -> None:
    told = as_json(path, "GET", PRODUCT, "-H", "Content-Length: 3", "--key", "shop")
    assert told["refusal"]["reason"] == "unexpected_body"


def test_a_key_in_a_field_finds_its_account_and_is_not_shown(path: Path) -> None:
    ended = run(path, "GET", PRODUCT, "-H", f"Authorization: Bearer {KEY}", "--format", "json")
    assert json.loads(ended.stdout)["caller"]["account"] == "shop"
    assert KEY not in ended.output
    assert UPSTREAM_SECRET not in ended.output


def test_json_is_valid_without_a_bound(path: Path) -> None:
    told = as_json(path, "GET", PRODUCT, "-H", "Cache-Control: max-stale", "--key", "spare")
    assert told["directives"]["demands"] == [["max-stale", None]]
    assert told["caller"] == {"account": "spare", "organization": "spare", "plan": "unlimited", "balance": "spare"}


MISUSED = {
    "another id": (("GET", "/", "--key", "shp"), "did you mean `shop`?"),
    "an API key": (("GET", "/", "--key", KEY), "an API key of `shop`"),
    "no ASCII": (("GET", "/", "--key", "schlüssel"), "no account has this id"),
    "a field without a colon": (("GET", "/", "-H", "Accept"), "Name: value"),
    "a field's name": (("GET", "/", "-H", "A b: c"), "Name: value"),
    "a line's end": (("GET", "/", "-H", "A: b\r\nc: d"), "Name: value"),
    "a method": (("G T", "/"), "one word"),
}


@pytest.mark.parametrize(("arguments", "words"), MISUSED.values(), ids=MISUSED)
def test_misused(path: Path, arguments: tuple[str, ...], words: str) -> None:
    ended = run(path, *arguments)
    assert ended.exit_code == 2, ended.output
    assert words in ended.output
    assert KEY not in ended.output


def test_a_broken_config_ends_as_everywhere(tmp_path: Path) -> None:
    ended = run(tmp_path / "none.yaml", "GET", "/")
    assert (ended.exit_code, "none.yaml" in ended.output) == (2, True)


def test_offline_nobody_is_asked(path: Path) -> None:
    assert text(path, "GET", PRODUCT, "--key", "shop", "--offline")["source"] == ["from the config alone"]
    assert as_json(path, "GET", PRODUCT, "--key", "shop", "--offline")["running"] is False


@asynccontextmanager
async def asked_by(folder: Path, endpoints: Sequence[Endpoint]) -> AsyncIterator[Path]:
    """A config whose admin address answers with these endpoints."""
    async with operated(endpoints) as door:
        whole = config("http://up.example", product_route())
        place = {"listen": "127.0.0.1:1", "admin": {"listen": f"127.0.0.1:{door.port}", "token": TOKEN}}
        path = folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(whole | place))
        yield path


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    async with way(tmp_path / "running", BRIDGED, account=LIMITED) as running:
        yield running


BRIDGED = seed_route(cache=CachePolicy(Policy(ttl=60.0, stale_if_error=30.0)))
LIMITED = replace(ALPHA, plan=Plan("pro", 2000, Every.month, ThrottlePolicy(Rate(10, 60.0), 10)))


async def test_what_runs_is_asked(tmp_path: Path, running: Way) -> None:
    fields = {"Content-Type": "application/json", "Vary": "Accept-Language", "ETag": '"a"'}
    running.upstream.then(b'{"call":1}', fields=fields)
    await running.ask(f"{PRODUCT}?force_refresh", fields={"Accept-Language": "de"})
    running.upstream.then(b'{"call":1}', fields={"Content-Type": "application/json"})
    await running.ask(PRODUCT)
    running.clock.advance(70)
    api = ExplainApi(Foreseer(running, open_for(7.0)).explainer, {"ci": LIMITED}.get)
    async with asked_by(tmp_path, api.endpoints()) as path:
        told = await asyncio.to_thread(text, path, "GET", PRODUCT, "--key", "ci", "-H", "Accept-Language: de")
        as_told = await asyncio.to_thread(as_json, path, "GET", PRODUCT, "--key", "ci")
    assert told["source"] == [f"the gateway that runs, on {load(path).admin.listen}"]
    used = "fetched by a force refresh, the one selected"
    assert told["stored"] == [
        "200 stale, age 70 s, ttl -10 s, 10 bytes",
        f"200 stale, age 70 s, ttl -10 s, 10 bytes, for accept-language: de, with a validator, {used}",
    ]
    assert told["decision"] == ["reuse"]
    assert told["because"] == [
        "the upstream is not asked for now, and stale-if-error allows the stale response (RFC 5861 §4)",
        "the stored response is stale: its freshness lifetime is over (RFC 9111 §4.2)",
    ]
    assert told["Cache-Status"] == ["gateway; fwd=stale; ttl=-10; detail=stale-if-error"]
    assert told["charge"] == ["1 if it is delivered"]
    assert told["limits"] == [
        "1995 of 2000 tokens left, 0 more reserved, renewed at 2026-02-01T00:00:00Z",
        "throttle: 10 of 10 in 60 s left",
        "force refreshes: 100 of 100 in 60 s left",
    ]
    assert told["upstream"][0].endswith(", left alone: its breaker is open")
    assert (as_told["running"], as_told["verdict"]["grounds"][0]["why"]) == (True, "stale_if_error")


def test_a_public_share_scope_is_told_in_words(path: Path) -> None:
    whole = yaml.safe_load(path.read_text())
    public = {"match": {"path": "/public/{rest:.*}"}, "upstream": "origin", "access": "public", "cache": {}}
    path.write_text(yaml.safe_dump(whole | {"routes": [public]}))
    [told] = text(path, "GET", "/public/1")["cache key"]
    assert told.split(" | ")[1:3] == ["the public", "/public/1"]


async def test_what_runs_has_nothing_stored(tmp_path: Path, running: Way) -> None:
    free = replace(ALPHA, id="free", plan=Plan("free"), holder="free", force_refresh_cap=None)
    poor = replace(ALPHA, id="poor", plan=Plan("poor", 5), holder="poor")
    api = ExplainApi(Foreseer(running).explainer, {"free": free, "poor": poor}.get)
    async with asked_by(tmp_path, api.endpoints()) as path:
        told = await asyncio.to_thread(text, path, "GET", PRODUCT, "--key", "free")
        limited = await asyncio.to_thread(text, path, "GET", PRODUCT, "--key", "poor")
        misnamed = await asyncio.to_thread(run, path, "GET", PRODUCT, "--key", "none")
    assert (told["stored"], told["decision"]) == (["nothing under this cache key"], ["fetch"])
    assert told["limits"] == ["no bound on tokens", "throttle: no limit", "force refreshes: no limit"]
    assert limited["limits"][0] == "5 of 5 tokens left, 0 more reserved, never renewed"
    assert (misnamed.exit_code, "There is no such account" in misnamed.output) == (2, True)


class _Other(Section):
    other: int


async def test_what_runs_is_of_another_version(tmp_path: Path) -> None:
    async def other(request: web.Request) -> web.Response:
        return answer(200, {"other": 1})

    async with asked_by(tmp_path, [Endpoint("POST", "/-/explain", other, "Another.", _Other, order=Question)]) as path:
        ended = await asyncio.to_thread(run, path, "GET", PRODUCT)
    assert (ended.exit_code, "--offline" in ended.output) == (2, True)


async def test_a_fetch_under_way_and_what_answers_if_it_fails(tmp_path: Path, running: Way) -> None:
    await running.ask(PRODUCT)
    gate = asyncio.Event()
    running.upstream.then(b"{}", before=(gate,), fields={"Content-Type": "application/json"})
    client = running.asking(f"{PRODUCT}?force_refresh")
    await running.upstream.arrived(2)
    api = ExplainApi(Foreseer(running).explainer, {"ci": LIMITED}.get)
    async with asked_by(tmp_path, api.endpoints()) as path:
        told = await asyncio.to_thread(text, path, "GET", f"{PRODUCT}?force_refresh", "--key", "ci")
    assert told["decision"] == ["fetch, with a fetch that is under way"]
    assert told["if that fails"] == ["a stored response answers: stale-if-error"]
    gate.set()
    await client
