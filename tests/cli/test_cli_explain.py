"""`gateway explain` as it is typed: what it prints, and when it ends with 0 or 2."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.config import KEY, UPSTREAM_SECRET, config, plan, product_route, route
from typer.testing import CliRunner, Result

from gateway.cli import app

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
    assert told == {
        "request": [f"GET {PRODUCT}?include_offers for localhost"],
        "passed over": ["hidden: another host"],
        "route": ["product"],
        "account": ["shop of the organization acme, plan pro"],
        "balance": ["of acme"],
        "intent": ["lookup: a stored response will do"],
        "cache key": [f"origin | everyone | {PRODUCT}?include_offers"],
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
