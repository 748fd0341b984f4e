"""Request heads read without a parser, of parts that aiohttp's parser has read before: the same bytes mean the same.

A head is its request line and its field lines. The field lines say who asks, and must be known by their bytes; fields
that are new in every request are taken out first. The request line says what is asked for, and is read here where it is
of the plainest kind.
"""

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol, assert_never

from multidict import CIMultiDict

from gateway.admission.keys import credential_fields, find_account
from gateway.admission.peers import is_trusted
from gateway.admission.snapshot import Account, Scope, Share, Snapshot
from gateway.errors import Problem
from gateway.fastlane.generations import Generations
from gateway.fastlane.keyed import Keyed, in_any_case
from gateway.fastlane.sizes import size_of_fields
from gateway.fastlane.who import Seat, Who
from gateway.messages import Fields, Request
from gateway.untracked import untracked

ROOM = 128 << 20
"""Bytes for the field lines of some 60,000 clients."""

_LONGEST = 4096
_MOST_FIELDS = 64
_LINE = re.compile(rb"(GET|HEAD) (/(?!-?/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*) HTTP/1\.1")
NEW = frozenset({"x-request-id", "traceparent", "tracestate"})
"""Lower-case names of the fields that are new in every request."""
# What follows must be a line of its own, not the rest of this one (RFC 9112 §5.2).
_NEW = re.compile(rb"\r\n(%b): ([!-~]+)(?=\r\n[^ \t])" % in_any_case(NEW))
_MOST_NEW = 3
_LONGEST_ID = 128
_FRAMED = frozenset({"content-length", "expect", "transfer-encoding", "upgrade"})
_VERSION = (1, 1)
# What one remembered set of field lines takes, besides lines and fields, about.
_EACH = 500

Given = Sequence[tuple[bytes, bytes]]
"""Names and values of the fields of one request that are new in every request."""


class Parsed(Protocol):
    """What aiohttp's parser makes of a head."""

    @property
    def method(self) -> str: ...
    @property
    def version(self) -> tuple[int, int]: ...
    @property
    def headers(self) -> Fields: ...
    @property
    def should_close(self) -> bool: ...
    @property
    def upgrade(self) -> bool: ...
    @property
    def chunked(self) -> bool: ...


class Stripped(NamedTuple):
    """Field lines without those that are new in every request, and these."""

    lines: bytes
    given: Given


class Heads:
    """The field lines that are known under one snapshot, in about `room` bytes; those not asked for go first.

    Who is known sits where the account is charged: a seat that is the account's no more tells of a key that may not be.
    A head of up to `longest` bytes has no larger field section than the `fields` bytes that one may have.
    """

    def __init__(
        self, snapshot: Snapshot, seat_of: Callable[[Account], Seat], room: int, fields: int = _LONGEST
    ) -> None:
        self.longest = min(fields, _LONGEST)
        self._snapshot = snapshot
        self._seat_of = seat_of
        self._trusted = snapshot.trusted_proxies
        self._credentials = credential_fields(snapshot)
        # Taken out, a key would tell nobody who asks.
        self._learns = NEW.isdisjoint(self._credentials)
        self._share = _finest(snapshot)
        # Behind a proxy that is believed the same head means something else.
        each = room // 2 if self._trusted else room
        self._known = {believed: Generations[Who](each - each // 8, _size) for believed in (False, True)}
        self._keyed = {believed: Keyed(self._credentials, each // 8) for believed in (False, True)}

    def believes(self, peer: str) -> bool:
        """Whether this address is a proxy's whose word counts."""
        return bool(self._trusted) and is_trusted(peer, self._trusted)

    def known(self, peer: str) -> Generations[Who]:
        """Who is known on the connections of this address."""
        return self._known[self.believes(peer)]

    def learn(self, peer: str, data: bytes, parsed: Parsed) -> None:
        """Remember the field lines of `data`, of which aiohttp's parser, with nothing read before, made `parsed`.

        Only those of a request without content on a connection that is to be kept, where nothing is expected before
        the answer, from an account that may look things up or from nobody in particular.
        """
        line, _, rest = data.partition(b"\r\n")
        lines, given = stripped(b"\r\n" + rest)
        known = self.known(peer)
        if not self._learns or len(data) > self.longest or known.get(lines) is not None:
            return
        fields = CIMultiDict([(name, value) for name, value in parsed.headers.items() if name.lower() not in NEW])
        # The line must be one for sure, so that the rest of the bytes is all that the fields were read from.
        whole = len(fields) + len(given) == len(parsed.headers)
        if (
            whole
            and _is_plain(parsed)
            and _LINE.fullmatch(line)
            and (who := self._who(peer, lines, fields)) is not None
        ):
            known.keep(lines, who)
            self._keyed[self.believes(peer)].learn(lines, who.fields)

    def recognised(self, peer: str, lines: bytes) -> Who | None:
        """Who sends `lines` that differ in nothing but the key from some that are known; from then on they are, too.

        Raises Problem where the account's grant is due and cannot be written.
        """
        fields = self._keyed[self.believes(peer)].read(lines)
        who = None if fields is None else self._who(peer, lines, fields)
        if who is not None:
            self.known(peer).keep(lines, who)
        return who

    def forget(self, who: Who) -> None:
        """Whose key may not be the account's any more: whoever sends it is read anew."""
        for known in self._known.values():
            known.drop(who.lines)

    def shrink(self, most: int) -> bool:
        """Give up to so many of what is remembered back; False once nothing is left."""
        if any(known.shrink(most) for known in self._known.values()):
            return True
        return any(keyed.shrink(most) for keyed in self._keyed.values())

    def _who(self, peer: str, lines: bytes, fields: Fields) -> Who | None:
        presents = any(name.lower() in self._credentials for name in fields)
        account = None
        if presents:
            try:
                account = find_account(self._snapshot, fields, ())
            except Problem:
                return None
            if account.test or Scope.lookup not in account.scopes:
                return None
        seat = None if account is None else self._seat_of(account)
        return untracked(Who(lines, self._mark(peer, fields, account), untracked(fields), account, seat))

    def _mark(self, peer: str, fields: Fields, account: Account | None) -> bytes:
        """What all have in common for whom the same request line means the same: a digest of all they send else."""
        kept = [f"{name}:{value}" for name, value in fields.items() if name.lower() not in self._credentials]
        text = "\n".join([_scope(self._share, account), str(self.believes(peer)), *kept])
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def stripped(lines: bytes) -> Stripped:
    """Field lines, each behind its line's end, without those that are new in every request."""
    parts = _NEW.split(lines)
    if len(parts) == 1 or len(parts) > 1 + 3 * _MOST_NEW:
        return Stripped(lines, ())
    return Stripped(b"".join(parts[::3]), [*zip(parts[1::3], parts[2::3], strict=True)])


def given_id(given: Given) -> bytes | None:
    """The request's own id, where it gives one that may be kept."""
    for name, value in given:
        if name.lower() == b"x-request-id":
            return value if len(value) <= _LONGEST_ID else None
    return None


def request_of(line: bytes, who: Who, peer: str, longest: int, scheme: str = "http") -> Request | None:
    """The request with this request line; None where that is not of the plainest kind, or its target too long."""
    found = _LINE.fullmatch(line)
    if found is None or len(found[2]) > longest:
        return None
    return Request(found[1].decode(), found[2].decode(), who.fields, peer, scheme=scheme)


def _size(who: Who) -> int:
    """About the bytes that it takes besides its lines; a character outside of Latin-1 makes the others as wide."""
    return _EACH + size_of_fields(who.fields)


def _is_plain(parsed: Parsed) -> bool:
    fields = parsed.headers
    if parsed.method not in ("GET", "HEAD") or parsed.version != _VERSION or len(fields) > _MOST_FIELDS:
        return False
    if parsed.should_close or parsed.upgrade or parsed.chunked:
        return False
    return _FRAMED.isdisjoint([name.lower() for name in fields])


def _finest(snapshot: Snapshot) -> Share:
    """The narrowest circle that any route shares what is stored in."""
    shares = {route.cache.share for route in snapshot.routes if route.cache is not None}
    return next((share for share in (Share.key, Share.organization) if share in shares), Share.everyone)


def _scope(share: Share, account: Account | None) -> str:
    if account is None:
        return "nobody"
    match share:
        case Share.everyone:
            return ""
        case Share.organization:
            return f"o:{account.organization}"
        case Share.key:
            return f"k:{account.id}"
        case _:
            assert_never(share)
