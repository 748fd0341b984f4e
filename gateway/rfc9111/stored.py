"""A stored response (RFC 9111 §3), packed."""

from dataclasses import fields
from functools import lru_cache
from inspect import signature
from marshal import dumps, loads
from operator import attrgetter
from struct import Struct
from typing import Any

from gateway.messages import Splice
from gateway.rfc9111.folding import folded, unfolded
from gateway.rfc9111.policy import Policy as Policy
from gateway.rfc9111.policy import Terms as Terms
from gateway.rfc9111.policy import Times as Times

# Content up to so many bytes is kept in one piece with all else that is said of a response: 60 bytes less for each. Up
# to so many, field sections are looked for among those that came before.
_LONG, _COMMON = 4096, 1024

# began, received, initial_age; how long terms and the rest are; where content is cut open; status and flags. What has
# no fixed length follows in this order, content last unless it is long.
_FIXED = Struct("<dddHIIHB")
_read_time = Struct("<d").unpack_from
_read_lengths = Struct("<HI").unpack_from
_read_cut = Struct("<I").unpack_from
_read_status = Struct("<H").unpack_from
_CRC = Struct("<I")
_BEGAN, _RECEIVED, _INITIAL_AGE, _LENGTHS, _CUT, _STATUS, _FLAGS = 0, 8, 16, 24, 30, 34, 36

# What is cut open; whether what is opened is not the beginning of the content; whether a comma must follow it.
_SPLICED, _APART, _COMMA, _SELECTING, _FORCED = (1 << bit for bit in range(5))
_OUTDATED, _INVALID, _SHARED = 1, 2, 4


_terms_of = attrgetter(*[one.name for one in fields(Terms)])

Selecting = tuple[tuple[str, str], ...]
"""Names and values of selecting header fields (§4.1)."""

_Rest = tuple[str, Selecting, str | None, str | None, str | tuple[str, ...], bytes | None]


class StoredResponse:
    """One stored response; times are steady seconds since the epoch (`ports.Clock.steady`).

    `head` is its field section as bytes ready to be sent: `Name: value\\r\\n` lines of the end-to-end fields, without
    Content-Length and Age, which the answer adds, as it adds the gateway's own Cache-Status and Via. `selecting` holds
    the selecting header fields (§4.1): lower-case field name and normalised value of the request it answered, sorted
    by name, "" where the field was absent. `began` and `received` are RFC 9111's request_time and response_time,
    `initial_age` its corrected_initial_age (§4.2.3). `groups` are all that it belongs to: each may be outdated as a
    whole, by a refresh or an unsafe method, and `outdated` says that one was, `invalid` that an unsafe method did it
    (§4.4). `forced`: a force refresh fetched it. `purged` is when an operator last declared it stale, 0 for never; what
    was fetched or validated since then is not. `hits` counts its reuses while it is fresh, as far as a route asks, and
    is negative once it was fetched ahead. `checked` is the store's, which counts the marks that it has met.

    There may be millions: nearly all is packed in one string of bytes and worked out whenever it is read; `body`
    and `splice` are copies then, unless the content is long. Equal field sections that come together are one.
    """

    __slots__ = ("_content", "_deflated", "_head", "_packed", "_said", "checked", "hits", "key", "purged")

    def __init__(
        self,
        key: str,
        status: int,
        reason: str,
        head: bytes,
        body: bytes,
        terms: Terms,
        selecting: Selecting,
        etag: str | None,
        last_modified: str | None,
        began: float,
        received: float,
        initial_age: float,
        groups: tuple[str, ...] = (),
        forced: bool = False,
        outdated: bool = False,
        invalid: bool = False,
        splice: Splice | None = None,
        purged: float = 0.0,
        hits: int = 0,
    ) -> None:
        self.key, self.purged, self.hits, self.checked = key, purged, hits, 0
        self._head = _one(head) if len(head) <= _COMMON else head
        self._said = outdated * _OUTDATED | invalid * _INVALID | (self._head is not head) * _SHARED
        flags, cut, apart = _opening(body, splice)
        flags |= bool(selecting) * _SELECTING | forced * _FORCED
        told, rest = (
            dumps(_terms_of(terms)),
            dumps((reason, selecting, etag, last_modified, folded(groups, key), apart)),
        )
        fixed = _FIXED.pack(began, received, initial_age, len(told), len(rest), cut, status, flags)
        self._content = body if len(body) > _LONG else None
        self._packed = b"".join((fixed, told, rest, b"" if self._content else body))
        self._deflated = None if splice is None or splice.packed is None else _CRC.pack(splice.crc) + splice.packed

    def replaced(self, **changes: Any) -> "StoredResponse":
        """A copy that differs in `changes`, named as the parameters of the class are."""
        return StoredResponse(**{name: getattr(self, name) for name in PARAMETERS} | changes)

    def become(self, **changes: Any) -> None:
        """Make `changes` of what is packed, named as the parameters of the class are: others go on holding the same."""
        changed = self.replaced(**changes)
        for name in ("_content", "_deflated", "_head", "_packed", "_said"):
            setattr(self, name, getattr(changed, name))

    @property
    def status(self) -> int:
        """The status code."""
        status: int = _read_status(self._packed, _STATUS)[0]
        return status

    @property
    def reason(self) -> str:
        """The reason phrase, "" for none."""
        return self._rest[0]

    @property
    def head(self) -> bytes:
        """The field section."""
        return self._head

    @property
    def body(self) -> bytes:
        """The content."""
        return self._packed[self._content_at :] if self._content is None else self._content

    @property
    def length(self) -> int:
        """Bytes of the content."""
        return len(self._packed) - self._content_at if self._content is None else len(self._content)

    @property
    def terms(self) -> Terms:
        """What the origin says of reuse."""
        return _unpacked(self._packed[_FIXED.size : _FIXED.size + _read_lengths(self._packed, _LENGTHS)[0]])

    @property
    def selecting(self) -> Selecting:
        """The selecting header fields."""
        return self._rest[1] if self._packed[_FLAGS] & _SELECTING else ()

    @property
    def etag(self) -> str | None:
        """The entity tag as received."""
        return self._rest[2]

    @property
    def last_modified(self) -> str | None:
        """The Last-Modified field as received."""
        return self._rest[3]

    @property
    def groups(self) -> tuple[str, ...]:
        """All that it belongs to."""
        groups = self._rest[4]
        return unfolded(groups, self.key) if isinstance(groups, str) else groups

    @property
    def began(self) -> float:
        """When its request was sent."""
        began: float = _read_time(self._packed, _BEGAN)[0]
        return began

    @property
    def received(self) -> float:
        """When it came."""
        received: float = _read_time(self._packed, _RECEIVED)[0]
        return received

    @property
    def initial_age(self) -> float:
        """How old it was then, in seconds."""
        initial_age: float = _read_time(self._packed, _INITIAL_AGE)[0]
        return initial_age

    @property
    def forced(self) -> bool:
        """Whether a force refresh fetched it."""
        return bool(self._packed[_FLAGS] & _FORCED)

    @property
    def splice(self) -> Splice | None:
        """Its content cut open for members to be added, None where it is not."""
        flags = self._packed[_FLAGS]
        if not flags & _SPLICED:
            return None
        opened = self._rest[5] if flags & _APART else None
        if opened is None:
            begin, cut = (0 if self._content else self._content_at), _read_cut(self._packed, _CUT)[0]
            opened = (self._content or self._packed)[begin : begin + cut]
        if self._deflated is None:
            return Splice(opened, bool(flags & _COMMA))
        return Splice(opened, bool(flags & _COMMA), self._deflated[_CRC.size :], _CRC.unpack_from(self._deflated)[0])

    @property
    def outdated(self) -> bool:
        """Whether one of its groups was outdated since, or it alone."""
        return bool(self._said & _OUTDATED)

    @outdated.setter
    def outdated(self, outdated: bool) -> None:
        self._said = self._said & ~_OUTDATED | outdated * _OUTDATED

    @property
    def invalid(self) -> bool:
        """Whether an unsafe method did that."""
        return bool(self._said & _INVALID)

    @invalid.setter
    def invalid(self, invalid: bool) -> None:
        self._said = self._said & ~_INVALID | invalid * _INVALID

    @property
    def is_purged(self) -> bool:
        """Whether it is stale since `purged`, if it was not before."""
        return self.purged > self.began

    @property
    def texts(self) -> tuple[bytes | None, ...]:
        """What it holds in memory, besides its key and what others that came before it have in common with it."""
        return self._packed, self._content, self._deflated, None if self._said & _SHARED else self._head

    @property
    def _rest(self) -> _Rest:
        terms, rest = _read_lengths(self._packed, _LENGTHS)
        begin = _FIXED.size + terms
        # Nothing but this process has written it.
        unpacked: _Rest = loads(self._packed[begin : begin + rest])  # noqa: S302
        return unpacked

    @property
    def _content_at(self) -> int:
        terms, rest = _read_lengths(self._packed, _LENGTHS)
        at: int = _FIXED.size + terms + rest
        return at


PARAMETERS = tuple(signature(StoredResponse).parameters)
"""The names of all that makes a stored response what it is."""


def _opening(body: bytes, splice: Splice | None) -> tuple[int, int, bytes | None]:
    """Flags, where `body` is cut open, and what was opened where that is not how it begins."""
    if splice is None:
        return 0, 0, None
    flags = _SPLICED | splice.comma * _COMMA
    if body.startswith(splice.opened):
        return flags, len(splice.opened), None
    return flags | _APART, 0, splice.opened


# What an upstream says within a second is mostly the same.
@lru_cache(maxsize=256)
def _one(head: bytes) -> bytes:
    return head


# A decision reads them several times over, and many responses say the same.
@lru_cache(maxsize=1024)
def _unpacked(terms: bytes) -> Terms:
    return Terms(*loads(terms))  # noqa: S302 - as above
