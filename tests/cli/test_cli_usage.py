"""`gateway usage` as it is typed."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from ledger.stores import DECEMBER, NOVEMBER, Store, filled, lookup
from support.config import config, product_route
from typer.testing import CliRunner, Result

from gateway.cli import app


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
