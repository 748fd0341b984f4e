"""`gateway keys` as it is typed, on a store that no gateway holds."""

import json
import os
import re
import sqlite3
from pathlib import Path

import pytest
import yaml
from cli.answering import answering
from support.addresses import HOST, free_port
from support.config import KEY, config, plan, product_route
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.ledger.recovery import lock

MADE = re.compile(r"rk_(live|test)_[0-9A-Za-z]{28}\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    whole = config(
        "http://up.example",
        product_route(),
        keys=[{"id": "alpha", "key": KEY, "plan": "pro"}],
        plans={"pro": plan(2000)},
        organizations={"acme": {"plan": "pro"}},
    )
    path = tmp_path / "gateway.yaml"
    admin = {"listen": f"{HOST}:{free_port()}", "token": "operators-own-token"}
    path.write_text(yaml.safe_dump(whole | {"listen": "127.0.0.1:1", "admin": admin}))
    return path


def run(path: Path, *arguments: str) -> Result:
    ended = CliRunner().invoke(app, ["keys", *arguments, "--config", str(path)], env={"COLUMNS": "200"})
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def done(path: Path, *arguments: str) -> Result:
    ended = run(path, *arguments)
    assert ended.exit_code == 0, ended.output
    return ended


def listed(path: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(done(path, "list", "--format", "json").stdout)
    return rows


def test_a_key_is_printed_alone_and_once(path: Path) -> None:
    options = ["--organization", "acme", "--throttle", "10/s", "--scopes", "lookup,refresh", "--expires", "2027-01-31"]
    ended = done(path, "create", "--id", "shop", *options, "--test")
    assert MADE.fullmatch(ended.stdout)
    assert ended.stdout.startswith("rk_test_")
    assert "key 1 of shop; it is not shown again" in ended.stderr
    assert [(row["account"], row["plan"], row["expires"]) for row in listed(path)] == [
        ("shop", "pro", "2027-01-31T00:00:00Z")
    ]


def test_the_list_is_for_people_or_programs_and_holds_no_key(path: Path) -> None:
    assert done(path, "list").stdout.split() == [
        *("number", "account", "organization", "plan", "hint", "test", "state", "created", "expires", "revoked")
    ]
    key = done(path, "create", "--id", "alpha").stdout.strip()
    table = done(path, "list").stdout
    (row,) = listed(path)
    assert table.splitlines()[1].split()[:7] == ["1", "alpha", "alpha", "pro", f"rk_live_…{key[-4:]}", "no", "valid"]
    assert row["hint"] == f"rk_live_…{key[-4:]}"
    assert key not in table + str(row)


def test_rotation_and_revocation(path: Path) -> None:
    first = done(path, "create", "--id", "alpha").stdout.strip()
    ended = done(path, "rotate", "alpha", "--overlap", "1h")
    assert MADE.fullmatch(ended.stdout)
    assert re.search(rf"key 1 \(rk_live_…{first[-4:]}\) goes on until 20", ended.stderr)
    ended = done(path, "revoke", "alpha")
    assert [row["state"] for row in listed(path)] == ["revoked", "revoked"]
    assert ended.stderr.count("of alpha is revoked") == 2
    assert "nothing of alpha was left to revoke" in done(path, "revoke", "1").stderr


def test_a_grant_is_in_the_ledger(path: Path) -> None:
    told = [done(path, "grant", "alpha", f"--tokens={tokens}", "--reason", "a gift").stdout for tokens in (50, -2050)]
    assert told == [
        "alpha: +50 tokens, balance 2000 before and 2050 after\n",
        "alpha: -2050 tokens, balance 2050 before and 0 after\n",
    ]


REFUSED = {
    "an account of the config, described": (("create", "--id", "alpha", "--plan", "pro"), "`alpha` is in the config"),
    "another plan": (("create", "--id", "new", "--plan", "prp"), "did you mean `pro`?"),
    "another scope": (("create", "--id", "new", "--scopes", "all"), "scopes.0:"),
    "an overlap": (("rotate", "alpha", "--overlap", "1"), "overlap: must be a duration"),
    "nothing to rotate": (("rotate", "alpha"), "no valid key that was made here"),
    "nobody": (("revoke", "none"), "there is no such account, key number or hint"),
    "nobody's balance": (("grant", "none", "--tokens=1", "--reason", "x"), "there is no such account"),
    "more than there is": (("grant", "alpha", "--tokens=-9999", "--reason", "x"), "cannot be taken back"),
    "no reason": (("grant", "alpha", "--tokens=1", "--reason", ""), "reason:"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_one_line_and_exit_2(path: Path, arguments: tuple[str, ...], words: str) -> None:
    ended = run(path, *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--id", "new"),
        ("rotate", "alpha"),
        ("revoke", "alpha"),
        ("grant", "alpha", "--tokens=1", "--reason", "x"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_held_store_whose_gateway_cannot_be_asked_is_one_line(path: Path, arguments: tuple[str, ...]) -> None:
    held = lock(path.parent / "var")
    ended = run(path, *arguments)
    os.close(held)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert re.fullmatch(r"gateway: a gateway runs on .*, and its admin API on .* cannot be reached: .*\n", ended.stderr)
    assert "operators-own-token" not in ended.stderr
    assert listed(path) == []


def test_a_locked_database_is_one_line_and_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.keys.database._PATIENCE", 0.0)
    done(path, "create", "--id", "shop")
    other = sqlite3.connect(path.parent / "var" / "keys.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ended = run(path, "revoke", "shop")
    other.close()
    assert (ended.exit_code, ended.stderr.count("\n")) == (2, 1)
    assert "nothing has changed: database is locked" in ended.stderr
    assert [row["state"] for row in listed(path)] == ["valid"]


@pytest.mark.parametrize(
    "arguments", [("list",), ("create", "--id", "new"), ("grant", "alpha", "--tokens=1", "--reason", "x")]
)
def test_a_damaged_database_is_one_line(path: Path, arguments: tuple[str, ...]) -> None:
    (path.parent / "var").mkdir()
    (path.parent / "var" / "keys.sqlite3").write_text("something else, long enough to be read")
    ended = run(path, *arguments)
    assert ended.exit_code == 2
    assert re.fullmatch(r"gateway: the key database .* cannot be used: .*\n", ended.stderr)


def told(number: int, after: int | None) -> bytes:
    """A page of the list with the key of this number, as the gateway tells it."""
    row = {"number": number, "account": "alpha", "organization": "alpha", "plan": None, "hint": "rk_live_…abcd"}
    times = {"created": "2026-01-15T12:00:00Z", "expires": None, "revoked": None}
    return json.dumps({"keys": [row | {"test": False, "state": "valid"} | times], "next": after}).encode()


def listed_beside(path: Path, content: bytes) -> tuple[list[dict[str, object]], list[str]]:
    """The list while the store is held and the admin port answers so, and the targets that it was asked for."""
    held = lock(path.parent / "var")
    try:
        with answering(content) as (port, asked):
            path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"admin": {"listen": f"{HOST}:{port}"}}))
            return listed(path), [target for _, target, _, _ in asked]
    finally:
        os.close(held)


def test_the_list_is_as_the_gateway_on_the_store_tells_it(path: Path) -> None:
    done(path, "create", "--id", "alpha")
    rows, asked = listed_beside(path, told(7, None))
    assert [(row["number"], row["plan"]) for row in rows] == [(7, None)]
    assert list(rows[0]) == list(listed(path)[0])
    assert asked == ["/-/keys?after=0"]


UNTOLD = {
    "something else": b'{"keys": [{"number": 7}], "next": null}',
    "no JSON": b"<html>",
    "a page without end": told(7, 0),
}


@pytest.mark.parametrize("content", UNTOLD.values(), ids=UNTOLD)
def test_where_the_gateway_does_not_tell_the_files_do(path: Path, content: bytes) -> None:
    done(path, "create", "--id", "alpha")
    before = listed(path)
    rows, asked = listed_beside(path, content)
    assert rows == before
    assert len(asked) == 1
