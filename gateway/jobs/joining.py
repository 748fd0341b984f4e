"""What an order joins of the work that is under way: a pure decision."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.admission.jobs import EVERY_SCOPE, How, Order, Stage


@dataclass(slots=True, frozen=True)
class UnderWay:
    """The work under way on one of an order's subjects; `recorded` is the since that the order's account has there."""

    work: int
    subject: str
    stage: Stage
    since: float | None
    scopes: frozenset[str]
    recorded: float | None


@dataclass(slots=True, frozen=True)
class Widened:
    """Work that has to cover more: from when on, and for which scopes."""

    work: int
    since: float | None
    scopes: frozenset[str]


@dataclass(slots=True, frozen=True)
class Joining:
    """All the work of an order: subjects that are `new`, work that is joined as it is, and work that is widened.

    What is `added` to goes on where it is: nothing has been selected yet. What goes `back` begins again.
    """

    new: tuple[str, ...]
    joined: tuple[int, ...]
    added: tuple[Widened, ...]
    back: tuple[Widened, ...]

    @property
    def how(self) -> How:
        """What the client is told."""
        if self.new:
            return How.initiated
        return How.widened if self.added or self.back else How.joined

    @property
    def begins(self) -> bool:
        """Whether anything begins, for the first time or again, and so needs the order's own trigger."""
        return bool(self.new or self.back)


def joining(order: Order, subjects: Iterable[str], under_way: Iterable[UnderWay]) -> Joining:
    """What becomes of each of `subjects`, those `under_way` and the others."""
    found = {work.subject: work for work in under_way}
    joined, added, back = list[int](), list[Widened](), list[Widened]()
    for work in found.values():
        earlier, lacking = _is_earlier(order, work), _lacks(order, work)
        if not (earlier or lacking):
            joined.append(work.work)
        elif earlier or work.stage in (Stage.select, Stage.fetch):
            back.append(_widened(order, work, earlier=earlier))
        else:
            added.append(_widened(order, work, earlier=False))
    new = tuple([subject for subject in subjects if subject not in found])
    return Joining(new, tuple(joined), tuple(added), tuple(back))


def _asked(order: Order, work: UnderWay) -> float | None:
    """From when on the upstream is asked. A client's own request says no more than the client did."""
    return work.recorded if order.since is None and order.sending is None else order.since


def _is_earlier(order: Order, work: UnderWay) -> bool:
    """Whether the order goes behind what the upstream is asked for.

    A work without since leaves that to the upstream: a recorded one is no reason to ask again, one asked for is.
    """
    if work.since is None:
        return order.since is not None
    asked = _asked(order, work)
    return asked is not None and asked < work.since


def _lacks(order: Order, work: UnderWay) -> bool:
    return EVERY_SCOPE not in work.scopes and not work.scopes.issuperset(order.scopes)


def _widened(order: Order, work: UnderWay, *, earlier: bool) -> Widened:
    since = _asked(order, work) if earlier else work.since
    return Widened(work.work, since, work.scopes.union(order.scopes))
