"""The operators' API for usage: a month's, as `gateway usage` tells it, or the most of it for a page."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aiohttp import web

from gateway.admin.content import answer, whole
from gateway.admin.endpoints import Endpoint, Parameter
from gateway.admin.lately import Lately
from gateway.admin.refusals import Denied, Refusal
from gateway.config.section import Section
from gateway.errors import BadStart, Problem
from gateway.keys.listing import instant
from gateway.ledger.reading import Query
from gateway.ledger.usage import By, Incomplete, Month, Usage, usage
from gateway.ledger.usage_document import usage_document
from gateway.ports import Clock

T = TypeVar("T")

_MONTH = Parameter(
    "month",
    "Such as 2026-11, of the config's timezone; left out, the present one.",
    {"type": "string", "pattern": "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$"},
)
_BY = Parameter("by", "What to group by.", {"type": "string", "enum": [by.value for by in By], "default": By.key.value})
# With `top` so many rows are read whoever asks for fewer, and not again for so many seconds, nor for so many times as
# long as that took: a month of millions of records takes seconds. So many reports are remembered.
_MOST, _SECONDS, _PARTS, _REMEMBERED = 1000, 2.0, 9.0, 16
_TOP = Parameter(
    "top",
    "Only so many rows, those with most tokens, most first; `rest` sums up the others. A report is then told again for "
    "a few seconds, or some times as long as it took.",
    {"type": "integer", "minimum": 1, "maximum": _MOST},
)
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
    rest: Amounts | None = None
    """Of all that have no row; null where all have one, as they do without `top`."""
    as_of: str
    """When it was read."""


class LongReads(Protocol):
    """`reports.Reports`."""

    async def read(self, query: Query[T], wanted: Callable[[], bool]) -> T:
        """What the query finds. Raises Problem, and BadStart for a damaged ledger."""


class Doors(Protocol):
    """`health.Health`."""

    serving: bool


@dataclass(slots=True, frozen=True)
class _Made:
    """A report, or why there is none."""

    usage: Usage | Denied
    as_of: str | None

    def first(self, most: int) -> dict[str, object]:
        """As `MonthsUsage` has it. Raises Denied."""
        if isinstance(self.usage, Denied):
            raise self.usage.with_traceback(None)
        return _document(self.usage.first(most), self.as_of)


class UsageApi:
    """What `reports` reads, by the `timezone` in operation. Reports end when the gateway is no longer `serving`."""

    def __init__(self, reports: LongReads, timezone: Callable[[], str], clock: Clock, doors: Doors) -> None:
        self._reports = reports
        self._timezone = timezone
        self._clock = clock
        self._doors = doors
        self._lately = OrderedDict[tuple[str, str, By], Lately[_Made]]()

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [
            Endpoint(
                "GET",
                "/-/usage",
                self._tell,
                "A month's requests, the tokens charged for them, and those that vendors charged.",
                MonthsUsage,
                parameters=(_MONTH, _BY, _TOP),
                refusals=(Refusal.conflict, Refusal.ledger_unavailable),
            )
        ]

    async def _tell(self, request: web.Request) -> web.Response:
        month, by = self._month(request.query.get("month")), _by(request)
        if "top" in request.query:
            top = whole(request, _TOP)
            return answer(200, (await self._recent(month, by)).first(top))

        def wanted() -> bool:
            return self._doors.serving and request.transport is not None

        as_of = instant(self._clock.wall())
        # The document is made in the thread, too: it may be long.
        return answer(200, await self._read(lambda db: _document(usage(db, month, by), as_of), wanted))

    async def _recent(self, month: Month, by: By) -> _Made:
        """What a page is told. A report that failed is not made again at once either: it may have taken its time."""
        asked = month.whole.name, month.timezone, by
        lately = self._lately.setdefault(asked, Lately[_Made](self._clock, _SECONDS, _PARTS))
        self._lately.move_to_end(asked)
        if len(self._lately) > _REMEMBERED:
            self._lately.popitem(last=False)
        return await lately.get(lambda: self._make(month, by))

    async def _make(self, month: Month, by: By) -> _Made:
        as_of = instant(self._clock.wall())
        try:
            # Whoever asked may leave: it is there for the next one.
            made = await self._read(lambda db: usage(db, month, by, _MOST), lambda: self._doors.serving)
        except Denied as denied:
            return _Made(denied, as_of)
        return _Made(made, as_of)

    async def _read(self, query: Query[T], wanted: Callable[[], bool]) -> T:
        """Raises Denied where it cannot be told."""
        try:
            return await self._reports.read(query, wanted)
        except Incomplete as gone:
            raise Denied(Refusal.conflict, str(gone)) from None
        except BadStart as damaged:
            raise Denied(Refusal.ledger_unavailable, str(damaged), _SOON) from None
        except Problem as unavailable:
            raise Denied(Refusal.ledger_unavailable, unavailable.detail or "", _SOON) from None

    def _month(self, text: str | None) -> Month:
        timezone = self._timezone()
        if text is None:
            return Month.at(self._clock.wall(), timezone)
        try:
            return Month(text, timezone)
        except ValueError as error:
            raise Denied(Refusal.invalid, f"`month` {error}.") from None


def _document(told: Usage, as_of: str | None) -> dict[str, object]:
    return {"rest": None} | usage_document(told) | {"as_of": as_of}


def _by(request: web.Request) -> By:
    try:
        return By(request.query.get("by", By.key.value))
    except ValueError:
        raise Denied(Refusal.invalid, f"`by` must be one of {', '.join([by.value for by in By])}.") from None
