"""Made keys, their accounts and their changes as a fleet's Redis holds them: JSON arrays, digests in hexadecimal."""

from typing import Any

import orjson

from gateway.keys.database import MadeAccount, MadeKey
from gateway.keys.planning import Planned

KIND = "key"
"""What an entry of the fleet's log begins with that tells of a change."""

_ANYBODY = 0
"""Instead of the node that made the entry, which has to hear of it as well: its own answer may have been lost."""


def packed_key(key: MadeKey) -> bytes:
    """One key, without the key itself."""
    return orjson.dumps(_key(key))


def packed_account(account: MadeAccount) -> bytes:
    """One account."""
    return orjson.dumps(account, default=tuple)


def key_of(content: bytes) -> MadeKey:
    """What `packed_key` was given. Raises ValueError and TypeError for anything else."""
    return _key_of(orjson.loads(content))


def account_of(content: bytes) -> MadeAccount:
    """What `packed_account` was given. Raises ValueError and TypeError for anything else."""
    return MadeAccount(*orjson.loads(content))


def entry(version: int, planned: Planned) -> bytes:
    """The entry of the change that makes version `version`; the new key itself is not in it."""
    revoked, ending = [list(map(_key, keys)) for keys in (planned.revoked, planned.ending)]
    key = None if planned.key is None else _key(planned.key)
    change = planned.account, planned.at, revoked, ending, planned.made, key
    return orjson.dumps([KIND, _ANYBODY, version, *change], default=tuple)


def change_of(rest: list[Any]) -> tuple[int, Planned]:
    """Version and change of an entry, from what follows kind and incarnation. Raises ValueError and TypeError."""
    version, account, at, revoked, ending, made, key = rest
    planned = Planned(
        account,
        at,
        revoked=tuple(map(_key_of, revoked)),
        ending=tuple(map(_key_of, ending)),
        made=None if made is None else MadeAccount(*made),
        key=None if key is None else _key_of(key),
    )
    return version, planned


def _key(key: MadeKey) -> list[Any]:
    number, digest, *rest = key
    return [number, digest.hex(), *rest]


def _key_of(parts: list[Any]) -> MadeKey:
    number, digest, *rest = parts
    return MadeKey(number, bytes.fromhex(digest), *rest)
