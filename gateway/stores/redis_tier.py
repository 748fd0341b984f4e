"""The tier that a fleet shares, on Redis through aiocache: each load and each save is one script, one round trip.

Times go there as Redis's clock has them, so that ages are right on every node, whatever its own clock says.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Any

import orjson
from aiocache import RedisCache
from aiocache.serializers import NullSerializer
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from gateway.admission.prepared import is_of_tag
from gateway.fleet import names
from gateway.fleet.script import Script
from gateway.ports import Clock
from gateway.rfc9111.stored import StoredResponse
from gateway.stores import TierUnavailable
from gateway.stores.encoding import decode, decode_beginning, encode, encode_json, original
from gateway.stores.memory import VARIANTS
from gateway.stores.offset import Offset
from gateway.stores.selection import Written
from gateway.stores.telling import marked

DAY = 86_400.0

LEAST, LONGEST = DAY, 30 * DAY
"""Seconds for which a response is shared: at least, as a route may prolong its use or have it validated; at most."""

LOADED = 16 << 20
"""Bytes of variants in one load, at most: the least recently received go without."""

# What a load and a save ask of a variant, before its marks: number, began, received, when it expires.
_TIMES = Struct(">dddd")
_ACCOUNT = (names.SHARED, names.SHARED_SIZES, names.SHARED_ENDS)
_LOAD, _SAVE = Script("load"), Script("save")

# Cache keys that are asked for at once.
_PAGE = 100

Read = Callable[[bytes], StoredResponse | None]


class RedisTier:
    """`ports.SharedTier` over `cache`, whose serializer it replaces, as all that it keeps are bytes.

    With each save of this node what all nodes have saved is brought down to `room` bytes, as Redis counts them, some of
    the least recently used going first. What this node has put out so is counted in `evictions`.

    Every method raises `stores.TierUnavailable` when the backend fails or takes longer than its own timeout.
    """

    def __init__(self, cache: RedisCache, clock: Clock, room: int) -> None:
        self.room = room
        self.evictions = 0
        cache.serializer = NullSerializer(encoding=None)
        self._cache = cache
        self._clock = clock
        self._offset = Offset()

    async def load(self, key: str) -> tuple[tuple[int, StoredResponse], ...]:
        """Every variant under `key` that nothing outdates, most recently received first; unreadable ones are none."""
        return await self._load(names.digest(key), "whole", decode)

    async def tagged(self, group: str) -> AsyncIterator[tuple[int, StoredResponse]]:
        """What is stored in `group`, that of a tag, and nothing outdates, without field sections and content."""
        name, cursor = _tagged(group), None
        while cursor != 0:
            cursor, digests = await self._ask("sscan", name, cursor or 0, count=_PAGE)
            for digest in digests:
                for number, stored in await self._load(digest.decode(), "beginning", decode_beginning):
                    if group in stored.groups:
                        yield number, stored

    async def save(self, stored: StoredResponse, marks: bytes, number: int, token: int = 0) -> bool:
        """Keep `stored`, unless it comes too late; whether it is kept."""
        if self._offset.is_old(self._clock.steady()):
            await self._compare()
        digest = names.digest(stored.key)
        keys = (names.stored(digest), names.MARKS, names.FLOOR, names.SEQUENCE, names.fence(digest), *_ACCOUNT)
        tags = (_tagged(group) for group in stored.groups if is_of_tag(group))
        variant = blake2b(encode_json(stored.selecting), digest_size=16).digest()
        about = _TIMES.pack(number, *map(self._offset.there, (stored.began, stored.received, _expires(stored)))) + marks
        asked = (variant, about, encode(stored), token, VARIANTS, self.room, names.STORED)
        *_, kept, evicted = await self._run(_SAVE, (*keys, *tags), asked)
        self.evictions += evicted
        return bool(kept)

    async def account(self) -> tuple[int, int]:
        """How many responses all nodes have stored, and their bytes; what expires leaves with the next saves."""
        responses, used = await self._ask("hmget", names.SHARED, "responses", "bytes")
        return int(responses or 0), int(used or 0)

    async def purges(self) -> tuple[tuple[int, Written], ...]:
        """The purges that no groups tell, with their numbers."""
        scored = await self._ask("zrange", names.PURGES, 0, -1, withscores=True)
        return tuple([(int(number), original(orjson.loads(written))) for written, number in scored])

    async def _load(self, digest: str, extent: str, read: Read) -> tuple[tuple[int, StoredResponse], ...]:
        reply = await self._run(_LOAD, (names.stored(digest), names.MARKS, names.FLOOR), (LOADED, extent))
        pairs = zip(reply[2::2], reply[3::2], strict=True)
        return tuple([found for about, value in pairs if (found := self._found(about, read(value))) is not None])

    def _found(self, about: bytes, stored: StoredResponse | None) -> tuple[int, StoredResponse] | None:
        if stored is None:
            return None
        number, began, received, _ = _TIMES.unpack_from(about)
        # It cannot be from the future: what the clocks' comparison is wrong by must not make it younger than new.
        received = min(self._offset.here(received), self._clock.steady())
        return int(number), stored.replaced(began=min(self._offset.here(began), received), received=received)

    async def _compare(self) -> None:
        before = self._clock.steady()
        seconds, microseconds = await self._ask("time")
        self._offset.compare(before, seconds + microseconds / 1e6, self._clock.steady())

    async def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | int | str]) -> list[Any]:
        before = self._clock.steady()
        words = (len(keys), *keys, *arguments)
        reply: list[Any] = await self._ask_script(script, words)
        self._offset.compare(before, int(reply[0]) + int(reply[1]) / 1e6, self._clock.steady())
        return reply

    async def _ask_script(self, script: Script, words: tuple[Any, ...]) -> list[Any]:
        try:
            reply = await self._ask("evalsha", script.digest.decode(), *words)
        except _Unknown:
            reply = await self._ask("eval", script.text, *words)
        return list(reply)

    async def _ask(self, command: str, *words: Any, **options: Any) -> Any:
        try:
            return await self._cache.raw(command, *words, **options)
        except NoScriptError as error:
            raise _Unknown from error
        except Exception as error:  # the client's and the system's classes share no base
            raise TierUnavailable(type(error).__name__) from error


def backend(client: Redis, timeout: float) -> RedisCache:
    """aiocache's, connected by `client`: by itself it knows no URL, so no TLS. `timeout` is a call's, in seconds."""
    cache = RedisCache(timeout=timeout)
    cache.client = client
    return cache


class _Unknown(Exception):
    """Redis has not seen this script since it was started."""


def _tagged(group: str) -> str:
    return names.tagged(marked((group,)).hex())


def _expires(stored: StoredResponse) -> float:
    """The steady time from which it is of no use: neither fresh nor served stale nor validated."""
    terms = stored.terms
    fresh = max(terms.lifetime or 0.0, terms.heuristic or 0.0)
    bridged = max(terms.stale_while_revalidate or 0.0, terms.stale_if_error or 0.0)
    useful = fresh + bridged - stored.initial_age
    return stored.received + min(max(useful, LEAST), LONGEST)
