"""Items of a turn call, and who waits for their replies."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.errors import Overtaken, Problem
from gateway.fleet.call import Reply, Status
from gateway.fleet.link import Link
from gateway.till.holder import Holder
from gateway.till.measure import UNTHROTTLED
from gateway.till.paying import Paid, Verdict
from gateway.till.tab import Tab

Words = Callable[[], Sequence[bytes]]
Late = Callable[[Reply], None]
"""Told of what was executed for nobody."""


class Asked:
    """An item that one caller waits for; `late` hears of it if nobody does any more."""

    lasting = False

    def __init__(self, words: Words, late: Late) -> None:
        self.words = words
        self.waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._late = late

    def done(self, reply: Reply) -> None:
        """Hand it to the caller."""
        if self.waiter.cancelled():
            self._late(reply)
        else:
            self.waiter.set_result(reply)

    def left(self) -> None:
        """The caller was cancelled, maybe with the reply there that he had not seen yet."""
        if self.waiter.done() and not self.waiter.cancelled() and self.waiter.exception() is None:
            self._late(self.waiter.result())

    def failed(self, problem: Problem) -> None:
        """Tell the caller."""
        if not self.waiter.done():
            self.waiter.set_exception(problem)

    def late(self, reply: Reply) -> None:
        """The caller has gone."""
        self._late(reply)


class Sent:
    """An item whose reply tells nothing that the next one's does not: nobody waits for it."""

    lasting = False

    def __init__(self, words: Words) -> None:
        self.words = words

    def done(self, reply: Reply) -> None:
        """What follows it in the same call will see."""

    def failed(self, problem: Problem) -> None:
        """What follows it fails as well."""

    def late(self, reply: Reply) -> None:
        """It was due."""


class Owed:
    """An item that is asked until Redis has answered: a reversal, which nobody waits for. Another term is no answer."""

    lasting = True

    def __init__(self, link: Link, holder: Holder, words: Words) -> None:
        self._link = link
        self._holder = holder
        self.words = words

    def done(self, reply: Reply) -> None:
        """By now it has been reversed, or there was nothing to be."""
        if reply[0] == Status.stale:
            self._holder.believe(reply[1:])
            self._link.submit(self)

    def failed(self, problem: Problem) -> None:
        """It is asked again."""

    def late(self, reply: Reply) -> None:
        """It never is."""


class Hits:
    """Equal plain charges, all that are asked for until they are sent: each who asks is told a verdict, in order.

    `charged` hears how many were, `back` how many that nobody waited for any more and are to be given back.
    """

    lasting = False

    def __init__(self, tab: Tab, charged: "Counted", back: "Counted") -> None:
        self._tab = tab
        self._charged = charged
        self._back = back
        self._askers: list[tuple[int, Told]] = []

    def add(self, times: int, told: "Told") -> None:
        """So many more, for somebody else; not once they have been sent."""
        self._askers.append((times, told))

    def words(self) -> Sequence[bytes]:
        """As the tab has it; nothing where the account has left its place, and its key may be another's by now."""
        if self._tab.hits is self:
            self._tab.hits = None
        if self._tab.place.left:
            return ()
        return self._tab.words(sum([times for times, _ in self._askers]))

    def done(self, reply: Reply) -> None:
        """Some are admitted, or all, or none."""
        match reply:
            case [Status.done | Status.short, remaining, level, admitted]:
                self._tab.place.holder.left = remaining
                if admitted:
                    self._charged(self._tab, admitted)
                self._tell(remaining, level, admitted)
            case [Status.stale, *columns]:
                # The full lane brings the balance up to its plan.
                self._tab.place.holder.believe(columns)
                self._tell(0, 0, 0)
            case _:
                self._tell_all(Overtaken())

    def failed(self, problem: Problem) -> None:
        """None is, as far as anyone knows."""
        if self._tab.hits is self:
            self._tab.hits = None
        self._tell_all(problem)

    def late(self, reply: Reply) -> None:
        """They went the full lane, or were refused."""
        if reply[0] == Status.done:
            self._back(self._tab, reply[3])

    def _tell(self, remaining: int, level: int, admitted: int) -> None:
        """The first who asked are admitted first; `remaining` and `level` are what the last one leaves."""
        tab, measure = self._tab, self._tab.place.measure
        states = [UNTHROTTLED] * admitted if measure is None else measure.states(level, admitted)
        end = 0
        for times, told in self._askers:
            begin, end = end, min(end + times, admitted)
            left = None if tab.unlimited else remaining + tab.tokens * (admitted - end)
            told(Paid(left, states[begin:end]))

    def _tell_all(self, verdict: Overtaken | Problem) -> None:
        for _, told in self._askers:
            told(verdict)


Told = Callable[[Verdict], None]
Counted = Callable[[Tab, int], None]
