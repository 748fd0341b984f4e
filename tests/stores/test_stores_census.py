"""Census: never says that nothing is there where something is."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.census import Census

NAMES = st.sampled_from([f"group-{number}" for number in range(12)])


@given(st.lists(NAMES, max_size=600), st.integers(1, 1000), st.data())
def test_what_is_there_is_known(names: list[str], places: int, data: st.DataObject) -> None:
    census, there = Census(places), list(names)
    for name in names:
        census.add(name)
    for name in data.draw(st.lists(st.sampled_from(names), max_size=600)) if names else ():
        if name in there:
            there.remove(name)
            census.discard(name)
    assert all(map(census.has, there))


def test_with_enough_places_nothing_is_known_that_is_gone() -> None:
    census = Census(1 << 20)
    for name in ("a", "b", "a"):
        census.add(name)
    for name in ("a", "b"):
        census.discard(name)
    assert [census.has(name) for name in ("a", "b", "c")] == [True, False, False]


def test_a_count_that_ran_over_stays() -> None:
    census = Census(1)
    for _ in range(300):
        census.add("a")
    for _ in range(300):
        census.discard("a")
    assert census.has("a")
