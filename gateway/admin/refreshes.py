"""The operators' API for refreshes: begin one, see what became of it, wait for it no more."""

import structlog
from aiohttp import web

from gateway.admin.accounts import AccountOf, known
from gateway.admin.content import answer, read_order, whole
from gateway.admin.endpoints import Endpoint, Parameter
from gateway.admin.refusals import Denied, Refusal
from gateway.config.section import Section
from gateway.errors import Problem
from gateway.explaining.asking import Asked, request_for
from gateway.keys.listing import instant
from gateway.refreshes import MOST_KEPT, Refresh, Refreshes, State

_MOST = Parameter("most", "How many at most.", {"type": "integer", "minimum": 1, "maximum": MOST_KEPT, "default": 100})
_AFTER = Parameter("after", "The id of a refresh: those that began before it.", {"type": "string"})


class RefreshTold(Section):
    """One refresh; times in ISO 8601."""

    id: str
    url: str
    """The request target, without secrets."""
    host: str
    """The host that it was asked for."""
    route: str
    """The route whose settings it goes by."""
    account: str | None = None
    """As whose request it is prepared; nobody's where null."""
    began: str
    state: State
    """A `cancelled` one is waited for no more; a fetch that had begun goes on to its end."""
    ended: str | None = None
    status: int | None = None
    """What the upstream answered."""
    cache_status: str | None = None
    """What came of it, as Cache-Status words it (RFC 9211)."""
    reason: str | None = None
    """Why it failed: a problem's reason, or `undelivered` where the upstream's answer was no news."""


class RefreshesTold(Section):
    """Some refreshes, latest first."""

    refreshes: tuple[RefreshTold, ...]
    next: str | None = None
    """What `after` is to be for those before these; null where these are the last."""


class RefreshesApi:
    """Hands orders to `refreshes`."""

    def __init__(self, refreshes: Refreshes, account_of: AccountOf) -> None:
        self._refreshes = refreshes
        self._account_of = account_of
        self._log = structlog.get_logger("gateway.admin")

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        every, one = "/-/refreshes", "/-/refreshes/{id}"
        begin, cancel = "Fetch a GET's response afresh, on the house.", "Wait for a refresh no more."
        unknown, both = (Refusal.not_found,), (Refusal.not_found, Refusal.conflict)
        page = (_AFTER, _MOST)
        return [
            Endpoint("POST", every, self._start, begin, RefreshTold, status=202, order=Asked, refusals=both),
            Endpoint("GET", every, self._list, "The last refreshes.", RefreshesTold, parameters=page, refusals=unknown),
            Endpoint("GET", one, self._tell, "One refresh.", RefreshTold, refusals=unknown),
            Endpoint("DELETE", one, self._cancel, cancel, RefreshTold, refusals=both),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        order = await read_order(request, Asked)
        account = None if order.account is None else known(self._account_of, order.account)
        try:
            refresh = self._refreshes.start(request_for("GET", order.url, order.headers), account)
        except Problem as problem:
            reason = problem.reason
            raise Denied(Refusal.invalid, f"{reason.status} {reason.name}: {problem.detail or reason.title}") from None
        self._log.info("refresh begun", who="admin", refresh=refresh.id, route=refresh.route, account=refresh.account)
        begun = answer(202, _told(refresh).model_dump())
        begun.headers["Location"] = f"/-/refreshes/{refresh.id}"
        return begun

    async def _list(self, request: web.Request) -> web.Response:
        most = whole(request, _MOST)
        found = self._refreshes.latest(request.query.get("after"), most + 1)
        following = found[most - 1].id if len(found) > most else None
        return answer(200, RefreshesTold(refreshes=tuple(map(_told, found[:most])), next=following).model_dump())

    async def _tell(self, request: web.Request) -> web.Response:
        return answer(200, _told(self._refreshes.find(request.match_info["id"])).model_dump())

    async def _cancel(self, request: web.Request) -> web.Response:
        refresh = self._refreshes.cancel(request.match_info["id"])
        self._log.info("refresh cancelled", who="admin", refresh=refresh.id)
        return answer(200, _told(refresh).model_dump())


def _told(refresh: Refresh) -> RefreshTold:
    return RefreshTold(
        id=refresh.id,
        url=refresh.url,
        host=refresh.host,
        route=refresh.route,
        account=refresh.account,
        began=str(instant(refresh.began)),
        state=refresh.state,
        ended=instant(refresh.ended),
        status=refresh.status,
        cache_status=refresh.cache_status,
        reason=refresh.reason,
    )
