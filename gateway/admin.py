"""The operators' door: metrics and health on a port of their own."""

from aiohttp import web

from gateway.errors import BadStart
from gateway.health import Health
from gateway.metrics import Metrics


class Admin:
    """`/metrics`, `/livez` and `/readyz`; none of them needs the admin token."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics = metrics
        self._health = health
        application = web.Application()
        application.router.add_get("/metrics", self._scrape)
        application.router.add_get("/livez", self._healthy)
        application.router.add_get("/readyz", self._healthy)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)

    async def open(self, host: str, port: int) -> None:
        """Bind and accept; raises BadStart where the address cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host or None, port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = error.strerror or error
            raise BadStart(f"cannot listen on {host}:{port} (admin): {reason}") from error

    async def close(self) -> None:
        """Stop accepting and close."""
        await self._runner.cleanup()

    async def _scrape(self, request: web.Request) -> web.Response:
        content_type, body = self._metrics.exposition(request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _healthy(self, request: web.Request) -> web.Response:
        answer = self._health.answer(request.path)
        if answer is None:
            raise web.HTTPNotFound
        return web.Response(status=answer.status, body=answer.body, content_type="text/plain", charset="utf-8")
