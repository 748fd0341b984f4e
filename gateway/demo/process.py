"""What the demo's upstreams have in common: answers in JSON, and a life as a process that serves until a signal."""

import argparse
import sys

from aiohttp import web


def answer(request: web.Request, body: object, status: int = 200) -> web.Response:
    """`body` as JSON, packed where the request takes gzip."""
    response = web.json_response(body, status=status, headers={"Vary": "Accept-Encoding"})
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


async def healthz(_request: web.Request) -> web.Response:
    """Whoever starts the process asks whether it is ready."""
    return web.json_response({"status": "ok"})


def parser(module: str, port: int, latency: float) -> argparse.ArgumentParser:
    """The options `--host`, `--port` and `--latency` (milliseconds), with these defaults."""
    made = argparse.ArgumentParser(
        prog=f"gateway.demo.{module}", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    made.add_argument("--port", type=int, default=port, help="the port to listen on")
    made.add_argument("--latency", type=float, default=latency, help="milliseconds before each answer")
    return made


def serve(name: str, app: web.Application, host: str, port: int) -> int:
    """Serve until SIGINT or SIGTERM; 0 then, 2 when the address cannot be had."""
    try:
        web.run_app(app, host=host, port=port, print=None, access_log=None, shutdown_timeout=1.0)
    except OSError as why:
        sys.stderr.write(f"demo {name}: {why}\n")
        return 2
    return 0
