"""`gateway purge` as it is typed: what it asks of the gateway, and what it tells."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.answering import answering
from support.addresses import HOST, free_port
from support.config import config, product_route
from typer.testing import CliRunner, Result

from gateway.cli import app

SOFT = b'{"purged": 2, "kind": "soft"}'


def run(folder: Path, port: int, *arguments: str) -> Result:
    path = folder / "gateway.yaml"
    admin = {"listen": f"{HOST}:{port}", "token": "operators-own-token"}
    whole = config("http://up.example", product_route()) | {"listen": f"{HOST}:1", "admin": admin}
    path.write_text(yaml.safe_dump(whole))
    ended = CliRunner().invoke(app, ["purge", *arguments, "--config", str(path)], env={"COLUMNS": "200"})
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


ORDERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "a URL": (("/v1/products/7",), {"url": "/v1/products/7", "hard": False}),
    "a prefix": (("--prefix", "/v1/"), {"prefix": "/v1/", "hard": False}),
    "a tag": (("--tag", "product:7"), {"tag": "product:7", "hard": False}),
    "a route": (("--route", "product", "--hard"), {"route": "product", "hard": True}),
    "everything": (("--everything",), {"everything": True, "hard": False}),
}


@pytest.mark.parametrize(("arguments", "order"), ORDERS.values(), ids=ORDERS)
def test_what_is_asked(tmp_path: Path, arguments: tuple[str, ...], order: dict[str, Any]) -> None:
    with answering(SOFT) as (port, asked):
        ended = run(tmp_path, port, *arguments)
    ((method, path, fields, body),) = asked
    assert (method, path, json.loads(body)) == ("POST", "/-/purge", order)
    assert fields["Authorization"] == "Bearer operators-own-token"
    assert ended.exit_code == 0


TOLD = {
    "soft": (SOFT, "2 stored responses made stale\n"),
    "hard": (b'{"purged": 0, "kind": "hard"}', "0 stored responses removed\n"),
    "one": (b'{"purged": 1, "kind": "hard"}', "1 stored response removed\n"),
}


@pytest.mark.parametrize(("answer", "line"), TOLD.values(), ids=TOLD)
def test_what_is_told(tmp_path: Path, answer: bytes, line: str) -> None:
    with answering(answer) as (port, _):
        ended = run(tmp_path, port, "--everything")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, line, "")


@pytest.mark.parametrize(
    "arguments", [(), ("/a", "--everything"), ("--tag", "a", "--route", "b"), ("--hard",)], ids=str
)
def test_one_thing_is_to_be_said(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with answering(SOFT) as (port, asked):
        ended = run(tmp_path, port, *arguments)
    assert (ended.exit_code, asked) == (2, [])
    assert "say one of URL, --prefix, --tag, --route and --everything" in ended.stderr


def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    with answering(b'{"detail": "No route that stores has this name."}', 404) as (port, _):
        ended = run(tmp_path, port, "--route", "none")
    expected = (2, "", "gateway: No route that stores has this name.\n")
    assert (ended.exit_code, ended.stdout, ended.stderr) == expected


def test_where_no_gateway_runs_nothing_is_purged(tmp_path: Path) -> None:
    port = free_port()
    ended = run(tmp_path, port, "--everything")
    line = f"gateway: no gateway answers on {HOST}:{port}, and nothing is purged: Connection refused\n"
    assert (ended.exit_code, ended.stdout, ended.stderr) == (2, "", line)
