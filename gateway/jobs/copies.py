"""Copies of the register in Redis: from one a new node begins, and the rounds up to it need not be kept."""

import asyncio
from itertools import count

from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.script import Script
from gateway.jobs.replica import Replica, Standing, condensed, expanded

_COPIED = Script("jobs_copied")

# Bytes of one part, which goes within the time of one call.
_PART = 256 * 1024

# Seconds that parts outlive whoever died while it wrote them.
_ABANDONED = 600

# Rounds before a copy that are kept all the same: whoever is a moment behind goes on by them.
_KEPT = 1000


class Copies:
    """One node's; `node` is its own word."""

    def __init__(self, connection: Connection, node: str) -> None:
        self._connection = connection
        self._node = node
        self._numbers = count(1)

    async def save(self, replica: Replica) -> bool:
        """Put a copy of the register in the place of the one there is; whether it was of use.

        Raises Unreachable, Problem(jobs_unavailable).
        """
        return await self._write(replica, "", "")

    async def put_back(self, replica: Replica) -> bool:
        """Make the register the fleet's, where Redis has lost the latest of it, but nothing that this one lacks.

        To be called before the fleet agrees on a server. Raises as `save` does.
        """
        number, id_ = await self._connection.ask("HMGET", names.JOBS_HEAD, "number", "round")
        lost = Standing(int(number or 0), (id_ or b"").decode())
        if lost.number >= replica.standing.number or not await replica.holds(lost):
            return False
        return await self._write(replica, str(lost.number), lost.id)

    async def load(self) -> Replica:
        """The register as the latest copy has it, an empty one where there is none. Raises Unreachable."""
        name = await self._connection.ask("HGET", names.JOBS_HEAD, "copy")
        if name is None:
            return Replica()
        packed = bytearray()
        for at in count():
            part = await self._connection.ask("LINDEX", name, at)
            if part is None:
                break
            packed += part
        return await _replica(bytes(packed))

    async def _write(self, replica: Replica, number: str, id_: str) -> bool:
        content, standing = await replica.copy()
        packed = await asyncio.to_thread(condensed, content)
        name = names.jobs_copy(f"{self._node}-{next(self._numbers)}")
        for at in range(0, len(packed), _PART):
            commands = (("RPUSH", name, packed[at : at + _PART]), ("EXPIRE", name, _ABANDONED))
            await self._connection.pipeline(*commands)
        keys = (names.EPOCH, names.JOBS_HEAD, names.JOBS, name)
        copy = (self._connection.server, standing.number, standing.id, len(packed))
        return bool(await self._connection.run(_COPIED, keys, (*copy, number, id_, _KEPT)))


async def _replica(packed: bytes) -> Replica:
    """Raises Unreachable for what has expired under the reader's hands: the next try finds another copy."""
    try:
        return Replica(await asyncio.to_thread(expanded, packed))
    except ValueError as error:
        raise Unreachable(str(error)) from None
