"""The operators' API for the log's level, while something is looked into."""

from typing import Protocol

import structlog
from aiohttp import web

from gateway.admin.content import answer, read_order
from gateway.admin.endpoints import Endpoint
from gateway.config.section import Section
from gateway.logs.logs import Level


class LogLevel(Section):
    """The least severe level that is logged, until a reload changes `log.level`."""

    level: Level


class Leveled(Protocol):
    """`whole.Whole`."""

    @property
    def level(self) -> Level:
        """The least severe level that is logged."""

    async def set_level(self, level: Level) -> None:
        """Log from that one on."""


class LogApi:
    """What `logs` keep to."""

    def __init__(self, logs: Leveled) -> None:
        self._logs = logs
        self._log = structlog.get_logger("gateway.admin")

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [
            Endpoint("GET", "/-/log", self._tell, "The log's level.", LogLevel),
            Endpoint("PUT", "/-/log", self._set, "Set the log's level.", LogLevel, order=LogLevel),
        ]

    async def _tell(self, _: web.Request) -> web.Response:
        return answer(200, {"level": self._logs.level})

    async def _set(self, request: web.Request) -> web.Response:
        order = await read_order(request, LogLevel)
        before = self._logs.level
        await self._logs.set_level(order.level)
        # Whoever has turned the log down is told of in any case.
        self._log.warning("log level set", who="admin", to=order.level, before=before)
        return answer(200, {"level": order.level})
