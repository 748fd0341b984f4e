"""Heads prepared before: under one snapshot the same head means the same, and clients repeat themselves."""

from typing import Protocol

from gateway.admission.prepare import Prepared
from gateway.messages import Request

_MOST = 4096
_LONGEST = 2048


class Preparing(Protocol):
    """What prepares a request: `prepare.Preparer`, or a memo of it."""

    def prepare(self, request: Request) -> Prepared:
        """Raises `Problem` for every refusal that needs no state."""


class Memo:
    """Remembers what its preparer found for the last 4,096 heads of up to 2 KiB, oldest out first.

    It holds nothing that may change while the snapshot stands, and goes with it. Refusals, and requests with content or
    with fields that Connection nominates, are prepared anew each time.
    """

    def __init__(self, preparer: Preparing) -> None:
        self._preparer = preparer
        self._known: dict[tuple[object, ...], Prepared] = {}

    def prepare(self, request: Request) -> Prepared:
        """As the preparer does."""
        if request.body is not None:
            return self._preparer.prepare(request)
        head = (request.method, request.target, request.scheme, *request.fields.items())
        known = self._known.get(head)
        if known is None:
            known = self._preparer.prepare(request)
            if known.request is request and _length(request) <= _LONGEST:
                self._remember(head, known)
            return known
        return known.for_request(request)

    def _remember(self, head: tuple[object, ...], prepared: Prepared) -> None:
        if len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[head] = prepared


def _length(request: Request) -> int:
    return len(request.target) + sum(len(name) + len(value) for name, value in request.fields.items())
