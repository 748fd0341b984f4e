"""What the conformance tables' rows are made of: a client's turns, the upstream's replies, and what must follow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum, auto
from time import gmtime, strftime
from typing import Any, NamedTuple

import pytest
from support.scripts import End
from support.upstream import ScriptedUpstream


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a row is played: a path of its own on a shared gateway, and the time at which it began.

    All dates of a row count from `began` (seconds since the epoch). `asks` are the request fields of every turn;
    `settled` blocks until the gateway fetches nothing.
    """

    gateway: tuple[str, int]
    origin: ScriptedUpstream
    path: str
    began: float
    asks: tuple["Field", ...] = ()
    settled: Callable[[], object] = lambda: None


Value = str | Callable[[Scene], str]
Field = tuple[str, Value | None]


class Check(NamedTuple):
    """What a field's value must be where equality says too much; `text` words it."""

    text: str
    holds: Callable[[str], bool]


Expected = str | Callable[[Scene], str] | Check | None


class Want(Enum):
    """What must become of a turn: who is asked, and whose content the client gets."""

    HIT = auto()
    "From the store, fresh; the upstream is not asked."
    STALE = auto()
    "From the store, stale; the upstream is not asked."
    BRIDGED = auto()
    "From the store, stale; the upstream is asked in the background (RFC 5861 §3)."
    VALIDATED = auto()
    "From the store; the upstream is asked with a precondition and says 304."
    SPARE = auto()
    "From the store, stale; the upstream is asked and fails."
    MISS = auto()
    "This turn's reply; the upstream is asked once."
    FAILED = auto()
    "The gateway's own answer, of `status`; the upstream is asked and fails."
    REFUSED = auto()
    "The gateway's own answer, of `status`; the upstream is not asked."


HIT, STALE, BRIDGED, VALIDATED = Want.HIT, Want.STALE, Want.BRIDGED, Want.VALIDATED
SPARE, MISS, FAILED, REFUSED = Want.SPARE, Want.MISS, Want.FAILED, Want.REFUSED


@dataclass(frozen=True, slots=True)
class Reply:
    """What the upstream answers where it is asked: `content` left out names the turn's number, `reply 1`.

    A Date of now and a Content-Length are added where `fields` have none; a field whose value is None is left out.
    With `end` the connection ends that way instead, without a byte; with `after` once the content was sent. `before` is
    sent first, interim responses say.
    """

    status: int = 200
    fields: tuple[Field, ...] = ()
    content: bytes | None = None
    end: End | None = None
    after: End | None = None
    before: bytes = b""


DROPPED = Reply(end=End.close)
RESET = Reply(end=End.reset)


@dataclass(frozen=True, slots=True)
class Turn:
    """One request, and what must come of it.

    `suffix` is added to the row's path (`?q=1`, `/part`). The answer has the status and content of reply number `of`
    (the latest that went whole to the client, where left out) unless `status` and `got` say otherwise. `fwd`, `detail`
    (a part of it), `ttl` (or a little less) and `kept` (stored) are held against Cache-Status where given, `sent`
    against the request that the upstream saw, `shown` against the answer: a value, a `Check`, or None for absent; lines
    are joined by commas.
    """

    want: Want
    reply: Reply = field(default_factory=Reply)
    asks: tuple[Field, ...] = ()
    method: str = "GET"
    suffix: str = ""
    content: bytes = b""
    unreachable: bool = False
    of: int | None = None
    status: int | None = None
    got: bytes | None = None
    fwd: str | None = None
    detail: str | None = None
    ttl: int | None = None
    kept: bool | None = None
    sent: Mapping[str, Expected] = field(default_factory=dict)
    shown: Mapping[str, Expected] = field(default_factory=dict)


def row(name: str, *turns: Turn) -> Any:
    """A row of a table; `name` begins with the section."""
    return pytest.param(turns, id=name)


def fetched(*fields: Field, status: int = 200, content: bytes | None = None, **turn: Any) -> Turn:
    """A turn that the upstream must answer, with `fields`."""
    return Turn(MISS, Reply(status, fields, content), **turn)


def stored(*fields: Field, **turn: Any) -> Turn:
    """`fetched`, and the answer says that it was stored."""
    return fetched(*fields, kept=True, **turn)


def unstored(*fields: Field, **turn: Any) -> Turn:
    """`fetched`, and the answer says that it was not stored."""
    return fetched(*fields, kept=False, **turn)


def again(want: Want, *fields: Field, reply: Reply | None = None, **turn: Any) -> Turn:
    """A later turn. Where the upstream is asked, it says 304 or 503 as `want` has it, else 200, with `fields`."""
    return Turn(want, reply or Reply(_USUAL.get(want, 200), fields), **turn)


_USUAL = {VALIDATED: 304, SPARE: 503, FAILED: 503}


def cc(value: str) -> Field:
    """One Cache-Control line."""
    return "Cache-Control", value


def etag(value: str) -> Field:
    """An ETag, quotes and all."""
    return "ETag", value


def vary(value: str) -> Field:
    """One Vary line."""
    return "Vary", value


def ago(seconds: float) -> Callable[[Scene], str]:
    """The IMF-fixdate of so long before the row began."""
    return lambda scene: formatdate(scene.began - seconds, usegmt=True)


def ahead(seconds: float) -> Callable[[Scene], str]:
    """The IMF-fixdate of so long after the row began."""
    return ago(-seconds)


def written(form: str, seconds: float) -> Callable[[Scene], str]:
    """A time `seconds` after the row began, in a strftime form."""
    return lambda scene: strftime(form, gmtime(scene.began + seconds))


def modified(seconds: float) -> Field:
    """Last-Modified so long before the row began."""
    return "Last-Modified", ago(seconds)


def here(suffix: str = "") -> Callable[[Scene], str]:
    """The row's own path and `suffix`."""
    return lambda scene: scene.path + suffix


def at_origin(suffix: str = "") -> Callable[[Scene], str]:
    """The absolute URL of the row's path at the upstream."""
    return lambda scene: scene.origin.url + scene.path + suffix


def about(seconds: int) -> Check:
    """A number of seconds, or a little more as the test takes its time."""
    return Check(f"{seconds} or a little more", lambda value: seconds <= int(value) <= seconds + 20)


def containing(part: str) -> Check:
    """A value with `part` in it."""
    return Check(f"… {part} …", lambda value: part in value)


def without(part: str) -> Check:
    """A value that is there and has no `part` in it."""
    return Check(f"without {part}", lambda value: part not in value)


PRESENT = Check("present", lambda value: True)
