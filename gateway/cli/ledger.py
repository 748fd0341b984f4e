"""`gateway ledger`: the ledger verified, exported and copied, whether a gateway runs on it or not."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Literal, assert_never

import orjson
import typer

from gateway.cli.command import DEFAULT, ConfigFile
from gateway.cli.move import move
from gateway.cli.sheet import Cell, as_csv
from gateway.clock import SystemClock
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.config.store import Store
from gateway.errors import BadStart
from gateway.exiting import end_with
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.settings import Settings
from gateway.ledger.backup import backup as back_up
from gateway.ledger.comparing import compare
from gateway.ledger.export import FOREVER, Exported, minute_of
from gateway.ledger.export import export as exported
from gateway.ledger.receipts import utc
from gateway.ledger.recovery import BOOK
from gateway.ledger.verify import Proof
from gateway.ledger.verify import verify as proof_of
from gateway.ledger.walk import Damage

app = typer.Typer(help="Verify, export, back up and move the ledger.", no_args_is_help=True)
app.command()(move)

Form = Literal["csv", "jsonl"]

# Seconds that Redis may take for a shard's balances.
_PATIENCE = 30.0
Moment = Annotated[str, typer.Option(metavar="DATE|TIME", help="2026-11-01, or in UTC 2026-11-01T12:00:00Z.")]


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A backup, instead of the store's book.")
    ] = None,
    head: Annotated[str | None, typer.Option(metavar="HASH", help="A head noted earlier, to be in the chain.")] = None,
    config: ConfigFile = DEFAULT,
) -> None:
    """Prove that the records are those that were sealed, and that the balances are their sums. Exits with 1 on damage.

    Note the printed head elsewhere: only --head with an earlier one tells of a chain that was made anew as a whole.
    """
    end_with(lambda: _verify(config, file, head))


@app.command()
def export(
    since: Moment,
    until: Annotated[str | None, typer.Option(metavar="DATE|TIME", help="Left out: to the end.")] = None,
    form: Annotated[Form, typer.Option("--format")] = "csv",
    config: ConfigFile = DEFAULT,
) -> None:
    """Print the records from a moment on, to the minute: the sealed ones, then those that are not sealed yet.

    A date begins as the config's `timezone` has it.
    """
    end_with(lambda: _export(load(config), since, until, form))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; nothing is overwritten.")],
    config: ConfigFile = DEFAULT,
) -> None:
    """Copy the whole ledger to a file, while a gateway runs or not.

    To start from it, put it into an empty store folder as book.sqlite3.
    """
    end_with(lambda: _backup(load(config), file))


def _verify(config: Path, file: Path | None, head: str | None) -> int:
    noted = None if head is None else _hash(head)
    try:
        if file is None:
            store = load(config).store
            proof = proof_of(store.path / BOOK, store.path, noted)
            waiting = asyncio.run(_compared(store)) if store.kind == "redis" else None
        else:
            proof, waiting = proof_of(file, None, noted), None
    except Damage as damage:
        typer.echo(f"gateway: the ledger is damaged: {damage}", err=True)
        return 1
    for label, text in _lines(proof):
        typer.echo(f"{label:9} {text}")
    if waiting is not None:
        typer.echo(f"redis     has the same balances; {waiting} entries of its streams are not in the book yet")
    return 0


async def _compared(store: Store) -> int:
    """How many entries of Redis's streams wait for the book. Raises Damage where Redis has other balances."""
    connection = await Connection.open(replace(Settings.of(store), timeout=_PATIENCE), SystemClock())
    try:
        return await compare(store.path, connection)
    except Unreachable as error:
        raise BadStart(f"the book is sound, and Redis gave no answer to hold it against: {error}") from error
    finally:
        await connection.close()


def _hash(text: str) -> bytes:
    try:
        noted = bytes.fromhex(text)
    except ValueError:
        noted = b""
    if len(noted) != 32:
        raise typer.BadParameter("must be a head as `verify` prints it: 64 hexadecimal digits", param_hint="--head")
    return noted


def _lines(proof: Proof) -> Iterator[tuple[str, str]]:
    numbers = f"numbers {proof.first} to {proof.last}" if proof.last >= proof.first else "none yet"
    yield "records", f"{proof.last - proof.first + 1}, {numbers}"
    yield "head", proof.head.hex()
    yield "sealed", f"to {utc((proof.sealed + 1) * 60)}" if proof.sealed >= 0 else "nothing yet"
    yield "holders", str(proof.holders)
    for label, tokens in zip(("granted", "charged", "reserved", "lapsed", "balance"), proof.sums, strict=True):
        yield label, str(tokens)
    yield "journal", f"{proof.waiting} groups on their way into the book"


def _export(config: Config, since: str, until: str | None, form: Form) -> int:
    first = _minute(since, config.timezone, "--since")
    end = FOREVER if until is None else _minute(until, config.timezone, "--until")
    records = exported(config.store.path, first, end)
    match form:
        case "csv":
            pieces = _as_csv(records)
        case "jsonl":
            pieces = (orjson.dumps(record).decode() + "\n" for record in records)
        case _:
            assert_never(form)
    _write(pieces)
    return 0


def _minute(text: str, timezone: str, option: str) -> int:
    try:
        return minute_of(text, timezone)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _write(pieces: Iterable[str]) -> None:
    """A pipe that nobody reads any more ends the command as it ends every other one; a full disk with its own line."""
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BadStart(f"the export cannot be written: {error.strerror}") from error


def _as_csv(records: Iterable[Exported]) -> Iterator[str]:
    yield as_csv([[field.name for field in fields(Exported)]])
    for record in records:
        yield as_csv([map(_cell, asdict(record).values())])


def _cell(value: Cell | list[object] | dict[str, object]) -> Cell:
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else value


def _backup(config: Config, file: Path) -> int:
    size = back_up(config.store.path, file)
    typer.echo(f"{file} holds the whole ledger in {size} bytes")
    return 0
