"""From who asks and a request to the plan of all that differ in their targets alone, for which one was prepared."""

from collections.abc import Callable

from gateway.admission.keys import credential_parameters
from gateway.admission.prepare import Preparer, Sought
from gateway.admission.prepared import Prepared
from gateway.answering import Answering
from gateway.fastlane.generations import Generations
from gateway.fastlane.plan import Plan, is_plain, planned
from gateway.fastlane.sizes import size_of_fields
from gateway.fastlane.who import Who
from gateway.lookup import Live, Lookup
from gateway.messages import Request
from gateway.operation import Operation

# What each that is remembered takes with its forms, besides the request that it was made of, about.
_EACH = 6000


class Plans:
    """The plans that are known, in about `room` bytes; `held` is told what each takes, as others go on holding it."""

    def __init__(
        self, live: Live, preparer: Preparer, answering: Answering, room: int, held: Callable[[int], None]
    ) -> None:
        self._live = live
        # Not the memo of heads: what is prepared here is remembered here.
        self._preparer = preparer
        self._answering = answering
        self._secret = credential_parameters(live.snapshot)
        self._held = held
        self._known = Generations[Plan](room, _size)

    def find(self, who: Who, request: Request) -> tuple[Plan, Prepared] | None:
        """The plan for what `who` asks, and what is prepared; None for what is the full lane's, whatever is stored.

        `request` has the field lines of `who`. Raises Problem as the full lane does; what the account alone is refused
        for is among it only where no plan is known.
        """
        sought = self._preparer.sought(request)
        if self._secret and any(name in self._secret for name, _ in sought.query):
            return None
        mark = _mark(who, request, sought)
        plan = self._known.get(mark)
        if plan is not None:
            return plan, self._preparer.like(plan.lookup.prepared, request, who.account, sought)
        plan = self._made(who, request)
        if plan is None:
            return None
        self._known.keep(mark, plan)
        self._held(_size(plan))
        return plan, plan.lookup.prepared

    def shrink(self, most: int) -> bool:
        """Give up to so many of what is remembered back; False once nothing is left."""
        return self._known.shrink(most)

    def _made(self, who: Who, request: Request) -> Plan | None:
        # Whose key it is was found when the field lines were learnt, and whoever's is no more has another seat.
        prepared = self._preparer.prepare(request, who.account)
        cache = prepared.route.cache
        # A public route called with a key, or who is only told by the query.
        if cache is None or prepared.account != who.account or not is_plain(prepared, who):
            return None
        op = Operation(request, "", 0.0, prepared, prepared.route.name)
        return planned(Lookup(op, prepared, cache, self._live), who, self._live.snapshot, self._answering.pages(op))


def _mark(who: Who, request: Request, sought: Sought) -> bytes:
    """All that a plan depends on."""
    on = repr(sorted(sought.on)).encode() if sought.on else b""
    return b"%b%d\n%b\n%b" % (who.mark, sought.matched.place, request.method.encode(), on)


def _size(plan: Plan) -> int:
    """About the bytes that it takes: with the one request that it was made of, whose target it holds in four forms."""
    request = plan.lookup.op.request
    return _EACH + 4 * len(request.target) + size_of_fields(request.fields)
