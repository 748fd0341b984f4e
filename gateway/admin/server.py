"""The operators' port: `/metrics`, `/livez`, `/readyz` and the page for everyone, all else past the guard."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

from aiohttp import web

from gateway import __version__
from gateway.admin.connection import Connection
from gateway.admin.content import answer, problem
from gateway.admin.endpoints import Endpoint
from gateway.admin.guard import Guard, refuse_form
from gateway.admin.openapi import document
from gateway.admin.page import Page
from gateway.admin.refusals import Denied, Refusal
from gateway.config.salvage import did_you_mean
from gateway.errors import BadStart, Problem, Reason
from gateway.keys.orders import Fault, Refused, Unavailable
from gateway.messages import Answer

_MOST_CONTENT = 16 << 10
_OPEN = ("/metrics", "/livez", "/readyz")
_SOON = (("Retry-After", "1"),)
_FAULTS = {Fault.invalid: Refusal.invalid, Fault.unknown: Refusal.not_found, Fault.conflict: Refusal.conflict}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Scraped(Protocol):
    """`metrics.Metrics`, or of all workers: `whole.Whole`."""

    async def scrape(self, accept: str | None) -> tuple[str, bytes]:
        """Content-Type and content of /metrics."""


class Doors(Protocol):
    """`health.Health`, or of all workers: `whole.Whole`."""

    def answer(self, target: str) -> Answer | None:
        """The answer for a path that ends in `/livez` or `/readyz`; None for any other."""


class Admin:
    """The door; `endpoints` are those of the API, each called only past the guard, and `/-/openapi.json` tells them.

    `token` is empty where none is set, and then the port must be on loopback.
    """

    def __init__(self, metrics: Scraped, health: Doors, token: str = "", endpoints: Sequence[Endpoint] = ()) -> None:
        self._metrics = metrics
        self._health = health
        self._page = Page()
        self.protect(token)
        # Both at once: a reload may set the token or take it away, and making one takes the loop a while.
        self._documents = tuple([document(endpoints, __version__, guarded=guarded) for guarded in (False, True)])
        application = web.Application(middlewares=[self._guarded], client_max_size=_MOST_CONTENT)
        for path, handler in zip(_OPEN, (self._scrape, self._healthy, self._healthy), strict=True):
            application.router.add_get(path, handler)
        application.router.add_get("/-/openapi.json", self._describe, allow_head=False)
        application.add_routes([*self._page.routes(), *[_route(endpoint) for endpoint in endpoints]])
        self._runner = web.AppRunner(application, handle_signals=False)
        self._socket: asyncio.Server | None = None

    def protect(self, token: str) -> None:
        """Let in by this token from now on."""
        self._guard = Guard(token)

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
        content_type, body = await self._metrics.scrape(request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _healthy(self, request: web.Request) -> web.Response:
        told = self._health.answer(request.path_qs)
        if told is None:
            raise web.HTTPNotFound
        return web.Response(status=told.status, body=told.body, content_type="text/plain", charset="utf-8")

    async def _describe(self, _: web.Request) -> web.Response:
        return answer(200, self._documents[self._guard.by_token])

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN:
            return await handler(request)
        try:
            # By what answers, not by the path: that can be spelled in many ways.
            if request.match_info.handler not in (self._page.index, self._page.asset):
                self._guard.refuse(request.headers)
            answered = await _carried_out(request, handler)
        except Denied as denied:
            answered = problem(denied, request.headers.get("Accept"))
        answered.headers.setdefault("Cache-Control", "no-store")
        return answered


def _route(endpoint: Endpoint) -> web.RouteDef:
    async def serve(request: web.Request) -> web.Response:
        _refuse_query(endpoint, request)
        if endpoint.method == "POST" and endpoint.order is None:
            refuse_form(request.headers)
        return await endpoint.handle(request)

    return web.route(endpoint.method, endpoint.path, serve)


def _refuse_query(endpoint: Endpoint, request: web.Request) -> None:
    """A parameter that is misspelled, or stands twice, would be acted on otherwise than meant."""
    known = [parameter.name for parameter in endpoint.query]
    for name in request.query:
        if name not in known:
            raise Denied(Refusal.invalid, f"The query has a parameter that is not known{did_you_mean(name, known)}")
        if len(request.query.getall(name)) > 1:
            raise Denied(Refusal.invalid, f"The query has `{name}` more than once.")


async def _carried_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer; raises Denied for whatever else it ends with."""
    try:
        return await handler(request)
    except Refused as refused:
        raise Denied(_FAULTS[refused.fault], str(refused)) from None
    except Problem as unwritten:
        of_jobs = unwritten.reason is Reason.jobs_unavailable
        refusal = Refusal.jobs_unavailable if of_jobs else Refusal.ledger_unavailable
        raise Denied(refusal, unwritten.detail or "", _SOON) from None
    except Unavailable as error:
        raise Denied(Refusal.keys_unavailable, f"It says: {error}.", _SOON) from None
    except web.HTTPRequestEntityTooLarge:
        raise Denied(Refusal.body_too_large) from None
    except web.HTTPNotFound:
        raise Denied(Refusal.not_found) from None
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        raise Denied(Refusal.method_not_allowed, fields=(("Allow", allowed),)) from None
