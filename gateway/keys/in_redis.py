"""Made keys as a fleet's Redis holds them: how they are read, changed and put back, and which node knows what."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from gateway.fleet import names
from gateway.fleet.connection import Connection, Part, Unreachable
from gateway.fleet.script import Script
from gateway.keys import encoding
from gateway.keys.database import MadeAccount, MadeKey
from gateway.keys.planning import Planned

_CHANGE, _SEEN, _RESTORE = Script("keys_change"), Script("keys_seen"), Script("keys_restore")
# Keys of one call: some hundred KiB.
_AT_ONCE = 1000

_VERSION = "version"


class Held(NamedTuple):
    """All of them as of one version, which counts the changes."""

    version: int
    accounts: Sequence[MadeAccount]
    keys: Sequence[MadeKey]


class InRedis:
    """Every method raises Unreachable, and Refused as `fleet.connection.Connection` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def version(self) -> int:
        """The latest version."""
        return int(await self._connection.ask("HGET", names.KEYS, _VERSION) or 0)

    async def load(self, *, agreed: bool) -> Held:
        """All of them. Raises ValueError and TypeError for what no gateway has written.

        Raises Unreachable while the fleet goes by another server: what this one has lost is not back yet. Before there
        is a fleet that is no hindrance, unless it is to be `agreed`.
        """
        version, before = await self._standing(agreed=agreed), -1
        while version != before:
            before = version
            accounts, keys = await self._whole(names.KEYS_ACCOUNTS), await self._whole(names.KEYS_MADE)
            version = await self._standing(agreed=agreed)
        # A hundred thousand take a while.
        return await asyncio.to_thread(_unpacked, version, accounts, keys)

    async def write(self, version: int, planned: Planned, word: str) -> bool:
        """Make a change which makes this version; False where another one has. With the same `word` it is made once."""
        made = planned.made
        account: tuple[Part, Part] = ("", "") if made is None else (made.id, encoding.packed_account(made))
        keys = (names.EPOCH, names.KEYS, names.KEYS_MADE, names.KEYS_ACCOUNTS, names.SEQUENCE, names.LOG)
        told = self._connection.server, version, word, encoding.entry(version, planned), *account
        changed = [part for key in planned.written for part in (key.number, encoding.packed_key(key))]
        return bool(await self._connection.run(_CHANGE, keys, [*told, *changed]))

    async def put_back(self, held: Held) -> None:
        """Bring what Redis has lost, unless it or another node has it, or a later version."""
        parts = await asyncio.to_thread(_packed, held)
        for place, (name, some) in enumerate(parts, 1):
            last = int(place == len(parts))
            if not await self._connection.run(_RESTORE, (names.KEYS, name), [held.version, last, *some]):
                return

    async def announce(self, version: int) -> None:
        """This node goes by that version."""
        await self._connection.ask("HSET", names.KEYS_SEEN, self._connection.incarnation, version)

    async def behind(self, version: int) -> int:
        """How many living nodes have announced none so late."""
        return int(await self._connection.run(_SEEN, (names.KEYS_SEEN,), (version, names.NODE)))

    async def _standing(self, *, agreed: bool) -> int:
        epoch, version = await self._connection.pipeline(("GET", names.EPOCH), ("HGET", names.KEYS, _VERSION))
        if (agreed or epoch is not None) and epoch != self._connection.server.encode():
            raise Unreachable("the fleet goes by another server")
        return int(version or 0)

    async def _whole(self, name: str) -> list[bytes]:
        """The values of a hash; one that changes meanwhile is read again by whoever asks."""
        found, cursor = dict[bytes, bytes](), b"0"
        while True:
            cursor, some = await self._connection.ask("HSCAN", name, cursor, "COUNT", _AT_ONCE)
            found.update(zip(some[::2], some[1::2], strict=True))
            if cursor == b"0":
                return list(found.values())


def new_word() -> str:
    """What tells one change from every other."""
    return secrets.token_hex(8)


def _unpacked(version: int, accounts: list[bytes], keys: list[bytes]) -> Held:
    return Held(version, list(map(encoding.account_of, accounts)), list(map(encoding.key_of, keys)))


def _packed(held: Held) -> list[tuple[str, list[Part]]]:
    """What goes with each call: the hash that it is of, and fields with their values."""
    accounts: list[tuple[Part, Part]] = [(one.id, encoding.packed_account(one)) for one in held.accounts]
    keys: list[tuple[Part, Part]] = [(key.number, encoding.packed_key(key)) for key in held.keys]
    named = (names.KEYS_ACCOUNTS, accounts), (names.KEYS_MADE, keys)
    return [(name, list(chain.from_iterable(some))) for name, pairs in named for some in _parted(pairs)]


def _parted(pairs: list[tuple[Part, Part]]) -> Iterator[list[tuple[Part, Part]]]:
    for begin in range(0, len(pairs), _AT_ONCE):
        yield pairs[begin : begin + _AT_ONCE]
