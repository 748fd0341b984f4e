"""The end of a listening socket of asyncio's own, with nothing left to the garbage collector."""

import asyncio

_TURNS_OF_AN_ACCEPT = 5


async def stop_listening(server: asyncio.Server) -> None:
    """Accept nothing more, and return once all that was accepted has its protocol.

    A connection that was accepted in this very turn gets its transport in the next, and its task in those after.
    Asyncio leaves one unclosed whose server is closed by then.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening)
    for _ in range(_TURNS_OF_AN_ACCEPT):
        await asyncio.sleep(0)
    server.close()
