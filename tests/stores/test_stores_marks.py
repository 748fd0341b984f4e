"""Marks: one record a group against a list of its marks, and what they weigh until all have met them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample

from gateway.rfc9111.stored import StoredResponse
from gateway.stores.marks import Marks

TIMES = st.integers(1, 6).map(float)
MARKS = st.lists(st.tuples(TIMES, TIMES, st.sampled_from([None, "a", "b"])), max_size=4)


def met(marks: Marks, stored: StoredResponse, since: int = 0) -> bool:
    marks.meet(stored, since)
    return stored.outdated


@given(MARKS, st.sampled_from(["a", "b", "c"]), st.integers(0, 7).map(float), st.booleans())
def test_a_group_outdates_what_its_marks_do(
    made: list[tuple[float, float, str | None]], key: str, began: float, forced: bool
) -> None:
    marks = Marks()
    for mark in made:
        marks.mark("g", *mark)
    stored = sample(key, began=began, groups=("g",), forced=forced)
    assert met(marks, stored) == any(
        began < before or (began < now and key != keep and not forced) for before, now, keep in made
    )
    assert stored.invalid == any(began < before for before, _, keep in made if keep is None) & stored.outdated


@pytest.mark.parametrize(
    ("named", "since", "outdated"),
    [
        (("g",), 0, True),
        (("h", "g"), 0, True),
        (("h", "g"), 1, True),
        (("g",), 2, False),
        (("h",), 0, False),
        ((), 0, False),
    ],
    ids=["marked", "one-of-two", "since-an-earlier", "since-the-latest", "unmarked", "in-none"],
)
def test_only_marks_since_then_on_its_groups_count(named: tuple[str, ...], since: int, outdated: bool) -> None:
    marks = Marks()
    marks.mark("elsewhere", 9.0, 9.0, None)
    marks.mark("g", 9.0, 9.0, None)
    assert met(marks, sample(began=1.0, groups=named), since) == outdated


def test_marks_are_forgotten_oldest_first_as_far_as_all_have_met_them() -> None:
    marks = Marks()
    for name in ("a", "b", "c", "a"):
        marks.mark(name, 9.0, 9.0, "k" * 1000)
    assert marks.bytes > 3000
    marks.forget(3, 1)
    assert len(marks) == 2
    marks.forget(3, 100)
    assert (len(marks), marks.made) == (1, 4)
    assert met(marks, sample(began=1.0, groups=("a",)))
    assert not met(marks, sample(began=1.0, groups=("b", "c")))
    marks.forget(4, 100)
    assert (len(marks), marks.bytes) == (0, 0)


def test_a_group_marked_again_weighs_once() -> None:
    marks, once = Marks(), Marks()
    once.mark("a", 9.0, 9.0, None)
    for _ in range(5):
        marks.mark("a", 9.0, 9.0, None)
    assert (len(marks), marks.bytes) == (1, once.bytes)
    marks.clear()
    assert (len(marks), marks.bytes, marks.made) == (0, 0, 5)
