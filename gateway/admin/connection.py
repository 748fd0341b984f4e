"""One connection to the operators' port: aiohttp's protocol, plus the limits it lacks, and it echoes nothing."""

import asyncio

import structlog
from aiohttp import web

from gateway.admin.content import problem
from gateway.admin.refusals import Denied, Refusal

# They share the process's file descriptors with the clients' connections.
_MOST = 256
# Seconds: a connection on which nothing new was asked for between two looks is closed.
_LOOKS = 30.0


class Connection(web.RequestHandler):
    """Ends when it idles, however much of a head it has sent, or where there are too many already."""

    __slots__ = ("_asked", "_look_timer", "_others")

    def __init__(self, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(manager, loop=loop, access_log=None)  # type: ignore[arg-type]  # aiohttp's own takes it
        self._others = manager
        self._look_timer: asyncio.TimerHandle | None = None
        self._asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it at once where the limit is reached."""
        super().connection_made(transport)
        if len(self._others.connections) > _MOST:
            self.force_close()
            return
        self._look_timer = self._loop.call_later(_LOOKS, self._look)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Look no more."""
        if self._look_timer is not None:
            self._look_timer.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - may hold the token that was received
    ) -> web.StreamResponse:
        """A request that could not be parsed, or a failure of ours."""
        if status >= 500:
            structlog.get_logger("gateway.admin").error("request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        answer = problem(Denied(Refusal.internal_error if status >= 500 else Refusal.malformed), None)
        answer.force_close()
        return answer

    def _look(self) -> None:
        asked, self._asked = self._asked, self._request_count
        if asked == self._request_count and not self._request_in_progress:
            self.force_close()
        else:
            self._look_timer = self._loop.call_later(_LOOKS, self._look)
