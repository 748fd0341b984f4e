"""Heads prepared before: under one snapshot the same head means the same, and clients repeat themselves."""

from typing import Protocol

from gateway.admission.peers import is_trusted
from gateway.admission.prepare import Prepared
from gateway.messages import Request

_MOST = 4096
_LONGEST = 2048
# Each takes some 300 bytes besides its characters.
_MOST_FIELDS = 32


class Preparing(Protocol):
    """What prepares a request: `prepare.Preparer`, or a memo of it."""

    def prepare(self, request: Request) -> Prepared:
        """Raises `Problem` for every refusal that needs no state."""


class Memo:
    """Remembers what its preparer found for the last 4,096 heads of up to 2 KiB and 32 fields, oldest out first.

    It holds nothing that may change while the snapshot stands, and goes with it. Refusals, and requests with content or
    with fields that Connection nominates, are prepared anew each time. The same head from a `trusted` proxy may mean
    something else.
    """

    def __init__(self, preparer: Preparing, trusted: tuple[str, ...] = ()) -> None:
        self._preparer = preparer
        self._trusted = trusted
        self._known: dict[tuple[object, ...], Prepared] = {}

    def prepare(self, request: Request) -> Prepared:
        """As the preparer does."""
        if request.body is not None:
            return self._preparer.prepare(request)
        believed = self._trusted and is_trusted(request.peer, self._trusted)
        head = (request.method, request.target, request.scheme, believed, *request.fields.items())
        known = self._known.get(head)
        if known is None:
            known = self._preparer.prepare(request)
            if known.request is request and _is_short(request):
                self._remember(head, known)
            return known
        return known.for_request(request)

    def _remember(self, head: tuple[object, ...], prepared: Prepared) -> None:
        if len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[head] = prepared


def _is_short(request: Request) -> bool:
    if len(request.fields) > _MOST_FIELDS:
        return False
    return len(request.target) + sum(len(name) + len(value) for name, value in request.fields.items()) <= _LONGEST
