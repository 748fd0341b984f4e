"""From who asks and a request line to what is asked for: prepare, load and decide, as every other request does."""

from math import floor

from gateway.admission.keys import credential_parameters
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.answering import Answering
from gateway.answers.splice import CLOSING, opening, opening_gzip
from gateway.arrival import cut_open
from gateway.cache import Cache
from gateway.errors import Problem
from gateway.fastlane.generations import Generations
from gateway.fastlane.heads import request_of, size_of_fields
from gateway.fastlane.plan import Plan, What, hit_of, holds_until, is_plain, planned
from gateway.fastlane.who import Who
from gateway.lookup import Live, Lookup
from gateway.messages import Splice
from gateway.operation import Operation
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.size import size_of
from gateway.untracked import untracked
from gateway.watch import Watch

_LEAST, _MUCH = 8 << 20, 64 << 20

# What each that is remembered takes besides its content, about.
_EACH, _EACH_PLAN, _EACH_OTHER = 600, 3000, 200
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
        self._live = live
        # Not the memo of heads: what is prepared here is remembered here.
        self._preparer = preparer
        self._secret = credential_parameters(live.snapshot)
        self._cache = cache
        self._answering = answering
        self._watch = watch
        self._longest = longest
        self._peek = cache.peek
        self._known = Generations[What](room * 3 // 4, _size)
        self._plans = Generations[Plan](room // 8, _size_of_plan)
        # What is asked for time and again, and is the full lane's.
        self._others = Generations[bool](room // 8, lambda _: _EACH_OTHER)

    def find(self, who: Who, line: bytes, peer: str, now: float) -> What | None:
        """What `line` asks for, if that is a hit."""
        mark = who.mark + line
        what = self._known.get(mark)
        if what is None:
            return self._found(who, line, mark, peer, now)
        if now < what.until and self._peek(what.key) is what.variants:
            return what
        before = _size(what)
        if not self._renew(what, now):
            return None
        self._known.grow(max(0, _size(what) - before))
        return what

    def _found(self, who: Who, line: bytes, mark: bytes, peer: str, now: float) -> What | None:
        if self._others.get(mark):
            return None
        try:
            prepared = self._prepared(who, line, peer)
        except Problem:
            # It may be this key that is good no more, and others with the same mark have theirs.
            if who.account is None:
                self._others.keep(mark, True)
            return None
        if prepared is None:
            self._others.keep(mark, True)
            return None
        # What is not stored is most often asked for once. Another account than the one that was learnt is learnt anew.
        if prepared.account != who.account or not self._peek(prepared.key):
            return None
        plan = self._plan(who, prepared)
        if plan is None:
            self._others.keep(mark, True)
            return None
        what = untracked(What(plan, prepared.key))
        if not self._renew(what, now):
            return None
        self._known.keep(mark, what)
        return what

    def shrink(self, most: int) -> bool:
        """Give up to so many of what is remembered back; False once nothing is left."""
        return any(memo.shrink(most) for memo in (self._known, self._plans, self._others))

    def _renew(self, what: What, now: float) -> bool:
        """Whether it is a hit: load, decide, and make what the answers of this second begin with."""
        plan = what.plan
        variants = self._cache.peek(what.key)
        if not variants:
            return False
        reuse = hit_of(plan, variants, plan.lookup.decide(variants, now))
        if reuse is None:
            return False
        if variants is not what.variants or reuse.stored is not what.stored:
            variants = self._take_in(what, reuse.stored)
        op = plan.lookup.op
        op.ttl = floor(reuse.ttl)
        what.opening, what.form = what.head + self._answering.aged(op, reuse.age), None
        # What was put out for room as it was cut open is not looked at any more when something becomes of it.
        what.until = holds_until(plan, reuse, now) if reuse.stored in variants else now
        return True

    def _take_in(self, what: What, stored: StoredResponse) -> tuple[StoredResponse, ...]:
        """What of `stored` is in every answer; returns the variants that are stored from then on."""
        plan, splice = what.plan, None
        if plan.route.tokens_in_body and plan.quote is not None:
            splice = cut_open(self._cache, stored, gzip=plan.gzip)
        packed = splice is not None and plan.gzip
        what.head, what.content, what.closing = self._answering.opening(stored, packed=packed), stored.body, b""
        if splice is not None:
            what.content = opening_gzip(splice) if packed else opening(splice, plan.tokens)
            what.closing = b"" if packed else CLOSING
        what.variants, what.stored = self._cache.peek(what.key), stored
        what.splice = splice if splice is None or packed else _SPLICED
        what.answered = self._watch.hits(plan.route.name, stored.status, plan.tokens)
        return what.variants

    def _prepared(self, who: Who, line: bytes, peer: str) -> Prepared | None:
        """As the full lane prepares it, which raises Problem; None for what does not look anything up."""
        request = request_of(line, who, peer, self._longest, self._live.snapshot.scheme)
        # Whose key it is was found when the field lines were learnt, and whoever's is no more has another seat.
        prepared = None if request is None else self._preparer.prepare(request, who.account)
        return None if prepared is None or prepared.route.cache is None else prepared

    def _plan(self, who: Who, prepared: Prepared) -> Plan | None:
        """The plan that equal requests share; None for what is the full lane's."""
        cache = prepared.route.cache
        if cache is None or not is_plain(prepared, who, self._secret):
            return None
        route, bodiless = prepared.route, prepared.request.method == "HEAD"
        mark = b"%b%b\n%d\n%d" % (who.mark, route.name.encode(), id(prepared.quote), bodiless)
        known = self._plans.get(mark)
        if known is not None and known.quote is prepared.quote:
            return known
        op = Operation(prepared.request, "", 0.0, prepared, route.name)
        pages = self._answering.pages(op)
        plan = planned(Lookup(op, prepared, cache, self._live), who, self._live.snapshot, pages)
        if plan is not None:
            self._plans.keep(mark, plan)
            # What is asked for by it holds it, for longer than it is kept here.
            self._known.grow(_size_of_plan(plan))
        return plan


def _size(what: What) -> int:
    """About the bytes that it takes: its content is its own, or soon the last that is left of what was stored.

    So are the variants beside it, of any size, which it holds to be told of a change. Its form repeats its opening.
    """
    splice, others = what.splice, [variant for variant in what.variants if variant is not what.stored]
    said = len(what.key) + len(what.head) + 2 * len(what.opening) + len(what.content)
    taken = _EACH + said + sum(map(size_of, others))
    return taken + (0 if splice is None else len(splice.opened) + len(splice.packed or b""))


def _size_of_plan(plan: Plan) -> int:
    """About the bytes that it takes: with the one request that it was made of, whose target it holds in four forms."""
    request = plan.lookup.op.request
    return _EACH_PLAN + 4 * len(request.target) + size_of_fields(request.fields)
