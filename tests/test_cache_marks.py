"""Cache: how long the marks of what was outdated are kept, and what making one costs."""

from itertools import count
from weakref import ref

import pytest
from stores.fetches import GROUPS, KEY, StillClock, fetch

from gateway.cache import Cache
from gateway.stores.memory import MemoryTier


@pytest.fixture
def cache() -> Cache:
    return Cache(MemoryTier(1 << 20), None, StillClock())


def test_a_mark_is_kept_as_long_as_a_fetch_in_flight_is_older(cache: Cache) -> None:
    oldest = cache.begin(())
    cache.invalidate(("again", "first"))
    younger = cache.begin(())
    cache.invalidate(("second", "again"))
    assert set(oldest.marks) == {*map(hash, ("first", "second", "again"))}
    cache.end(oldest)
    assert set(oldest.marks) == {*map(hash, ("second", "again"))}
    cache.end(younger)
    assert not oldest.marks


def test_the_refresh_itself_is_not_older_than_its_mark(cache: Cache) -> None:
    older, refreshing = cache.begin(()), cache.begin(GROUPS)
    cache.outdate(refreshing, KEY)
    assert set(older.marks) == {*map(hash, GROUPS)}
    cache.end(older)
    assert not older.marks


def test_marks_that_no_fetch_in_flight_is_older_than_are_not_kept(cache: Cache) -> None:
    cache.invalidate(GROUPS)
    refreshing = cache.begin(GROUPS)
    cache.outdate(refreshing, KEY)
    assert not refreshing.marks
    assert not refreshing.outdated


def test_a_group_marked_again_and_again_is_one_mark(cache: Cache) -> None:
    fetching = cache.begin(GROUPS)
    for _ in range(100):
        cache.invalidate(GROUPS)
    assert len(fetching.marks) == 1


def test_marks_hold_on_to_no_groups_name(cache: Cache) -> None:
    """100,000 unsafe requests for long paths held 210 MB while one fetch was under way."""

    class Name(str):
        __slots__ = ("__weakref__",)

    name = Name("group")
    alive = ref(name)
    fetching = cache.begin(())
    cache.invalidate((name,))
    del name
    assert len(fetching.marks) == 1
    assert alive() is None


def test_outdating_reads_nothing_of_what_is_stored(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many belong to a group: a member is asked for its groups and its age only when it is read."""
    members = [fetch(cache, str(number)) for number in range(100)]
    asked = count()
    monkeypatch.setattr("gateway.stores.marks._Marked.outdates", lambda *_: next(asked) >= 0)
    cache.invalidate(GROUPS)
    assert next(asked) == 0
    cache.peek(members[7].key)
    assert [stored.outdated for stored in members].count(True) == 1
