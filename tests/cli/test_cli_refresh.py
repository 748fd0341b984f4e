"""`gateway refresh` as it is typed: what it asks of the gateway, what it tells, and when it ends with 0, 1 or 2."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.answering import Reply, answering, answering_in_turn
from keys.rings import loaded
from support.addresses import HOST, free_port
from support.config import config, product_route
from typer.testing import CliRunner, Result

from gateway.cli import app, waiting

SINGLE: dict[str, Any] = {
    "id": "a1",
    "kind": "single",
    "state": "running",
    "reason": None,
    "account": None,
    "background": None,
    "subject": None,
    "url": "/v1/products/7",
    "host": "localhost",
    "began": "2026-01-15T12:00:00Z",
    "progress": {"total": 1, "done": 0, "failed": 0},
    "subjects": None,
    "cache_status": None,
    "how": None,
}
BACKGROUND = SINGLE | {
    "id": "b2",
    "kind": "background",
    "account": "acme-ci",
    "background": "stores",
    "url": None,
    "host": None,
    "progress": {"total": 30, "done": 11, "failed": 1},
    "subjects": {"total": 1, "done": 0, "failed": 0},
    "how": "initiated",
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks again without a pause."""
    monkeypatch.setattr(waiting, "_FIRST", 0.0)


def reply(told: dict[str, Any], status: int = 200, **changes: object) -> Reply:
    return Reply(json.dumps(told | changes).encode(), status)


def run(folder: Path, port: int, *arguments: str) -> Result:
    path = folder / "gateway.yaml"
    admin = {"listen": f"{HOST}:{port}", "token": "operators-own-token"}
    whole = config("http://up.example", product_route()) | {"listen": f"{HOST}:1", "admin": admin}
    path.write_text(yaml.safe_dump(whole))
    ended = CliRunner().invoke(app, ["refresh", *arguments, "--config", str(path)], env={"COLUMNS": "200"})
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


ORDERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "a URL": (("/v1/products/7",), {"url": "/v1/products/7"}),
    "with fields, as an account": (
        ("http://a.example/7", "-H", "Accept: text/html", "--header", "X: ", "--account", "ci"),
        {"url": "http://a.example/7", "headers": [["Accept", "text/html"], ["X", ""]], "account": "ci"},
    ),
    "all subjects": (("--background", "stores"), {"background": "stores"}),
    "a subject since then": (
        ("12345", "-b", "stores", "--since", "2020-05-29", "--account", "ci"),
        {"background": "stores", "subject": "12345", "since": "2020-05-29", "account": "ci"},
    ),
}


@pytest.mark.parametrize(("arguments", "order"), ORDERS.values(), ids=ORDERS)
def test_what_is_ordered(tmp_path: Path, arguments: tuple[str, ...], order: dict[str, Any]) -> None:
    with answering(json.dumps(SINGLE).encode(), 202) as (port, asked):
        ended = run(tmp_path, port, *arguments, "--no-wait")
    ((method, path, fields, body),) = asked
    assert (method, path, json.loads(body)) == ("POST", "/-/refreshes", order)
    assert fields["Authorization"] == "Bearer operators-own-token"
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "a1\n", "")


def test_a_single_one_is_waited_for(tmp_path: Path) -> None:
    done = {"total": 1, "done": 1, "failed": 0}
    replies = [
        reply(SINGLE, 202),
        reply(SINGLE),
        reply(SINGLE, state="done", progress=done, cache_status="gateway; fwd=request; fwd-status=200; stored"),
    ]
    with answering_in_turn(replies) as (port, asked):
        ended = run(tmp_path, port, "/v1/products/7")
    assert [path for _, path, _, _ in asked] == ["/-/refreshes", "/-/refreshes/a1", "/-/refreshes/a1"]
    assert (ended.exit_code, ended.stdout) == (
        0,
        "done: 1 of 1 response; gateway; fwd=request; fwd-status=200; stored\n",
    )
    assert ended.stderr.splitlines() == [
        "refresh a1 has begun",
        "running: 0 of 1 response",
        "done: 1 of 1 response",
    ]


def test_a_background_refresh_tells_how_far_it_is(tmp_path: Path) -> None:
    further = {"total": 30, "done": 29, "failed": 1}
    subjects = {"total": 1, "done": 0, "failed": 1}
    replies = [
        reply(BACKGROUND, 202, how="joined"),
        reply(BACKGROUND, progress=further),
        reply(BACKGROUND, progress=further, subjects=subjects, state="failed", reason="1 of 1 subject: upstream_error"),
    ]
    with answering_in_turn(replies) as (port, _):
        ended = run(tmp_path, port, "--background", "stores", "12345")
    assert (ended.exit_code, ended.stdout) == (
        1,
        "failed: 29 of 30 responses (1 failed), 0 of 1 subject (1 failed); 1 of 1 subject: upstream_error\n",
    )
    assert ended.stderr.splitlines() == [
        "refresh b2 joins what is under way",
        "running: 11 of 30 responses (1 failed), 0 of 1 subject",
        "running: 29 of 30 responses (1 failed), 0 of 1 subject",
        "failed: 29 of 30 responses (1 failed), 0 of 1 subject (1 failed)",
    ]


def test_a_cancelled_one_ends_with_1(tmp_path: Path) -> None:
    with answering_in_turn([reply(BACKGROUND, 202), reply(BACKGROUND, state="cancelled")]) as (port, _):
        assert run(tmp_path, port, "--background", "stores").exit_code == 1


def test_on_a_terminal_there_is_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.waiting._is_terminal", lambda: True)
    ended_well = {"total": 30, "done": 30, "failed": 0}
    replies = [
        reply(BACKGROUND, 202, how="widened"),
        reply(BACKGROUND, progress={"total": 0, "done": 0, "failed": 0}),
        reply(BACKGROUND, state="done", progress=ended_well),
    ]
    with answering_in_turn(replies) as (port, _):
        ended = run(tmp_path, port, "--background", "stores")
    assert (ended.exit_code, ended.stdout) == (0, "done: 30 of 30 responses, 0 of 1 subject\n")
    assert "refresh b2 widens what is under way" in ended.stderr
    assert "━" in ended.stderr
    assert "done: 30 of 30 responses" in ended.stderr


def test_a_gateway_that_starts_anew_is_waited_for(tmp_path: Path) -> None:
    replies = [reply(SINGLE, 202), Reply(b"", length=9), Reply(b"<html>"), reply(SINGLE, state="done")]
    with answering_in_turn(replies) as (port, asked):
        ended = run(tmp_path, port, "/v1/products/7")
    assert (ended.exit_code, len(asked)) == (0, 4)


def test_one_that_stays_away_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_PATIENCE", 2)
    with answering_in_turn([reply(SINGLE, 202), Reply(b""), Reply(b"")]) as (port, asked):
        ended = run(tmp_path, port, "/v1/products/7")
    assert (ended.exit_code, ended.stdout, len(asked)) == (2, "", 3)
    assert ended.stderr.splitlines()[-1] == "gateway: the gateway is gone; refresh a1 goes on once it runs again"


def test_whoever_may_not_look_any_more_is_told_that_it_goes_on(tmp_path: Path) -> None:
    with answering_in_turn([reply(SINGLE, 202), Reply(b'{"detail": "The admin token is wrong"}', 401)]) as (port, _):
        ended = run(tmp_path, port, "/v1/products/7")
    assert ended.exit_code == 2
    assert ended.stderr.splitlines()[-1] == "gateway: The admin token is wrong; refresh a1 goes on all the same"


def test_who_interrupts_it_leaves_it_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.cli.waiting._Looks.next", interrupted)
    with answering(json.dumps(SINGLE).encode(), 202) as (port, asked):
        ended = run(tmp_path, port, "/v1/products/7")
    assert (ended.exit_code, ended.stdout, len(asked)) == (130, "", 1)
    assert ended.stderr.splitlines()[-1] == (
        "refresh a1 goes on: `gateway refresh --status a1` tells how far it is, `--cancel a1` ends it"
    )


def test_the_pauses_grow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(waiting, "_FIRST", 0.5)
    pauses: list[float] = []
    with answering_in_turn([*[reply(SINGLE)] * 4, reply(SINGLE, state="done")]) as (port, _):
        assert (
            waiting.awaited(loaded(tmp_path, admin={"listen": f"{HOST}:{port}"}), SINGLE, pauses.append)["state"]
            == "done"
        )
    assert pauses == [0.5, 1.0, 2.0, 2.0, 2.0]


TEXTS = {
    "listed": (
        ("--list",),
        ("GET", "/-/refreshes"),
        [
            "id  began                 state    done  failed  total  account  of",
            "b2  2026-01-15T12:00:00Z  running  11    1       30     acme-ci  stores 12345",
            "b2  2026-01-15T12:00:00Z  running  11    1       30     acme-ci  stores (all)",
            "a1  2026-01-15T12:00:00Z  running  0     0       1      -        localhost/v1/products/7",
        ],
    ),
    "told": (
        ("--status", "b2"),
        ("GET", "/-/refreshes/b2"),
        ["running: 11 of 30 responses (1 failed), 0 of 1 subject"],
    ),
    "cancelled": (
        ("--cancel", "a/b"),
        ("DELETE", "/-/refreshes/a%2Fb"),
        ["running: 11 of 30 responses (1 failed), 0 of 1 subject"],
    ),
}


@pytest.mark.parametrize(("arguments", "call", "lines"), TEXTS.values(), ids=TEXTS)
def test_what_is_told_of_those_there_are(
    tmp_path: Path, arguments: tuple[str, ...], call: tuple[str, str], lines: list[str]
) -> None:
    with answering(json.dumps(_all()).encode()) as (port, asked):
        ended = run(tmp_path, port, *arguments)
    assert [request[:2] for request in asked] == [call]
    assert (ended.exit_code, ended.stdout.splitlines(), ended.stderr) == (0, lines, "")


def _all() -> dict[str, Any]:
    """One refresh that also holds a list of them."""
    return BACKGROUND | {"refreshes": [BACKGROUND | {"subject": "12345"}, BACKGROUND, SINGLE]}


@pytest.mark.parametrize(
    ("arguments", "told"), [(("--list",), [BACKGROUND, SINGLE]), (("--status", "b2"), BACKGROUND)], ids=["list", "one"]
)
def test_for_programs(tmp_path: Path, arguments: tuple[str, ...], told: object) -> None:
    content = {"refreshes": told} if isinstance(told, list) else told
    with answering(json.dumps(content).encode()) as (port, _):
        ended = run(tmp_path, port, *arguments, "--format", "json")
    assert json.loads(ended.stdout) == told


MISTYPED = {
    "nothing": ((), "say one of URL or --background, --list, --status and --cancel"),
    "two things": (("/a", "--list"), "say one of"),
    "a date for a URL": (("/a", "--since", "2020-05-29"), "goes with --background"),
    "a field for a background refresh": (("-b", "stores", "-H", "A: b"), "goes with a URL"),
    "no field": (("/a", "-H", "A"), "a field is `Name: value`"),
}


@pytest.mark.parametrize(("arguments", "words"), MISTYPED.values(), ids=MISTYPED)
def test_what_is_mistyped(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    with answering(b"{}") as (port, asked):
        ended = run(tmp_path, port, *arguments)
    assert (ended.exit_code, asked) == (2, [])
    assert words in ended.stderr


def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    with answering(b'{"detail": "404 unknown_subject: There is nothing of this id to refresh"}', 404) as (port, _):
        ended = run(tmp_path, port, "--background", "stores", "9")
    line = "gateway: 404 unknown_subject: There is nothing of this id to refresh\n"
    assert (ended.exit_code, ended.stdout, ended.stderr) == (2, "", line)


def test_where_no_gateway_runs_nothing_begins(tmp_path: Path) -> None:
    port = free_port()
    ended = run(tmp_path, port, "/a")
    line = f"gateway: no gateway answers on {HOST}:{port}: Connection refused\n"
    assert (ended.exit_code, ended.stdout, ended.stderr) == (2, "", line)
