"""aiohttp's low-level server and a ready answer, nothing else: `python bare.py PORT`, the body on standard input."""

import asyncio
import sys

import uvloop
from aiohttp import web


async def serve(port: int, body: bytes) -> None:
    """Answer everything with `body` until terminated."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    server = web.Server(answer, access_log=None)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)
    await listening.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.stdin.buffer.read()))
