"""The operators' API for the last requests that were refused: who was, where, and why; nothing that clients wrote."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from gateway.admin.content import answer
from gateway.admin.endpoints import Endpoint
from gateway.config.section import Section
from gateway.keys.listing import instant
from gateway.watch import Refused


class RefusedTold(Section):
    """One request that the gateway answered with a problem of its own."""

    at: str
    """ISO 8601 in UTC."""
    route: str
    """Empty where none matched."""
    reason: str
    """One of the closed list of docs/errors.md."""
    status: int
    method: str
    """Empty where the request could not be read."""
    account: str | None
    """Null where no API key of the request was recognised."""
    organization: str | None
    request_id: str
    """The answer's X-Request-Id."""


class Refusals(Section):
    """The last 200, newest first."""

    refusals: tuple[RefusedTold, ...]


Latest = Callable[[], Awaitable[Sequence[Refused]]]
"""Finds the last ones, oldest first: `whole.Whole.refusals`."""


class RefusedApi:
    """What `latest` finds."""

    def __init__(self, latest: Latest) -> None:
        self._latest = latest

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [Endpoint("GET", "/-/refusals", self._tell, "The last requests that were refused, and why.", Refusals)]

    async def _tell(self, _: web.Request) -> web.Response:
        told = [refused._asdict() | {"at": instant(refused.at)} for refused in await self._latest()]
        return answer(200, {"refusals": told[::-1]})
