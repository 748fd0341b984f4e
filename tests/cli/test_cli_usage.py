"""`gateway usage` as it is typed."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from cli.answering import answering
from ledger.folders import DECEMBER, NOVEMBER, Store, filled, lookup
from support.addresses import HOST
from support.config import config, product_route
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.ledger.reader import reading
from gateway.ledger.recovery import lock
from gateway.ledger.usage import By, Month, usage
from gateway.ledger.usage_document import usage_document

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    whole = config("http://up.example", product_route(), keys=[]) | {
        "listen": "127.0.0.1:1",
        "admin": {"listen": "127.0.0.1:2"},
    }
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(whole))
    with closing(filled(tmp_path / "var")) as store:
        yield store


def run(store: Store, *arguments: str) -> Result:
    command = ["usage", *arguments, "--config", str(store.folder.parent / "gateway.yaml")]
    return CliRunner().invoke(app, command, env={"COLUMNS": "200", "NO_COLOR": "1"})


def text(store: Store, *arguments: str) -> str:
    ended = run(store, "--month", "2026-11", *arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_a_table(store: Store) -> None:
    assert text(store) == (
        "2026-11 (UTC), open\n"
        "\n"
        "key    requests  tokens  refunded  vendor tokens\n"
        "ci            9      20         6              4\n"
        "shop          2       2         0              2\n"
        "total        11      22         6              6\n"
    )


def test_what_belongs_to_no_outcome(store: Store) -> None:
    assert text(store, "--by", "outcome").splitlines()[-2].split() == ["-", "0", "0", "0", "6"]
    assert json.loads(text(store, "--by", "outcome", "--format", "json"))["rows"][-1]["outcome"] is None


def test_json(store: Store) -> None:
    assert json.loads(text(store, "--by", "day", "--format", "json")) == {
        "month": "2026-11",
        "timezone": "UTC",
        "by": "day",
        "closed": False,
        "rows": [{"day": "2026-11-01", "requests": 11, "tokens": 22, "refunded": 6, "vendor_tokens": 6}],
        "total": {"requests": 11, "tokens": 22, "refunded": 6, "vendor_tokens": 6},
    }


def test_csv_is_no_formula(store: Store) -> None:
    store.post(lookup("@sum", at=NOVEMBER))
    assert text(store, "--format", "csv") == (
        "month,closed,key,requests,tokens,refunded,vendor_tokens\n"
        "2026-11,false,'@sum,1,1,0,0\n"
        "2026-11,false,ci,9,20,6,4\n"
        "2026-11,false,shop,2,2,0,2\n"
    )


def test_the_most_of_it_and_the_rest(store: Store) -> None:
    assert text(store, "--top", "1").splitlines()[2:] == [
        "key     requests  tokens  refunded  vendor tokens",
        "ci             9      20         6              4",
        "(rest)         2       2         0              2",
        "total         11      22         6              6",
    ]
    assert text(store, "--top", "1", "--format", "csv").splitlines()[1:] == [
        "2026-11,false,ci,9,20,6,4",
        "2026-11,false,(rest),2,2,0,2",
    ]
    assert json.loads(text(store, "--top", "1", "--format", "json"))["rest"]["tokens"] == 2
    assert text(store, "--top", "2") == text(store)


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_closed_month_is_the_same_bytes_for_good(store: Store, form: str) -> None:
    store.seal(DECEMBER)
    before = text(store, "--format", form)
    assert "open" not in before
    store.post(lookup("ci", at=NOVEMBER), lookup("ci", at=DECEMBER))
    assert text(store, "--format", form) == before


def test_the_present_month_is_open(store: Store) -> None:
    ended = run(store)
    assert (ended.exit_code, ended.stdout.splitlines()[0][-4:]) == (0, "open")


MISUSED = {
    "a month": (("--month", "2026-13"), "a month such as"),
    "by": (("--by", "colour"), "'colour' is not one of"),
    "no rows": (("--top", "0"), "'--top'"),
    "a format": (("--format", "xml"), "'xml' is not one of"),
}


@pytest.mark.parametrize(("arguments", "words"), MISUSED.values(), ids=MISUSED)
def test_misused(store: Store, arguments: tuple[str, ...], words: str) -> None:
    ended = run(store, *arguments)
    assert ended.exit_code == 2
    assert words in ended.output


def test_no_ledger(store: Store) -> None:
    store.folder.rename(store.folder.with_name("elsewhere"))
    ended = run(store)
    assert (ended.exit_code, "there is no ledger" in ended.output) == (2, True)


@contextmanager
def run_by_a_gateway(store: Store, content: bytes, status: int = 200) -> Iterator[list[Any]]:
    """The store is held, and this is what the admin port answers; what that was asked."""
    path = store.folder.parent / "gateway.yaml"
    file = lock(store.folder)
    try:
        with answering(content, status) as (port, asked):
            whole = yaml.safe_load(path.read_text()) | {"admin": {"listen": f"{HOST}:{port}"}}
            path.write_text(yaml.safe_dump(whole))
            yield asked
    finally:
        os.close(file)


@pytest.mark.parametrize("by", By, ids=lambda by: by.value)
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_what_a_gateway_tells_is_the_same_bytes(store: Store, by: By, form: str) -> None:
    arguments = ("--by", by.value, "--format", form)
    before = text(store, *arguments)
    with reading(store.folder) as db:
        document = orjson.dumps(usage_document(usage(db, Month("2026-11", "UTC"), by)))
    with run_by_a_gateway(store, document) as asked:
        # So it is not from there.
        store.post(lookup("late"))
        assert text(store, *arguments) == before
    assert [request[:2] for request in asked] == [("GET", f"/-/usage?by={by.value}&month=2026-11")]


def test_which_month_is_the_present_one_is_for_the_gateway_to_say(store: Store) -> None:
    with reading(store.folder) as db:
        document = orjson.dumps(usage_document(usage(db, Month("2026-11", "UTC"), By.key)))
    with run_by_a_gateway(store, document) as asked:
        assert run(store).stdout.startswith("2026-11 (UTC)")
    assert [request[:2] for request in asked] == [("GET", "/-/usage?by=key")]


UNTOLD = {
    "a refusal": (b'{"detail": "The ledger is not available for now"}', 503),
    "a former version": (b'{"detail": "There is no such thing here"}', 404),
    "something else": (b'{"rows": 7}', 200),
    "no JSON": (b"<html>", 200),
}


@pytest.mark.parametrize(("content", "status"), UNTOLD.values(), ids=UNTOLD)
def test_where_a_gateway_does_not_tell_the_files_do(store: Store, content: bytes, status: int) -> None:
    before = text(store)
    with run_by_a_gateway(store, content, status) as asked:
        ended = run(store, "--month", "2026-11")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, before, "")
    assert len(asked) == 1


def test_where_nobody_answers_the_files_tell(store: Store) -> None:
    before = text(store)
    file = lock(store.folder)
    ended = run(store, "--month", "2026-11")
    os.close(file)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, before, "")
