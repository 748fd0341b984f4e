"""Made keys on their way from a store's folder to an empty Redis."""

from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.keys.database import KeyDatabase
from gateway.keys.in_redis import Held, InRedis


def moving(folder: Path) -> Callable[[Connection], Awaitable[None]]:
    """What brings them: all of them as they are now, in place of what an interrupted move has left. Raises BadStart.

    Raises Unreachable once it is called, and may be called again then.
    """
    database = KeyDatabase.reading(folder)
    held = Held(1, (), ())
    if database is not None:
        with closing(database):
            held = Held(1, tuple(database.accounts().values()), database.listed())

    async def move(connection: Connection) -> None:
        await connection.ask("DEL", names.KEYS, names.KEYS_MADE, names.KEYS_ACCOUNTS)
        await InRedis(connection).put_back(held)

    return move
