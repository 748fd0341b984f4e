"""`gateway ledger move`: an embedded ledger goes to an empty Redis, with its balances and all that hangs on them."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from gateway import claims
from gateway.admission.snapshot import Account
from gateway.cli.command import DEFAULT, ConfigFile
from gateway.clock import SystemClock
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.config.store import RedisURL, Store
from gateway.errors import BadStart
from gateway.exiting import end_with
from gateway.fleet.connection import Connection
from gateway.fleet.settings import Settings
from gateway.jobs.staying import unfinished
from gateway.keys import moving as keys
from gateway.keys.database import KeyDatabase
from gateway.keys.directory import Directory
from gateway.ledger.moving import Moved
from gateway.ledger.moving import move as carry

# Seconds for a call: a shard may hold tens of thousands of balances, and nobody waits but the operator.
_PATIENCE = 30.0
_NEXT = """\
Now say where the balances are in the config of every gateway, this one included, and start them:

  store: {kind: redis, url: …}

This folder's book goes on with what Redis records. Until a gateway has charged anything there, a backup made before
the move, put into an empty folder as book.sqlite3 with this folder's keys.sqlite3 beside it, is the way back.
Background refreshes and stored responses have not moved."""


def move(
    to: Annotated[str, typer.Option(metavar="URL", help="redis://…, rediss://… or unix://…; must be empty.")],
    config: ConfigFile = DEFAULT,
    leave_refreshes: Annotated[
        bool, typer.Option("--leave-refreshes", help="Move even where background refreshes have not ended; they stay.")
    ] = False,
) -> None:
    """Move an embedded ledger to Redis: balances, what was granted for the present period, open cap windows, made keys.

    The gateway must be stopped, with no background refresh that has not ended. Interrupted, the same command once more
    ends it. From then on no gateway starts on this folder with an embedded store.
    """
    end_with(lambda: _move(load(config), to, leave_refreshes))


def _move(config: Config, to: str, leave_refreshes: bool) -> int:
    if config.store.kind != "embedded":
        raise BadStart("store.kind is redis already: move with the config that the embedded gateway ran on")
    moved = asyncio.run(_moved(config, _settings(config.store, to), leave_refreshes))
    typer.echo(
        "The ledger had moved there before." if moved.before else f"The ledger in {config.store.path} has moved."
    )
    for label, amount in _lines(moved):
        typer.echo(f"{label:9} {amount}")
    typer.echo(f"\n{_NEXT}")
    return 0


async def _moved(config: Config, settings: Settings, leave_refreshes: bool) -> Moved:
    clock = SystemClock()
    connection = await Connection.open(settings, clock)
    try:
        folder, accounts = config.store.path, list(_accounts(config))
        holders = {account.holder: account.organization for account in accounts}
        answers = claims.moving(folder, {account.id: account.organization for account in accounts}, clock.wall())
        look = partial(_look, folder, leave_refreshes)
        return await carry(folder, connection, holders, clock, (keys.moving(folder), answers), look)
    finally:
        await connection.close()


def _look(folder: Path, leave_refreshes: bool) -> None:
    if not leave_refreshes and (count := unfinished(folder)):
        raise BadStart(
            f"{count} refreshes have not ended and would stay behind: start the gateway again and let them end"
            " (`gateway refresh --list`), or leave them with --leave-refreshes"
        )


def _settings(store: Store, to: str) -> Settings:
    try:
        url = TypeAdapter(RedisURL).validate_python(to)
    except ValidationError as invalid:
        raise typer.BadParameter(str(invalid.errors()[0]["msg"]), param_hint="--to") from None
    return Settings(url, store.username, store.password, _PATIENCE)


def _accounts(config: Config) -> Iterator[Account]:
    """All that the config or its made keys name."""
    directory = Directory(config)
    yield from directory.configured.values()
    database = KeyDatabase.reading(config.store.path)
    if database is not None:
        with closing(database):
            made = database.accounts()
        yield from (found for id_, one in made.items() if (found := directory.account(id_, one)) is not None)


def _lines(moved: Moved) -> Iterator[tuple[str, int]]:
    yield "holders", moved.holders
    yield from zip(("granted", "charged", "reserved", "lapsed", "balance"), moved.sums, strict=True)
