"""Many client connections at once, each under the test's control: sent together, hung up one by one."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from support.wire import Answer, Connection

PROBE = "/-/livez"

# The gateway reads every ready connection in one or two turns of its loop; a few answered probes are more than that.
PROBES = 3


@asynccontextmanager
async def connections(address: tuple[str, int], count: int) -> AsyncIterator[list[Connection]]:
    """`count` connections that the gateway has accepted and answered on once."""
    opened = [await Connection.open(address) for _ in range(count)]
    try:
        for connection in opened:
            connection.request("GET", PROBE)
        await asyncio.gather(*(connection.answer() for connection in opened))
        yield opened
    finally:
        for connection in opened:
            connection.writer.transport.abort()


async def read_by_now(address: tuple[str, int]) -> None:
    """Return once the gateway has read everything that was sent to it before this call."""
    async with await Connection.open(address) as connection:
        for _ in range(PROBES):
            connection.request("GET", PROBE)
            assert (await connection.answer()).status == 200


async def answers(callers: Iterable[Connection]) -> list[Answer]:
    """The next answer of each, in order."""
    return list(await asyncio.gather(*(caller.answer() for caller in callers)))
