"""Who is counted, and for how long."""

from gateway.listener.census import Census


def test_the_census_forgets_who_has_left() -> None:
    census = Census()
    for address in ("a", "a", "b"):
        census.arrive(address)
    assert [census.admits(address, 4, 2) for address in ("a", "b", "c")] == [False, True, True]
    assert not census.admits("c", 3, 2)
    for address in ("a", "a", "b"):
        census.leave(address)
    assert (census.total, dict(census._by_address)) == (0, {})
