"""Named points at which a gateway kills itself while it accepts a refresh, works on it, or takes it back."""

import errno
import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from crash.points import Due, Owner, Patch, Point, after, awaited, before, die

from gateway.admission.jobs import Accepted, Order, Stage, Step
from gateway.background import selecting
from gateway.background.accepting import Accepting
from gateway.background.worker import Worker
from gateway.jobs import ending
from gateway.jobs.register import JobRegister
from gateway.ledger.journal import Journal
from gateway.messages import Outgoing
from gateway.singles import Singles
from gateway.upstreams.client import HttpUpstream

Counts = Callable[..., bool]
"""Whether a call with these arguments is a pass of the point."""


def always(*_: object, **__: object) -> bool:
    """Every call is."""
    return True


def at(stage: Stage) -> Counts:
    """What is told of a step at `stage`."""

    def counts(_: object, step: Step, *__: object, **___: object) -> bool:
        return step.stage is stage

    return counts


def slice_(*, last: bool) -> Counts:
    """The last slice of a selection, or one before it."""

    def counts(*_: object, **named: object) -> bool:
        return named["last"] is last

    return counts


def by(method: str) -> Counts:
    """A request to the upstream by `method`."""

    def counts(_: object, outgoing: Outgoing) -> bool:
        return outgoing.method == method

    return counts


def called(owner: Owner, name: str, counts: Counts = always) -> Patch:
    """As the coroutine `owner.name` is about to begin."""
    return _around(owner, name, counts, begun=True)


def returned(owner: Owner, name: str, counts: Counts = always) -> Patch:
    """As the coroutine `owner.name` has returned, whatever it was."""
    return _around(owner, name, counts, begun=False)


def _around(owner: Owner, name: str, counts: Counts, *, begun: bool) -> Patch:
    def patch(due: Due) -> None:
        original = getattr(owner, name)

        @wraps(original)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            passes = counts(*args, **kwargs)
            if begun and passes and due():
                die()
            result = await original(*args, **kwargs)
            if not begun and passes and due():
                die()
            return result

        setattr(owner, name, wrapper)

    return patch


def sliced(patch: Patch) -> Patch:
    """A selection writes each response down by itself, so that a few are many."""

    def patched(due: Due) -> None:
        selecting._MOST_OF_ONE = 1
        patch(due)

    return patched


def uncharged(patch: Patch) -> Patch:
    """As soon as an order is in the register, the journal cannot be written any more (EIO)."""

    def patched(due: Due) -> None:
        accept = JobRegister.accept

        def failing(self: Journal, payload: bytes) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        @wraps(accept)
        async def wrapper(self: JobRegister, order: Order, now: float) -> Accepted:
            accepted = await accept(self, order, now)
            Journal.append = failing  # type: ignore[method-assign]  # what this module is for
            return accepted

        JobRegister.accept = wrapper  # type: ignore[method-assign]  # what this module is for
        patch(due)

    return patched


JOB_POINTS: dict[str, Point] = {
    "order-unreserved": Point(awaited(Accepting, "_subjects_of"), 20),
    "order-reserved": Point(called(JobRegister, "accept"), 20),
    "order-written": Point(returned(JobRegister, "accept"), 20),
    "order-charged": Point(before(Worker, "wake"), 20),
    "order-answered": Point(returned(Accepting, "accept"), 20),
    "trigger-unwritten": Point(called(JobRegister, "sent"), 10),
    "trigger-unsent": Point(returned(JobRegister, "sent"), 10),
    "trigger-unheard": Point(returned(HttpUpstream, "send", by("POST")), 10),
    "trigger-answered": Point(called(JobRegister, "passed", at(Stage.trigger)), 10),
    "trigger-passed": Point(returned(JobRegister, "passed", at(Stage.trigger)), 10),
    "waiting": Point(returned(JobRegister, "later", at(Stage.wait)), 5),
    "waited": Point(called(JobRegister, "passed", at(Stage.wait)), 10),
    "selecting": Point(sliced(returned(JobRegister, "found", slice_(last=False))), 5),
    "selection-unwritten": Point(called(JobRegister, "found", slice_(last=True)), 10),
    "selected": Point(returned(JobRegister, "found", slice_(last=True)), 10),
    "fetched": Point(called(JobRegister, "fetched"), 20),
    "fetch-written": Point(returned(JobRegister, "fetched"), 20),
    "ending": Point(before(ending, "end_work"), 10),
    "end-uncommitted": Point(after(ending, "end_work"), 10),
    "cancelling": Point(called(JobRegister, "cancel"), 2),
    "cancel-uncommitted": Point(after(ending, "cancel"), 2),
    "cancelled": Point(returned(JobRegister, "cancel"), 2),
    "withdrawing": Point(uncharged(called(JobRegister, "withdraw")), 1),
    "withdrawal-uncommitted": Point(uncharged(after(ending, "withdraw")), 1),
    "withdrawn": Point(uncharged(returned(JobRegister, "withdraw")), 1),
    "single-unheld": Point(called(Singles, "begin"), 10),
    "single-held": Point(returned(Singles, "begin"), 10),
    "single-fetched": Point(returned(HttpUpstream, "send", by("GET")), 10),
    "single-charged": Point(called(JobRegister, "end"), 10),
    "single-ended": Point(returned(JobRegister, "end"), 10),
}
"""Every point: on an order's way, at its work, as it is taken back, then those of a single refresh."""
