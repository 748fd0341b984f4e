"""Made keys as operators see them: who they stand for and until when, never the key or its digest."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import BadStart
from gateway.keys.database import KeyDatabase, MadeAccount, MadeKey
from gateway.keys.directory import Directory
from gateway.keys.planning import Planned

Row = dict[str, object]


def rows(database: KeyDatabase, directory: Directory, wall: float, after: int = 0, most: int = -1) -> list[Row]:
    """The keys behind number `after`, at most `most` (all, if negative). Times are ISO 8601 in UTC.

    Each is `{"number", "account", "organization", "plan", "hint", "test", "state", "created", "expires", "revoked"}`;
    organization and plan are null where the config has dropped the account. Raises sqlite3.Error.
    """
    return [_row(key, directory, database.account(key.account), wall) for key in database.listed(after, most)]


def read(folder: Path, directory: Directory, wall: float) -> list[Row]:
    """Every key in the store's folder, whether a gateway runs on it or not. Raises BadStart."""
    database = KeyDatabase.reading(folder)
    if database is None:
        return []
    try:
        return rows(database, directory, wall)
    except (sqlite3.Error, ValueError) as error:
        raise BadStart(f"the key database in {folder} cannot be read: {error}") from error
    finally:
        database.close()


def made(planned: Planned) -> Row:
    """What is answered for a new key, the key itself included: this once."""
    key = planned.key
    new = {} if key is None else {"key": planned.secret, "number": key.number, "hint": key.hint, "test": key.test}
    ending = [_named(old) | {"expires": instant(old.expires)} for old in planned.ending]
    return {"account": planned.account, **new, "ending": ending, "revoked": revoked(planned)["revoked"]}


def revoked(planned: Planned) -> Row:
    """What is answered for keys that were revoked."""
    return {"account": planned.account, "revoked": [_named(old) for old in planned.revoked]}


def instant(moment: float | None) -> str | None:
    """Wall-clock seconds in ISO 8601."""
    return None if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _row(key: MadeKey, directory: Directory, described: MadeAccount | None, wall: float) -> Row:
    account = directory.account(key.account, described)
    expires = key.end(None if account is None else account.expires)
    return {
        "number": key.number,
        "account": key.account,
        "organization": None if account is None else account.organization,
        "plan": None if account is None else account.plan.name,
        "hint": key.hint,
        "test": key.test,
        "state": _state(key, expires, wall) if account is not None or key.revoked is not None else "dropped",
        "created": instant(key.created),
        "expires": instant(expires),
        "revoked": instant(key.revoked),
    }


def _named(key: MadeKey) -> Row:
    return {"number": key.number, "hint": key.hint}


def _state(key: MadeKey, expires: float | None, wall: float) -> str:
    if key.revoked is not None:
        return "revoked"
    return "valid" if expires is None or wall < expires else "expired"
