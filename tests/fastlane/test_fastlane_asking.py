"""Asking: who is answered in a turn, by what the till of a fleet says of it."""

from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from gateway.admission.charge import Limits
from gateway.answers.limits import token_form
from gateway.errors import Overtaken, Problem, Reason
from gateway.fastlane.asking import Asking
from gateway.fastlane.plan import What
from gateway.fastlane.run import Run
from gateway.fastlane.turn import Turn
from gateway.fastlane.who import Who
from gateway.messages import Answer
from gateway.till.paying import Paid, Till, Verdict

UNTHROTTLED = (None, None)
ILL = Problem(Reason.ledger_unavailable)


class Place:
    """An account's, `up` to date or not."""

    def __init__(self, *, up: bool) -> None:
        self.up = up

    def current(self, _: float) -> bool:
        return self.up


class Tab:
    """Where hits are charged."""

    def __init__(self, *, up: bool = True) -> None:
        self.place = Place(up=up)


class Told:
    """A till that answers when it is told to; `checks` and `paid` are the questions it was asked."""

    def __init__(self) -> None:
        self.flushes = 0
        self.checks: list[Callable[[Verdict], None]] = []
        self.paid: list[tuple[int, Callable[[Verdict], None]]] = []

    def seat(self, _: object) -> None:
        raise AssertionError("nobody is seated here")

    def pay(self, _: object, times: int, done: Callable[[Verdict], None]) -> None:
        self.paid.append((times, done))

    def check(self, done: Callable[[Verdict], None]) -> None:
        self.checks.append(done)

    def flush(self) -> None:
        self.flushes += 1


class Client:
    """Counts how often it was left to the full lane."""

    address, ends = "127.0.0.1", False

    def __init__(self) -> None:
        self.declined = 0

    def send(self, message: bytes) -> None:
        raise AssertionError(message)

    def serve(self, answering: Coroutine[Any, Any, Answer], *, bodiless: bool) -> None:
        raise AssertionError

    def decline(self, data: bytes) -> None:
        self.declined += 1

    def fail(self) -> None:
        raise AssertionError


@pytest.fixture
def till() -> Told:
    return Told()


@pytest.fixture
def asking(till: Told) -> Asking:
    return Asking(cast("Till", till))


TURN = Turn(0.0, 0.0)


def run(number: int = 1) -> Run:
    """A run of so many clients."""
    who, form = Who(b"", b"", cast("Any", None), None, None), token_form(Limits(limited=False))
    return Run([Client() for _ in range(number)], b"", who, cast("What", None), form, None, 0, None, ())


def declined(one: Run, clients: list[Client]) -> tuple[int, int]:
    """How many go on being answered, and how many were left to the full lane."""
    return len(one.clients), sum(client.declined for client in clients)


def clients(one: Run) -> list[Client]:
    return [cast("Client", client) for client in one.clients]


@pytest.mark.parametrize(
    ("verdict", "answered"), [(Paid(None, ()), 1), (Overtaken(), 0), (ILL, 1)], ids=["good", "overtaken", "ill"]
)
def test_what_costs_nothing_is_asked_for_once_in_a_turn(
    asking: Asking, till: Told, verdict: Verdict, answered: int
) -> None:
    runs, ended = [run() for _ in range(3)], list[object]()
    waiting = [clients(one) for one in runs]
    for one in runs:
        asking.give(one)
    asking.end(ended.append)
    [check] = till.checks
    assert not ended
    check(verdict)
    assert ended == [None]
    found = [declined(*both) for both in zip(runs, waiting, strict=True)]
    assert found == [(answered, 1 - answered)] * 3


def test_the_next_turn_is_another_question(asking: Asking, till: Told) -> None:
    first, second = run(), run()
    for one in (first, second):
        asking.give(one)
        asking.end(lambda _: None)
    later, earlier = reversed(till.checks)
    later(Paid(None, ()))
    earlier(Overtaken())
    assert (len(first.clients), len(second.clients)) == (0, 1)


@pytest.mark.parametrize(
    ("verdict", "answered"),
    [
        (Paid(7, (UNTHROTTLED,) * 3), 3),
        (Paid(7, (UNTHROTTLED,)), 1),
        (Paid(0, ()), 0),
        (Overtaken(), 0),
        (ILL, 0),
    ],
    ids=["all", "some", "none", "overtaken", "ill"],
)
def test_what_is_not_charged_goes_the_full_lane(asking: Asking, till: Told, verdict: Verdict, answered: int) -> None:
    one, ended = run(3), list[object]()
    waiting = clients(one)
    assert asking.pay(TURN, one, cast("Any", Tab())) == 3
    asking.end(ended.append)
    [(times, done)] = till.paid
    done(verdict)
    assert (times, ended) == (3, [None])
    assert declined(one, waiting) == (answered, 3 - answered)
    assert [client.declined for client in waiting] == [0] * answered + [1] * (3 - answered)


def test_a_turn_ends_when_all_of_it_is_answered(asking: Asking, till: Told) -> None:
    ended = list[object]()
    asking.pay(TURN, run(), cast("Any", Tab()))
    asking.give(run())
    asking.end(ended.append)
    assert till.flushes == 1
    till.paid[0][1](Paid(None, (UNTHROTTLED,)))
    assert not ended
    till.checks[0](Paid(None, ()))
    assert ended == [None]


def test_a_place_that_is_out_of_date_is_not_asked_for(asking: Asking, till: Told) -> None:
    assert asking.pay(TURN, run(), cast("Any", Tab(up=False))) == 0
    assert not till.paid
