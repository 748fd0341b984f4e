"""The operators' port: `/metrics`, `/livez` and `/readyz` for everyone, all else for whom the guard lets in."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from aiohttp import web

from gateway.admin.connection import Connection
from gateway.admin.content import problem
from gateway.admin.guard import Guard
from gateway.admin.refusals import Denied, Refusal
from gateway.errors import BadStart, Problem
from gateway.health import Health
from gateway.keys.orders import Fault, Refused, Unavailable
from gateway.metrics import Metrics

_MOST_CONTENT = 16 << 10
_OPEN = ("/metrics", "/livez", "/readyz")
_SOON = (("Retry-After", "1"),)
_FAULTS = {Fault.invalid: Refusal.invalid, Fault.unknown: Refusal.not_found, Fault.conflict: Refusal.conflict}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Admin:
    """The door and its routes; `routes` are those of the API, each called only past the guard.

    `token` is empty where none is set, and then the port must be on loopback.
    """

    def __init__(self, metrics: Metrics, health: Health, token: str = "", routes: Sequence[web.RouteDef] = ()) -> None:
        self._metrics = metrics
        self._health = health
        self._guard = Guard(token)
        application = web.Application(middlewares=[self._guarded], client_max_size=_MOST_CONTENT)
        for path, handler in zip(_OPEN, (self._scrape, self._healthy, self._healthy), strict=True):
            application.router.add_get(path, handler)
        application.add_routes(routes)
        self._runner = web.AppRunner(application, handle_signals=False)
        self._socket: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> None:
        """Bind and accept; raises BadStart where the address cannot be had."""
        await self._runner.setup()
        loop, server = asyncio.get_running_loop(), cast("web.Server", self._runner.server)
        try:
            self._socket = await loop.create_server(lambda: Connection(server, loop), host or None, port)
        except OSError as error:
            await self._runner.cleanup()
            reason = error.strerror or error
            raise BadStart(f"cannot listen on {host}:{port} (admin): {reason}") from error

    async def close(self) -> None:
        """Stop accepting and close."""
        if self._socket is not None:
            self._socket.close()
        await self._runner.cleanup()

    async def _scrape(self, request: web.Request) -> web.Response:
        content_type, body = self._metrics.exposition(request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _healthy(self, request: web.Request) -> web.Response:
        answer = self._health.answer(request.path)
        if answer is None:
            raise web.HTTPNotFound
        return web.Response(status=answer.status, body=answer.body, content_type="text/plain", charset="utf-8")

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN:
            return await handler(request)
        try:
            self._guard.refuse(request.headers)
            answer = await _carried_out(request, handler)
        except Denied as denied:
            answer = problem(denied, request.headers.get("Accept"))
        answer.headers["Cache-Control"] = "no-store"
        return answer


async def _carried_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer; raises Denied for whatever else it ends with."""
    try:
        return await handler(request)
    except Refused as refused:
        raise Denied(_FAULTS[refused.fault], str(refused)) from None
    except Problem as unwritten:
        raise Denied(Refusal.ledger_unavailable, unwritten.detail or "", _SOON) from None
    except Unavailable as error:
        raise Denied(Refusal.keys_unavailable, f"It says: {error}.", _SOON) from None
    except web.HTTPRequestEntityTooLarge:
        raise Denied(Refusal.body_too_large) from None
    except web.HTTPNotFound:
        raise Denied(Refusal.not_found) from None
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        raise Denied(Refusal.method_not_allowed, fields=(("Allow", allowed),)) from None
