"""The second tier over aiocache: stored responses as bytes, in any of its backends.

A cache key's index lists its variants, each a value of its own; a group's mark leaves out what a refresh outdated, and
one value holds the purges of what no groups tell.
"""

from asyncio import Lock
from collections.abc import Awaitable
from hashlib import blake2b
from math import inf
from typing import Any, NamedTuple

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

from gateway.rfc9111.stored import StoredResponse
from gateway.stores import Mark, TierUnavailable
from gateway.stores.encoding import decode, decode_json, encode, encode_json, plain
from gateway.stores.memory import VARIANTS
from gateway.stores.purging import Lasting, joined, met
from gateway.stores.selection import Everything, read

# Writers of one key or group take turns; other nodes' writers can still lose each other's variants: a miss, later.
_LOCKS = 64
# Where a mark was and cannot be read, nothing of its group can be trusted.
_UNREADABLE = Mark(before=inf)

_PURGES = "purges"
# Each load reads them all: where there are more, the oldest become one of everything.
_MOST_PURGES = 64
# As with a mark: where they were and cannot be read, nothing can be trusted.
_NO_TRUST = [Lasting(Everything(), inf, hard=True)]


class _Listed(NamedTuple):
    """A variant in its key's index."""

    id: str
    began: float
    received: float


class AiocacheTier:
    """`ports.SecondTier` over `cache`, whose serializer it replaces, as all that it keeps are bytes.

    Responses expire `expire_after` seconds after they were saved, None: never. Every method raises
    `stores.TierUnavailable` when the backend fails or takes longer than the timeout of its own.
    """

    def __init__(self, cache: BaseCache, expire_after: float | None) -> None:
        if expire_after is not None and expire_after <= 0:
            raise ValueError("expire_after must be positive: with a ttl of 0 aiocache keeps values for ever")
        cache.serializer = NullSerializer(encoding=None)
        self._cache = cache
        self._expire_after = expire_after
        self._locks = tuple(Lock() for _ in range(_LOCKS))

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant stored under `key`, most recently received first; outdated and unreadable ones are left out."""
        index = await self._listed(key)
        values = await self._read([_variant_key(key, listed.id) for listed in index])
        found = [stored for value in values if (stored := decode(value)) is not None]
        if not found:
            return ()
        marks = await self._marks({group for stored in found for group in stored.groups})
        purges = _purges((await self._read([_PURGES]))[0])
        return tuple(stored for stored in found if not _outdated(stored, marks) and _survives(stored, purges))

    async def save(self, stored: StoredResponse) -> None:
        """Keep `stored`, unless the variant in its place began later; an outdated one only takes that out."""
        async with self._turn(stored.key):
            new = _Listed(_variant_id(stored.selecting), stored.began, stored.received)
            index = await self._listed(stored.key)
            if any(listed.id == new.id and listed.began > new.began for listed in index):
                return
            others = [listed for listed in index if listed.id != new.id]
            if stored.outdated:
                await self._take_out(stored.key, new, others)
                return
            received = sorted([new, *others], key=lambda listed: listed.received, reverse=True)
            await self._write(stored, received[:VARIANTS])
            for listed in received[VARIANTS:]:
                await self._ask(self._cache.delete(_variant_key(stored.key, listed.id)))

    async def drop(self, groups: tuple[str, ...], before: float, keep: str | None) -> None:
        """Outdate what belongs to one of `groups` and began before `before` (steady seconds), but for key `keep`."""
        # A mark stays twice as long as a response, so that one saved while it is written cannot outlive it.
        ttl = None if self._expire_after is None else 2 * self._expire_after
        for group in groups:
            async with self._turn(group):
                mark = (await self._marks({group}))[group]
                mark = Mark(before) if mark is _UNREADABLE else mark.joined(before, keep)
                value = encode_json((mark.before, mark.keep, mark.floor))
                await self._ask(self._cache.set(_mark_key(group), value, ttl=ttl))

    async def purge(self, selection: tuple[str, ...], before: float, *, hard: bool) -> None:
        """Leave out what `selection` takes and began before `before`; unless `hard` say of it that it is purged."""
        # As long as a mark.
        ttl = None if self._expire_after is None else 2 * self._expire_after
        new = Lasting(read(selection), before, hard)
        async with self._turn(_PURGES):
            kept = _purges((await self._read([_PURGES]))[0])
            if kept is _NO_TRUST:
                kept = [Lasting(Everything(), before, hard=True)]
            value = [(purge.selection.written, purge.before, purge.hard) for purge in joined(kept, new, _MOST_PURGES)]
            await self._ask(self._cache.set(_PURGES, encode_json(value), ttl=ttl))

    async def _write(self, stored: StoredResponse, index: list[_Listed]) -> None:
        variant = (_variant_key(stored.key, _variant_id(stored.selecting)), encode(stored))
        listing = (_index_key(stored.key), encode_json(index))
        await self._ask(self._cache.multi_set([variant, listing], ttl=self._expire_after))

    async def _take_out(self, key: str, listed: _Listed, others: list[_Listed]) -> None:
        if others:
            await self._ask(self._cache.set(_index_key(key), encode_json(others), ttl=self._expire_after))
        else:
            await self._ask(self._cache.delete(_index_key(key)))
        await self._ask(self._cache.delete(_variant_key(key, listed.id)))

    async def _listed(self, key: str) -> list[_Listed]:
        [value] = await self._read([_index_key(key)])
        return [_Listed(*listed) for listed in decode_json(value) or ()]

    async def _marks(self, groups: set[str]) -> dict[str, Mark]:
        values = await self._read([_mark_key(group) for group in groups])
        return {group: _mark(value) for group, value in zip(groups, values, strict=True)}

    async def _read(self, keys: list[str]) -> list[object]:
        # Redis refuses to read no keys at all.
        return list(await self._ask(self._cache.multi_get(keys))) if keys else []

    async def _ask(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except Exception as error:  # each backend raises its own client's classes, which share no base
            raise TierUnavailable(f"{type(error).__name__}: {error}") from error

    def _turn(self, name: str) -> Lock:
        return self._locks[hash(name) % _LOCKS]


def _purges(value: object) -> list[Lasting]:
    if value is None:
        return []
    kept = decode_json(value)
    return _NO_TRUST if kept is None else [Lasting(read(selection), *rest) for selection, *rest in kept]


def _survives(stored: StoredResponse, purges: list[Lasting]) -> bool:
    return not any(purge.hard for purge in met(stored, purges))


def _outdated(stored: StoredResponse, marks: dict[str, Mark]) -> bool:
    return any(marks[group].outdates(stored.key, stored.began) for group in stored.groups)


def _mark(value: object) -> Mark:
    if value is None:
        return Mark()
    members = decode_json(value)
    return _UNREADABLE if members is None else Mark(*members)


def _index_key(key: str) -> str:
    return f"key:{plain(key)}"


def _variant_key(key: str, variant: str) -> str:
    return f"variant:{variant}:{plain(key)}"


def _mark_key(group: str) -> str:
    return f"group:{plain(group)}"


def _variant_id(selecting: tuple[tuple[str, str], ...]) -> str:
    return blake2b(encode_json(selecting), digest_size=16).hexdigest()
