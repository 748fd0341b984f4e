"""`gateway ledger verify|export|backup` as they are typed."""

import csv
import errno
import io
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from ledger.folders import Store, filled, reserve, settle
from support.config import config, product_route
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.cli.ledger import _write
from gateway.errors import BadStart
from gateway.ledger.recovery import BOOK


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
    command = ["ledger", *arguments, "--config", str(store.folder.parent / "gateway.yaml")]
    return CliRunner().invoke(app, command, env={"COLUMNS": "200", "NO_COLOR": "1"})


def done(store: Store, *arguments: str) -> str:
    ended = run(store, *arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_verify(store: Store) -> None:
    lines = done(store, "verify").splitlines()
    told = {line[:9].strip(): line[10:] for line in lines}
    assert told["records"] == "11, numbers 1 to 11"
    assert told["sealed"].startswith("to 2026-11-01T00:0")
    assert told["holders"] == "2"
    assert told["granted"] == "1480"
    assert told["journal"].startswith("0 groups")
    assert done(store, "verify", "--head", told["head"]).splitlines() == lines


def test_verify_names_the_damage(store: Store) -> None:
    with closing(sqlite3.connect(store.folder / BOOK)) as db, db:
        db.execute("UPDATE chain SET charged = charged - 1 WHERE number = 3")
    ended = run(store, "verify")
    assert (ended.exit_code, "record 3 is not what was sealed" in ended.output) == (1, True)


@pytest.mark.parametrize(("head", "status"), [("00" * 31 + "01", 1), ("xyz", 2), ("00", 2)])
def test_verify_with_another_head(store: Store, head: str, status: int) -> None:
    assert run(store, "verify", "--head", head).exit_code == status


def test_verify_of_an_empty_ledger(tmp_path: Path, store: Store) -> None:
    Store(tmp_path / "empty").close()
    output = done(store, "verify", str(tmp_path / "empty" / BOOK))
    assert "0, none yet" in output
    assert "nothing yet" in output


def test_verify_where_no_gateway_ever_ran(store: Store) -> None:
    (store.folder / BOOK).unlink()
    ended = run(store, "verify")
    assert (ended.exit_code, "there is no ledger in" in ended.output) == (2, True)


def test_export_as_csv_and_jsonl(store: Store) -> None:
    reserved = reserve(99, "ci", request="=HYPERLINK(1)")
    store.post(reserved, settle(reserved))
    (head, *rows) = csv.reader(io.StringIO(done(store, "export", "--since", "2026-11-01")))
    objects = [
        json.loads(line) for line in done(store, "export", "--since", "2026-11-01", "--format", "jsonl").splitlines()
    ]
    assert len(rows) == len(objects)
    assert head == list(objects[0])
    (row,) = (dict(zip(head, row, strict=True)) for row in rows if "rcpt_63" in row)
    (told,) = (told for told in objects if told["receipt"] == "rcpt_63")
    assert (row["request_id"], told["request_id"]) == ("'=HYPERLINK(1)", "=HYPERLINK(1)")
    assert (json.loads(row["lines"]), row["sealed"]) == (told["lines"], "true")


def test_export_until(store: Store) -> None:
    assert done(store, "export", "--since", "2026-10-01", "--until", "2026-11-01T00:00:59Z", "--format", "jsonl") == ""


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_export_of_no_moment(store: Store, option: str) -> None:
    moments = {"--since": "2026-11-01", "--until": "2026-11-01"} | {option: "soon"}
    ended = run(store, "export", *[word for pair in moments.items() for word in pair])
    assert (ended.exit_code, "must be a date" in ended.output, option in ended.output) == (2, True, True)


class Full(io.StringIO):
    """Where nothing can be written any more."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Closed(io.StringIO):
    """Where nobody reads any more."""

    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


@pytest.mark.parametrize(
    ("output", "raised"), [(Full(), BadStart), (Closed(), BrokenPipeError)], ids=["full", "closed"]
)
def test_export_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, output: io.StringIO, raised: type[Exception]
) -> None:
    monkeypatch.setattr(sys, "stdout", output)
    with pytest.raises(raised):
        _write(["x"])


def test_backup(store: Store, tmp_path: Path) -> None:
    assert "holds the whole ledger" in done(store, "backup", str(tmp_path / "copy"))
    assert done(store, "verify", str(tmp_path / "copy")) == done(store, "verify")
    assert run(store, "backup", str(tmp_path / "copy")).exit_code == 2
