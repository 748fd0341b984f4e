"""From who asks and a request line to what is asked for: prepare, load and decide, as every other request does."""

from contextlib import suppress
from math import inf

from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.answering import Answering
from gateway.answers.splice import CLOSING, opening, opening_gzip
from gateway.arrival import cut_open
from gateway.cache import Cache
from gateway.errors import Problem
from gateway.fastlane.generations import Generations
from gateway.fastlane.heads import request_of
from gateway.fastlane.plan import Plan, What, changes_at, hit_of, holds_until
from gateway.fastlane.plans import Plans
from gateway.fastlane.who import Who
from gateway.lookup import Live
from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.size import size_of
from gateway.untracked import untracked
from gateway.watch import Watch

_LEAST, _MUCH = 8 << 20, 64 << 20

# What each that is remembered takes besides its content, about.
_EACH, _EACH_OTHER = 600, 200
# In place of a splice of which nothing is needed any more, as it is in the content.
_SPLICED = Splice(b"", comma=False)


def room_for(memory: int) -> int:
    """Bytes for request lines and the content that answers them, where `memory` bytes of responses may be stored.

    A quarter of it, of much an eighth: 64 MiB hold some 20,000 of 2 KiB.
    """
    return max(_LEAST, min(memory // 4, _MUCH), memory // 8)


class Planning:
    """What is asked for, by who asks and the request line; remembered in about `room` bytes, what is rare goes first.

    It goes with its config, and holds nothing that may change while that stands: what is stored is looked at anew.
    """

    def __init__(
        self,
        live: Live,
        preparer: Preparer,
        cache: Cache,
        answering: Answering,
        watch: Watch,
        room: int,
        longest: int,
    ) -> None:
        self.live = live
        self._cache = cache
        self._answering = answering
        self._watch = watch
        self._longest = longest
        self._peek = cache.peek
        self._known = Generations[What](room * 3 // 4, _size)
        # What is asked for by a plan holds it, for longer than it is kept among them.
        self._plans = Plans(live, preparer, answering, room // 8, self._known.grow)
        # What is asked for time and again, and is the full lane's.
        self._others = Generations[bool](room // 8, lambda _: _EACH_OTHER)

    def find(self, who: Who, line: bytes, peer: str, now: float) -> What | Prepared | None:
        """What `line` asks for, if that is a hit; what was prepared for a plain lookup that is none."""
        mark = who.mark + line
        what = self._known.get(mark)
        if what is None:
            return self._found(who, line, mark, peer, now)
        variants = self._peek(what.key)
        if variants is what.variants and (now < what.until or self._has_aged(what, now)):
            return what
        before = _size(what)
        if not self._renew(what, now, variants):
            # It has expired, most often: who asks now fetches it, or waits for whoever does.
            return self._prepared(who, line, peer)
        self._known.grow(max(0, _size(what) - before))
        return what

    def _found(self, who: Who, line: bytes, mark: bytes, peer: str, now: float) -> What | Prepared | None:
        if self._others.get(mark):
            return None
        try:
            found = self._sought(who, line, peer)
        except Problem:
            # It may be this key that is good no more, and others with the same mark have theirs.
            if who.account is None:
                self._others.keep(mark, True)
            return None
        if found is None:
            self._others.keep(mark, True)
            return None
        plan, prepared = found
        variants = self._peek(prepared.key)
        # What is not stored is most often asked for once.
        if not variants:
            return prepared
        what = untracked(What(plan, prepared.key))
        if not self._renew(what, now, variants):
            return prepared
        self._known.keep(mark, what)
        return what

    def _prepared(self, who: Who, line: bytes, peer: str) -> Prepared | None:
        """What is prepared for a lookup that has a plan; None where it is refused by now."""
        with suppress(Problem):
            found = self._sought(who, line, peer)
            return None if found is None else found[1]
        return None

    def _sought(self, who: Who, line: bytes, peer: str) -> tuple[Plan, Prepared] | None:
        request = request_of(line, who, peer, self._longest, self.live.snapshot.scheme)
        return None if request is None else self._plans.find(who, request)

    def shrink(self, most: int) -> bool:
        """Give up to so many of what is remembered back; False once nothing is left."""
        return any(memo.shrink(most) for memo in (self._known, self._plans, self._others))

    def _has_aged(self, what: What, now: float) -> bool:
        """Whether what was decided still stands but for age and ttl; what the answers begin with is made anew."""
        age, ttl = what.aged(now)
        if ttl <= 0:
            return False
        what.opening = what.head + self._answering.aged(age, ttl)
        what.until = changes_at(age, ttl, now)
        return True

    def _renew(self, what: What, now: float, variants: tuple[StoredResponse, ...]) -> bool:
        """Whether it is a hit: decide, and make what the answers of this second begin with."""
        plan = what.plan
        reuse = hit_of(plan, variants, plan.lookup.decide(variants, now)) if variants else None
        if reuse is None:
            return False
        stored = reuse.stored
        if variants is not what.variants or stored is not what.stored:
            variants = self._take_in(what, stored)
        # What was put out for room as it was cut open is not looked at any more when something becomes of it.
        held = stored in variants
        what.opening = what.head + self._answering.aged(reuse.age, reuse.ttl)
        what.until = holds_until(plan, reuse, now) if held else now
        what.lasting = None if held and plan.ahead is None else -inf
        return True

    def _take_in(self, what: What, stored: StoredResponse) -> tuple[StoredResponse, ...]:
        """What of `stored` is in every answer; returns the variants that are stored from then on."""
        plan, splice = what.plan, None
        if plan.route.tokens_in_body and plan.quote is not None:
            splice = cut_open(self._cache, stored, gzip=plan.gzip)
        packed = splice is not None and plan.gzip
        what.head, what.closing = self._answering.opening(stored, packed=packed), b""
        if splice is None:
            what.content = stored.body
        else:
            what.content = opening_gzip(splice) if packed else opening(splice, plan.tokens)
            what.closing = b"" if packed else CLOSING
        what.variants, what.stored = self._peek(what.key), stored
        what.splice = splice if splice is None or packed else _SPLICED
        what.answered = self._watch.hits(plan.route.name, stored.status, plan.tokens)
        return what.variants


def _size(what: What) -> int:
    """About the bytes that it takes: its content is its own, or soon the last that is left of what was stored.

    So are the variants beside it, of any size, which it holds to be told of a change.
    """
    splice, others = what.splice, [variant for variant in what.variants if variant is not what.stored]
    said = len(what.key) + len(what.head) + len(what.opening) + len(what.content)
    taken = _EACH + said + sum(map(size_of, others))
    return taken + (0 if splice is None else len(splice.opened) + len(splice.packed or b""))
