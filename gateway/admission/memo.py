"""Heads prepared before: under one snapshot the same head means the same, and clients repeat themselves."""

from itertools import chain, islice
from sys import getsizeof, intern
from typing import Protocol

from multidict import CIMultiDict

from gateway.admission.peers import is_trusted
from gateway.admission.prepared import Prepared
from gateway.messages import Request
from gateway.untracked import untracked

# Bytes, as `_size` reckons them: some 2,000 heads as libraries send them. Hits seldom come here (see the fast lane).
_ROOM = 2 << 20
_LONGEST = 2048
_MOST_FIELDS = 32
_EACH = 800

# Whose request it was that a head was first prepared for is not kept.
_NOBODYS = Request("", "", CIMultiDict())


class Preparing(Protocol):
    """What prepares a request: `prepare.Preparer`, or a memo of it."""

    def prepare(self, request: Request) -> Prepared:
        """Raises `Problem` for every refusal that needs no state."""


class Memo:
    """Remembers what its preparer found for the last heads of up to 2 KiB and 32 fields, as many as 2 MiB hold.

    It goes with the snapshot, and holds nothing that may change while that stands, but for keys (`forget`). Refusals,
    and requests with content or with fields that Connection nominates, are prepared anew each time. The same head from
    a `trusted` proxy may mean something else.
    """

    def __init__(self, preparer: Preparing, trusted: tuple[str, ...] = ()) -> None:
        self._preparer = preparer
        self._trusted = trusted
        self._known: dict[str, Prepared] = {}
        self._taken = 0

    def prepare(self, request: Request) -> Prepared:
        """As the preparer does."""
        if request.body is not None:
            return self._preparer.prepare(request)
        believed = self._trusted and is_trusted(request.peer, self._trusted)
        # One text, as no part of a head can hold a line's end: one comparison, where equal parts would take one each.
        marks = (request.method, request.target, request.scheme, "believed" if believed else "")
        head = "\n".join(chain(marks, *request.fields.items()))
        known = self._known.get(head)
        if known is None:
            known = self._preparer.prepare(request)
            if known.request is request and len(head) <= _LONGEST and len(request.fields) <= _MOST_FIELDS:
                self._remember(head, known)
            return known
        return known.for_request(request)

    def forget(self, account: str) -> None:
        """Prepare the account's heads anew: its API keys have changed."""
        for head in [head for head, known in self._known.items() if known.account and known.account.id == account]:
            self._drop(head)

    def shrink(self, most: int) -> bool:
        """Give up to `most` of the oldest heads back, whether or not it is still used; False once none is left."""
        for head in list(islice(self._known, most)):
            self._drop(head)
        return bool(self._known)

    def _remember(self, head: str, prepared: Prepared) -> None:
        # What the heads of many keys have in common is there once.
        prepared.target, prepared.path, prepared.key = map(intern, (prepared.target, prepared.path, prepared.key))
        self._known[head] = untracked(prepared.for_request(_NOBODYS))
        self._taken += _size(head)
        while self._taken > _ROOM:
            self._drop(next(iter(self._known)))

    def _drop(self, head: str) -> None:
        del self._known[head]
        self._taken -= _size(head)


def _size(head: str) -> int:
    """About the bytes that a head takes here."""
    return _EACH + getsizeof(head)
