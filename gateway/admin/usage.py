"""The operators' API for usage: a month's, as `gateway usage` tells it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from aiohttp import web

from gateway.admin.content import answer
from gateway.admin.endpoints import Endpoint, Parameter
from gateway.admin.refusals import Denied, Refusal
from gateway.config.section import Section
from gateway.errors import BadStart
from gateway.ledger.reading import Query
from gateway.ledger.usage import By, Incomplete, Month, usage
from gateway.ledger.usage_document import usage_document
from gateway.ports import Clock

T = TypeVar("T")

_MONTH = Parameter(
    "month",
    "Such as 2026-11, of the config's timezone; left out, the present one.",
    {"type": "string", "pattern": "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$"},
)
_BY = Parameter("by", "What to group by.", {"type": "string", "enum": [by.value for by in By], "default": By.key.value})
_SOON = (("Retry-After", "1"),)


class Amounts(Section):
    """What requests cost."""

    requests: int
    tokens: int
    """Net of those refunded."""
    refunded: int
    vendor_tokens: int
    """What upstreams charged."""


class OfKey(Amounts):
    """One account's; `gateway:house` is the gateway itself."""

    key: str | None = None


class OfOrganization(Amounts):
    """One organization's."""

    organization: str | None = None


class OfRoute(Amounts):
    """One route's."""

    route: str | None = None


class OfDay(Amounts):
    """One day's."""

    day: str | None = None


class OfOutcome(Amounts):
    """Of the requests that ended so; null for what belongs to no request."""

    outcome: str | None = None


class OfUpstream(Amounts):
    """One upstream's."""

    upstream: str | None = None


class MonthsUsage(Section):
    """A month's usage by group, and in all."""

    month: str
    timezone: str
    by: By
    closed: bool
    """Whether it is final."""
    rows: tuple[OfKey | OfOrganization | OfRoute | OfDay | OfOutcome | OfUpstream, ...]
    total: Amounts


class LongReads(Protocol):
    """`reports.Reports`."""

    async def read(self, query: Query[T], wanted: Callable[[], bool]) -> T:
        """What the query finds. Raises Problem, and BadStart for a damaged ledger."""


class Doors(Protocol):
    """`health.Health`."""

    serving: bool


class UsageApi:
    """What `reports` reads, by the `timezone` in operation. Reports end when the gateway is no longer `serving`."""

    def __init__(self, reports: LongReads, timezone: Callable[[], str], clock: Clock, doors: Doors) -> None:
        self._reports = reports
        self._timezone = timezone
        self._clock = clock
        self._doors = doors

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [
            Endpoint(
                "GET",
                "/-/usage",
                self._tell,
                "A month's requests, the tokens charged for them, and those that vendors charged.",
                MonthsUsage,
                parameters=(_MONTH, _BY),
                refusals=(Refusal.conflict, Refusal.ledger_unavailable),
            )
        ]

    async def _tell(self, request: web.Request) -> web.Response:
        month, by = self._month(request.query.get("month")), _by(request)

        def wanted() -> bool:
            return self._doors.serving and request.transport is not None

        try:
            # The document is made in the thread, too: it may be long.
            told = await self._reports.read(lambda db: usage_document(usage(db, month, by)), wanted)
        except Incomplete as gone:
            raise Denied(Refusal.conflict, str(gone)) from None
        except BadStart as damaged:
            raise Denied(Refusal.ledger_unavailable, str(damaged), _SOON) from None
        return answer(200, told)

    def _month(self, text: str | None) -> Month:
        timezone = self._timezone()
        if text is None:
            return Month.at(self._clock.wall(), timezone)
        try:
            return Month(text, timezone)
        except ValueError as error:
            raise Denied(Refusal.invalid, f"`month` {error}.") from None


def _by(request: web.Request) -> By:
    try:
        return By(request.query.get("by", By.key.value))
    except ValueError:
        raise Denied(Refusal.invalid, f"`by` must be one of {', '.join([by.value for by in By])}.") from None
