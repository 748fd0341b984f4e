"""Stored parts of responses (RFC 9111 §3.3 and §3.4): beside the whole ones, under a key of their own."""

from collections.abc import Callable
from dataclasses import replace

from gateway.answers.head import partial_head, whole_head
from gateway.cache import Cache
from gateway.messages import Fields
from gateway.ports import Clock
from gateway.rfc9111.demands import Demands
from gateway.rfc9111.partial import Part, combined, part_of
from gateway.rfc9111.ranges import Span, selected
from gateway.rfc9111.reuse import Fetch, Fwd, Reuse, decide
from gateway.rfc9111.selecting import select
from gateway.rfc9111.stored import Policy, StoredResponse
from gateway.rfc9111.storing import head_fields
from gateway.stores.in_flight import Fetching

Peek = Callable[[str], tuple[StoredResponse, ...]]

_PARTIAL = Fetch(Fwd.partial)
_DEMANDED = Fetch(Fwd.request, demanded=True)


class Parts:
    """At most one part for each variant, the latest that could not be joined to the one before.

    `find` looks with `peek`, the cache's own unless told otherwise.
    """

    def __init__(self, cache: Cache, clock: Clock, peek: Peek | None = None) -> None:
        self._cache = cache
        self._peek = peek or cache.peek
        self._clock = clock

    def find(
        self, key: str, request_fields: Fields, selecting: Fields, policy: Policy, demands: Demands | None
    ) -> Reuse | Fetch | None:
        """The range that a request asks for, cut from a stored part that its `demands` allow; None where none is.

        A fetch, told apart from a miss, where the part does not hold all of it, or they do not allow it.
        """
        now, held = self._clock.steady(), self._peek(_beside(key))
        found = decide(held, selecting, policy, now, forced=False, cooldown=0.0)
        part = _part(found.stored) if isinstance(found, Reuse) else None
        if not isinstance(found, Reuse) or part is None:
            return None
        stored, date, wall = found.stored, found.stored.terms.date, self._clock.wall()
        wanted = selected(request_fields, 200, part.span.total, stored.etag, stored.last_modified, date, wall)
        if not isinstance(wanted, Span) or (content := part.cut(wanted)) is None:
            return _PARTIAL
        if not isinstance(decide(held, selecting, policy, now, forced=False, cooldown=0.0, demands=demands), Reuse):
            return _DEMANDED
        return replace(
            found, stored=stored.replaced(body=content, head=partial_head(stored.head, wanted.content_range))
        )

    def keep(self, fetching: Fetching, answer: StoredResponse, selecting: Fields, most: int) -> bool:
        """Keep a 206 that may be stored, joined to the part that is there; as a whole response where it is one now.

        It takes that part's place where both would be more than `most` bytes.
        """
        received = _part(answer)
        if received is None:
            return False
        stored = select(self._cache.peek(_beside(answer.key)), selecting)
        held = _part(stored) if stored is not None and not stored.outdated else None
        joined = combined(held, received) if held is not None else None
        part = received if joined is None or len(joined.content) > most else joined
        if part.whole:
            whole = answer.replaced(status=200, reason="OK", head=whole_head(answer.head), body=part.content)
            self.forget(answer.key)
            return self._cache.store(fetching, whole)
        head = partial_head(answer.head, part.span.content_range)
        return self._cache.store(fetching, answer.replaced(key=_beside(answer.key), head=head, body=part.content))

    def forget(self, key: str) -> None:
        """What was stored of it in parts is superseded."""
        for stored in self._cache.peek(_beside(key)):
            self._cache.forget(stored)


def _beside(key: str) -> str:
    """A key that no request has: its lines after the target are `name:value`."""
    return f"{key}\n206"


def _part(stored: StoredResponse) -> Part | None:
    return part_of(head_fields(stored.head), stored.body)
