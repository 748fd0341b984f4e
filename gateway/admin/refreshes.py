"""The operators' API for refreshes: begin one, see what became of it, wait for it no more."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Self

import structlog
from aiohttp import web
from pydantic import ConfigDict, Field, model_validator

from gateway.admin.accounts import AccountOf, known
from gateway.admin.content import answer, read_order, whole
from gateway.admin.endpoints import MOST, Endpoint, Parameter
from gateway.admin.refusals import Denied, Refusal
from gateway.admission.jobs import Accepted, How, Job, Kind, State
from gateway.admission.snapshot import Account
from gateway.answers.refresh import page_document, refresh_document
from gateway.config.section import Section
from gateway.errors import Problem, Reason
from gateway.explaining.asking import Headers, request_for
from gateway.refreshes import Refreshes

_AFTER = Parameter("after", "The id of a refresh: those that began before it.", {"type": "string"})
_OUT_OF_REACH = (Reason.jobs_unavailable, Reason.ledger_unavailable)

_Text = Annotated[str, Field(min_length=1, max_length=8192)]
_Name = Annotated[str, Field(min_length=1, max_length=256)]

Ordering = Callable[[str, str | None, str | None, Account | None], Awaitable[tuple[Accepted, Job]]]
"""Begins the background refresh of a name, subject and since, free, as the account's or for everybody.

Raises Problem where it is not accepted: `background.accepting.Accepting.order`.
"""


class RefreshOrder(Section):
    """What to fetch afresh: exactly one of url and background."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["background"]}]})

    url: _Text = ""
    """A GET: a path, or a URL whose host counts."""
    headers: Headers = ()
    """The GET's fields: an object, or a list of pairs of name and value."""
    background: _Name = ""
    """A background refresh, by its name in the config."""
    subject: _Name | None = None
    """What the background refresh is about; all that can be refreshed where null."""
    since: _Name | None = None
    """From when on, as its clients write it; since its last refresh where null."""
    account: _Name | None = None
    """The id of the account that it is done as, whatever API key the fields hold; nothing is charged."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.url) is bool(self.background):
            raise ValueError("say exactly one of url and background")
        if self.url and (self.subject or self.since):
            raise ValueError("subject and since are for a background refresh")
        if self.background and self.headers:
            raise ValueError("headers are for a url")
        return self


class Progress(Section):
    """How many there are, as far as is known, and how many of them have ended well or not."""

    total: int
    done: int
    failed: int


class RefreshTold(Section):
    """One refresh; times in ISO 8601."""

    id: str
    kind: Kind
    """`single`: of one stored response. `background`: of all that belong to its subjects."""
    state: State
    """What had begun of a `cancelled` one goes on to its end, and nobody waits for it."""
    reason: str | None = None
    """Why it failed: a problem's reason, `undelivered` where the upstream's answer was no news, or in words."""
    account: str | None = None
    """As whose request it is done; everybody's where null."""
    background: str | None = None
    """The background refresh's name in the config."""
    subject: str | None = None
    """What it is about; all that can be refreshed where null."""
    since: str | None = None
    """From when on, where that was said."""
    route: str | None = None
    """The route by whose settings a single one goes."""
    url: str | None = None
    """A single one's request target, without secrets."""
    host: str | None = None
    """The host that a single one was asked for."""
    began: str
    ended: str | None = None
    progress: Progress
    """Of the stored responses."""
    subjects: Progress | None = None
    """Of the subjects of a background refresh."""
    status: int | None = None
    """What the upstream answered a single one."""
    cache_status: str | None = None
    """What came of a single one, as Cache-Status words it (RFC 9211)."""
    tokens: int | None = None
    """What a single one that has ended was charged."""


class RefreshBegun(RefreshTold):
    """The refresh that an order has become."""

    how: How | None = None
    """Of a background refresh: whether it begins anew, or joins or widens what is under way."""


class RefreshesTold(Section):
    """Some refreshes, latest first."""

    refreshes: tuple[RefreshTold, ...]
    next: str | None = None
    """What `after` is to be for those before these; null where these are the last."""


class RefreshesApi:
    """Hands orders to `refreshes`, and those of background refreshes to `ordering`."""

    def __init__(self, refreshes: Refreshes, account_of: AccountOf, ordering: Ordering, scheme: str = "http") -> None:
        self._refreshes = refreshes
        self._scheme = scheme
        self._account_of = account_of
        self._ordering = ordering
        self._log = structlog.get_logger("gateway.admin")

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        every, one = "/-/refreshes", "/-/refreshes/{id}"
        begin = "Fetch afresh, on the house: a GET's response, or all that a background refresh is about."
        cancel = "Cancel a refresh."
        unknown = (Refusal.not_found, Refusal.jobs_unavailable)
        ended = (*unknown, Refusal.conflict)
        beginning = (*ended, Refusal.upstream_failed, Refusal.ledger_unavailable)
        page = (_AFTER, MOST)
        return [
            Endpoint(
                "POST", every, self._start, begin, RefreshBegun, status=202, order=RefreshOrder, refusals=beginning
            ),
            Endpoint("GET", every, self._list, "The last refreshes.", RefreshesTold, parameters=page, refusals=unknown),
            Endpoint("GET", one, self._tell, "One refresh.", RefreshTold, refusals=unknown),
            Endpoint("DELETE", one, self._cancel, cancel, RefreshTold, refusals=ended),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        order = await read_order(request, RefreshOrder)
        account = None if order.account is None else known(self._account_of, order.account)
        how, job = await self._begun(order, account)
        self._log.info(
            "refresh begun", who="admin", refresh=job.id, kind=job.kind.value, name=job.name, account=order.account
        )
        begun = answer(202, refresh_document(job) | {"how": how})
        begun.headers["Location"] = f"/-/refreshes/{job.id}"
        return begun

    async def _begun(self, order: RefreshOrder, account: Account | None) -> tuple[How | None, Job]:
        try:
            if order.url:
                request = request_for("GET", order.url, order.headers, self._scheme)
                return None, await self._refreshes.start(request, account)
            accepted, job = await self._ordering(order.background, order.subject, order.since, account)
        except Problem as problem:
            if problem.reason in _OUT_OF_REACH:
                raise
            raise _denied(problem, Refusal.invalid if order.url else _refusal(problem.reason)) from None
        return accepted.how, job

    async def _list(self, request: web.Request) -> web.Response:
        most = whole(request, MOST)
        found = await self._refreshes.latest(request.query.get("after"), most + 1)
        return answer(200, page_document(found, most))

    async def _tell(self, request: web.Request) -> web.Response:
        return answer(200, refresh_document(await self._refreshes.find(request.match_info["id"])))

    async def _cancel(self, request: web.Request) -> web.Response:
        job = await self._refreshes.cancel(request.match_info["id"])
        self._log.info("refresh cancelled", who="admin", refresh=job.id)
        return answer(200, refresh_document(job))


def _denied(problem: Problem, refusal: Refusal) -> Denied:
    """With what its client would be told."""
    reason = problem.reason
    return Denied(refusal, f"{reason.status} {reason.name}: {problem.detail or reason.title}")


def _refusal(reason: Reason) -> Refusal:
    """What it means here that a background refresh was not accepted."""
    match reason.status:
        case 404:
            return Refusal.not_found
        case 409 | 429:
            return Refusal.conflict
        case status if status >= 500:
            return Refusal.upstream_failed
        case _:
            return Refusal.invalid
