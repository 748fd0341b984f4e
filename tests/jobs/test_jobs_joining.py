"""What an order joins: a table of what is under way and what is asked for."""

import pytest
from jobs.asked import REQUEST, order

from gateway.admission.jobs import EVERY_SCOPE, How, Stage
from gateway.jobs.joining import Joining, UnderWay, Widened, joining

TABLE = {
    # since under way, asked for, recorded; scopes lacking; a client's request; what becomes of it, and from when on
    "the same": (50.0, 50.0, None, False, False, "joined", 50.0),
    "later": (50.0, 60.0, None, False, False, "joined", 50.0),
    "earlier": (50.0, 40.0, None, False, False, "back", 40.0),
    "none asked, none recorded": (50.0, None, None, False, False, "joined", 50.0),
    "none asked, recorded later": (50.0, None, 60.0, False, False, "joined", 50.0),
    "none asked, recorded earlier": (50.0, None, 40.0, False, False, "back", 40.0),
    "a client's request, recorded earlier": (50.0, None, 40.0, False, True, "joined", 50.0),
    "a client's request, earlier": (50.0, 40.0, None, False, True, "back", 40.0),
    "asked where the upstream chose": (None, 60.0, None, False, False, "back", 60.0),
    "recorded where the upstream chose": (None, None, 60.0, False, False, "joined", None),
    "neither has any": (None, None, None, False, False, "joined", None),
    "a scope is lacking": (50.0, 60.0, None, True, False, "added", 50.0),
    "a scope is lacking, and earlier": (50.0, 40.0, None, True, False, "back", 40.0),
}


@pytest.mark.parametrize(
    ("since", "asked", "recorded", "lacking", "client", "becomes", "then"), TABLE.values(), ids=TABLE
)
def test_what_becomes_of_work_under_way(
    since: float | None,
    asked: float | None,
    recorded: float | None,
    lacking: bool,
    client: bool,
    becomes: str,
    then: float | None,
) -> None:
    under_way = UnderWay(1, "7", Stage.trigger, since, frozenset({""}), recorded)
    scopes = ("", "k:acme") if lacking else ("",)
    wanted = order("7", since=asked, scopes=scopes, sending=REQUEST if client else None)
    plan = joining(wanted, ("7",), [under_way])
    widened = (Widened(1, then, frozenset(scopes)),)
    assert plan == {
        "joined": Joining((), (1,), (), ()),
        "added": Joining((), (), widened, ()),
        "back": Joining((), (), (), widened),
    }.get(becomes)


def test_a_scope_that_is_lacking_is_added_while_the_upstream_works() -> None:
    """Nothing is selected yet, and the upstream was triggered a second time for it."""
    plan = joining(order("7", scopes=("a",)), ("7",), [UnderWay(1, "7", Stage.wait, None, frozenset({"b"}), None)])
    assert plan.added == (Widened(1, None, frozenset({"a", "b"})),)
    assert (plan.how, plan.begins) == (How.widened, False)


@pytest.mark.parametrize("stage", [Stage.select, Stage.fetch])
def test_a_scope_that_is_lacking_takes_back_what_has_been_selected(stage: Stage) -> None:
    plan = joining(order("7", scopes=("a",)), ("7",), [UnderWay(1, "7", stage, None, frozenset({"b"}), None)])
    assert plan.back == (Widened(1, None, frozenset({"a", "b"})),)
    assert (plan.how, plan.begins) == (How.widened, True)


def test_every_scope_lacks_none() -> None:
    under_way = UnderWay(1, "7", Stage.fetch, None, frozenset({EVERY_SCOPE}), None)
    plan = joining(order("7", scopes=("a",)), ("7",), [under_way])
    assert plan.joined == (1,)
    assert (plan.how, plan.begins) == (How.joined, False)


def test_each_subject_for_itself() -> None:
    seven = UnderWay(1, "7", Stage.trigger, None, frozenset({""}), None)
    plan = joining(order("6", "7", "8"), ("6", "7", "8"), [seven])
    assert plan == Joining(("6", "8"), (1,), (), ())
    assert (plan.how, plan.begins) == (How.initiated, True)


def test_a_scope_that_is_added_begins_nothing() -> None:
    under_way = UnderWay(1, "7", Stage.trigger, None, frozenset({"a"}), None)
    plan = joining(order("7", scopes=("b",)), ("7",), [under_way])
    assert (plan.how, plan.begins) == (How.widened, False)
