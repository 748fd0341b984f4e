"""The kept answers of a fleet, and the claims by which one of its nodes alone answers a request; both in Redis.

A claim lasts as long as its node renews it. What is kept is written by the same step as its charge (`till.keeping`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

from gateway.answered import Asked, Found
from gateway.errors import Problem, Reason
from gateway.fleet import names
from gateway.fleet.call import unavailable
from gateway.fleet.connection import Connection, Refused, Unreachable
from gateway.fleet.script import Script
from gateway.ledger.kept import all_kept
from gateway.ledger.records import Kept
from gateway.ports import Clock
from gateway.tasks import Tasks

LEASE = 10.0
"""Seconds after which a claim that its node does not renew is given up."""

_ASK, _RENEW = Script("claim_ask"), Script("claim_renew")


class Claims:
    """`answered.Answered` for one node; `lease` is in seconds."""

    def __init__(self, connection: Connection, clock: Clock, lease: float = LEASE) -> None:
        self._connection = connection
        self._clock = clock
        self._lease = lease
        self._words = map(f"{uuid4().hex}:{{}}".format, count())
        self._held: dict[Asked, str] = {}
        self._asking: dict[Asked, str] = {}
        self._ending = Tasks()

    async def earlier(self, asked: Asked, *, claim: bool) -> Found | None:
        """Both in one step: what is kept, or the claim."""
        if claim:
            self._asking[asked] = next(self._words)
        try:
            reply = await self._ask(asked, round(1000 * self._lease) if claim else 0)
        except (Unreachable, Refused) as error:
            raise unavailable() from error
        match reply:
            case []:
                if (word := self._asking.pop(asked, None)) is not None:
                    self._held[asked] = word
                return None
            case [fingerprint]:
                self._asking.pop(asked, None)
                if fingerprint.decode() != asked.fingerprint:
                    raise Problem(Reason.idempotency_key_reused)
                raise Problem(Reason.request_in_progress, retry_after=1)
            case _:
                self._asking.pop(asked, None)
                return _found(asked, reply)

    def end(self, asked: Asked) -> None:
        """Free for the next one; also where nobody knows whether it was granted."""
        word = self._held.pop(asked, None) or self._asking.pop(asked, None)
        if word is not None:
            self._ending.start(self._say(asked, word, 0))

    async def renew(self) -> None:
        """Keep what is held, for ever; to be run as a task."""
        while True:
            await asyncio.sleep(self._lease / 3)
            for asked, word in list(self._held.items()):
                if asked in self._held:
                    await self._say(asked, word, self._lease)

    async def close(self) -> None:
        """Tell Redis of all that has ended."""
        await self._ending.finish()

    async def _ask(self, asked: Asked, milliseconds: int) -> list[bytes]:
        now = round(1000 * self._clock.wall())
        words = asked.fingerprint, self._asking.get(asked, ""), milliseconds, now
        reply: list[bytes] = await self._connection.run(_ASK, _names(asked), words)
        return reply

    async def _say(self, asked: Asked, word: str, seconds: float) -> None:
        """Without an answer the claim expires, or is renewed later."""
        said = f"{word} {asked.fingerprint}", round(1000 * seconds)
        with suppress(Unreachable, Refused):
            await self._connection.run(_RENEW, _names(asked)[1:], said)


def _names(asked: Asked) -> tuple[str, str]:
    """Both are where the organization's money is."""
    shard = names.shard(asked.organization)
    return names.kept(shard, asked.account, asked.key), names.claim(shard, asked.account, asked.key)


def _found(asked: Asked, parts: list[bytes]) -> Found:
    fingerprint, operation, until, remaining, content = [part.decode() for part in parts]
    kept = Kept(asked.account, asked.key, fingerprint, int(operation), int(until) / 1000, content)
    return Found(kept, int(remaining) if remaining else None)


def moving(folder: Path, organizations: Mapping[str, str], wall: float) -> Callable[[Connection], Awaitable[None]]:
    """What brings to Redis all that the ledger in `folder` keeps beyond `wall`; `organizations` are the accounts'.

    Raises BadStart and Unreachable once it is called, and may be called again.
    """

    async def move(connection: Connection) -> None:
        for kept in all_kept(folder, wall):
            if (organization := organizations.get(kept.account)) is not None:
                await _bring(connection, organization, kept)

    return move


async def _bring(connection: Connection, organization: str, kept: Kept) -> None:
    """What remained its content says itself."""
    name = names.kept(names.shard(organization), kept.account, kept.key)
    until = round(1000 * kept.until)
    told = ("fingerprint", kept.fingerprint, "operation", kept.operation, "until", until, "remaining", "")
    await connection.pipeline(("HSET", name, *told, "content", kept.content), ("PEXPIREAT", name, until))
