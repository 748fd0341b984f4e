"""The operators' API for what is stored: look at it without its content, and purge it."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal, Protocol, Self, assert_never

import structlog
from aiohttp import web
from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from gateway.admin.content import answer, read_order, whole
from gateway.admin.endpoints import AFTER, MOST, Endpoint, Parameter
from gateway.admin.refusals import Denied, Refusal
from gateway.admin.survey import StoredPage, documents
from gateway.admission.masking import masked
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Snapshot
from gateway.config.salvage import did_you_mean
from gateway.config.section import Section
from gateway.errors import Problem
from gateway.ports import Clock
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.selection import Everything, Selection, of_prefix, of_route, of_tag, of_url

By = Literal["url", "prefix", "tag", "route", "everything"]

_BY: tuple[By, ...] = ("url", "prefix", "tag", "route", "everything")
_TEXT = {"type": "string", "minLength": 1}
_URL = Parameter("url", "Those of this URL, as clients ask for it: a target, or an absolute URL.", _TEXT)
_PREFIX = Parameter("prefix", "Those of every URL that begins so.", _TEXT)
_TAG = Parameter("tag", "Those with this tag.", _TEXT)
_ROUTE = Parameter("route", "Those that this route would answer with.", _TEXT)


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("must be true")
    return value


_Text = Annotated[str, Field(min_length=1, max_length=8192)]


class Purge(Section):
    """What to purge: exactly one of url, prefix, tag, route and everything."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [by]} for by in _BY]})

    url: _Text = ""
    """A target, or an absolute URL, as clients ask for it: every variant in every share scope."""
    prefix: _Text = ""
    """All whose URL begins so."""
    tag: _Text = ""
    """All with this tag."""
    route: _Text = ""
    """All that this route would answer with."""
    everything: Annotated[bool, Field(strict=True), AfterValidator(_true), WithJsonSchema({"const": True})] = False
    """All there is."""
    hard: Annotated[bool, Field(strict=True)] = False
    """Removed at once; left out, they are stale from now on, and serve as their route lets stale ones."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set & set(_BY)) != 1:
            raise ValueError("say exactly one of url, prefix, tag, route and everything")
        return self

    @property
    def by(self) -> By:
        """The one that it says."""
        return next(by for by in _BY if by in self.model_fields_set)


class Purged(Section):
    """How many stored responses in memory were purged; those on disk are with them, and are not counted."""

    purged: int
    kind: Literal["soft", "hard"]


class Store(Protocol):
    """Where responses are stored: `cache.Cache`."""

    async def purge(self, selection: Selection, *, hard: bool) -> int:
        """Make them stale or remove them; how many."""

    async def survey(self, selection: Selection, after: str, most: int) -> tuple[list[StoredResponse], str | None]:
        """A page of them, and what `after` is for the next. Raises ValueError for an `after` that no page gave."""


class StoredApi:
    """What `store` has, told by the config that `preparer` returns: the one in operation."""

    def __init__(self, store: Store, preparer: Callable[[], Preparer], clock: Clock) -> None:
        self._store = store
        self._preparer = preparer
        self._clock = clock
        self._log = structlog.get_logger("gateway.admin")

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [
            Endpoint(
                "GET",
                "/-/stored",
                self._survey,
                "Stored responses in memory: all of them, or one URL's, a prefix's, a tag's or a route's.",
                StoredPage,
                parameters=(_URL, _PREFIX, _TAG, _ROUTE, AFTER, MOST),
                refusals=(Refusal.not_found,),
            ),
            Endpoint(
                "POST",
                "/-/purge",
                self._purge,
                "Make stored responses stale, or remove them.",
                Purged,
                order=Purge,
                refusals=(Refusal.not_found,),
            ),
        ]

    async def _survey(self, request: web.Request) -> web.Response:
        most, after, snapshot = whole(request, MOST), request.query.get("after", ""), self._preparer().snapshot
        by, text = _asked(request)
        selection = await _selection(snapshot, by, text)
        try:
            found, following = await self._store.survey(selection, after, most)
        except ValueError:
            raise Denied(Refusal.invalid, "`after` must be the `next` of a page.") from None
        told = [document async for document in documents(found, snapshot, self._clock)]
        return answer(200, {"stored": told, "next": following})

    async def _purge(self, request: web.Request) -> web.Response:
        order, snapshot = await read_order(request, Purge), self._preparer().snapshot
        by, text = order.by, "" if order.everything else str(getattr(order, order.by))
        purged = await self._store.purge(await _selection(snapshot, by, text), hard=order.hard)
        kind: Literal["soft", "hard"] = "hard" if order.hard else "soft"
        self._log.info("purged", who="admin", by=by, what=masked(text, snapshot) or None, purged=purged, kind=kind)
        return answer(200, {"purged": purged, "kind": kind})


def _asked(request: web.Request) -> tuple[By, str]:
    given = [by for by in _BY if by in request.query]
    if len(given) > 1:
        raise Denied(Refusal.invalid, "Say one of `url`, `prefix`, `tag` and `route` at most.")
    by = given[0] if given else "everything"
    text = request.query.get(by, "")
    if given and not text:
        raise Denied(Refusal.invalid, f"`{by}` must not be empty.")
    return by, text


async def _selection(snapshot: Snapshot, by: By, text: str) -> Selection:
    """Raises Denied: invalid, not_found."""
    try:
        # A config may have many routes to look through.
        return await asyncio.to_thread(_selected, snapshot, by, text)
    except Problem as problem:
        raise Denied(Refusal.invalid, f"`{by}`: {problem.detail or problem.reason.title}") from None
    except KeyError:
        names = [route.name for route in snapshot.routes if route.cache is not None]
        raise Denied(Refusal.not_found, f"No route that stores has this name{did_you_mean(text, names)}") from None


def _selected(snapshot: Snapshot, by: By, text: str) -> Selection:
    match by:
        case "url":
            return of_url(snapshot, text)
        case "prefix":
            return of_prefix(snapshot, text)
        case "tag":
            return of_tag(snapshot, text)
        case "route":
            return of_route(snapshot, text)
        case "everything":
            return Everything()
        case _:
            assert_never(by)
