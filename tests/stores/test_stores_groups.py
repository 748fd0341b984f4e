"""Groups: a record per group against a list of its marks, and what the records weigh."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample

from gateway.stores.groups import Groups, size_alone

TIMES = st.integers(1, 6).map(float)
MARKS = st.lists(st.tuples(TIMES, TIMES, st.sampled_from([None, "a", "b"])), max_size=4)


def joined(*names: str) -> Groups:
    groups = Groups()
    for name in names:
        groups.join(name)
    return groups


@given(MARKS, st.sampled_from(["a", "b", "c"]), st.integers(0, 7).map(float), st.booleans())
def test_a_group_outdates_what_its_marks_do(
    marks: list[tuple[float, float, str | None]], key: str, began: float, forced: bool
) -> None:
    groups = joined("g")
    for mark in marks:
        groups.mark(("g",), *mark)
    expected = any(began < before or (began < now and key != keep and not forced) for before, now, keep in marks)
    assert groups.outdates(sample(key, began=began, groups=("g",), forced=forced)) == expected


@pytest.mark.parametrize(
    ("named", "since", "outdated"),
    [
        (("g",), 0, True),
        (("h", "g"), 0, True),
        (("h", "g"), 1, True),
        (("g",), 2, False),
        (("h",), 0, False),
        (("unknown",), 0, False),
        ((), 0, False),
    ],
    ids=["marked", "one-of-two", "since-an-earlier", "since-the-latest", "unmarked", "without-a-record", "in-none"],
)
def test_only_marks_since_then_on_its_groups_count(named: tuple[str, ...], since: int, outdated: bool) -> None:
    groups = joined("g", "h", "elsewhere")
    groups.mark(("elsewhere",), 9.0, 9.0, None)
    groups.mark(("g",), 9.0, 9.0, None)
    assert groups.outdates(sample(began=1.0, groups=named), since) == outdated


def test_a_mark_on_what_has_no_record_is_no_news() -> None:
    groups = joined("g")
    groups.mark(("elsewhere",), 9.0, 9.0, None)
    assert (groups.made, groups.bytes) == (0, size_alone("g"))
    groups.mark(("elsewhere", "g", "g"), 9.0, 9.0, None)
    assert groups.made == 1


def test_a_record_and_its_marks_last_as_long_as_the_last_key() -> None:
    groups = joined("g", "g")
    groups.mark(("g",), 9.0, 9.0, "k" * 1000)
    assert groups.bytes - size_alone("g") > 1000
    groups.leave("g")
    assert groups.outdates(sample(began=1.0, groups=("g",)))
    groups.leave("g")
    groups.join("g")
    assert not groups.outdates(sample(began=1.0, groups=("g",)))
    assert groups.bytes == size_alone("g")


def test_a_group_of_one_weighs_less_than_a_set_would() -> None:
    assert size_alone("g") < 216


def test_names_are_those_of_the_records() -> None:
    known = "".join(["known", " group"])
    groups = joined(known)
    first, second = groups.named(("".join(["known ", "group"]), "new"))
    assert first is known
    assert second == "new"
