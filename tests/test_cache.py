"""Cache: what a refresh and an unsafe method outdate, stored or in flight, whichever came first."""

import pytest
from stores.fetches import GROUPS, KEY, OTHER, StillClock, brought, deliver, fetch, outdated, refresh
from stores.samples import sample, variant

from gateway.cache import Cache
from gateway.messages import Splice
from gateway.stores.memory import MemoryTier


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def cache(clock: StillClock) -> Cache:
    return Cache(MemoryTier(1 << 20), None, clock)


def test_what_is_stored_is_found(cache: Cache) -> None:
    assert cache.peek(KEY) == ()
    stored = fetch(cache)
    assert cache.peek(KEY) == (stored,)
    assert not cache.has_second_tier


async def test_without_a_second_tier_load_is_peek(cache: Cache) -> None:
    stored = fetch(cache)
    assert await cache.load(KEY) == (stored,)
    await cache.close()


def test_a_fetch_begins_when_the_clock_says_and_never_together_with_another(cache: Cache, clock: StillClock) -> None:
    first, second = cache.begin(GROUPS), cache.begin(GROUPS)
    clock.now = 1007.0
    assert first.began == 1000.0 < second.began < cache.begin(GROUPS).began == 1007.0


def test_a_refresh_outdates_its_group_and_stays_itself(cache: Cache) -> None:
    old, other, elsewhere = fetch(cache), fetch(cache, OTHER), fetch(cache, "api /v1/else", ("else",))
    fresh = refresh(cache)
    assert cache.peek(KEY) == (fresh,)
    assert outdated(cache, old, fresh, other, elsewhere) == [False, False, True, False]


def test_the_outdated_stay_for_when_the_upstream_fails(cache: Cache) -> None:
    other = fetch(cache, OTHER)
    refresh(cache)
    assert cache.peek(OTHER) == (other,)


def test_other_variants_that_began_before_are_outdated(cache: Cache) -> None:
    fetching = cache.begin(GROUPS)
    german = brought(fetching, selecting=variant("de"))
    cache.store(fetching, german)
    refreshing, later = cache.begin(GROUPS), cache.begin(GROUPS)
    french = brought(later, selecting=variant("fr"))
    cache.store(later, french)
    deliver(cache, refreshing)
    assert outdated(cache, german, french) == [True, False]


def test_a_fetch_that_began_before_a_refresh_and_ends_after_it_is_not_stored(cache: Cache) -> None:
    slow = {key: cache.begin(GROUPS) for key in (KEY, OTHER)}
    fresh = refresh(cache)
    assert all(fetching.outdated for fetching in slow.values())
    assert not any(cache.store(fetching, brought(fetching, key)) for key, fetching in slow.items())
    assert (cache.peek(KEY), cache.peek(OTHER)) == ((fresh,), ())


def test_a_fetch_that_began_after_the_refresh_began_is_stored(cache: Cache) -> None:
    refreshing, fetching = cache.begin(GROUPS), cache.begin(GROUPS)
    deliver(cache, refreshing)
    stored = brought(fetching, OTHER)
    assert cache.store(fetching, stored)
    assert outdated(cache, stored) == [False]


def test_what_was_stored_under_another_key_while_the_refresh_ran_is_outdated(cache: Cache) -> None:
    refreshing = cache.begin(GROUPS)
    other = fetch(cache, OTHER)
    deliver(cache, refreshing)
    assert outdated(cache, other) == [True]


def test_of_two_refreshes_that_cross_the_one_that_began_later_stays(cache: Cache) -> None:
    first, second = cache.begin(GROUPS), cache.begin(GROUPS)
    later = deliver(cache, second, OTHER)
    assert not cache.store(first, brought(first, forced=True))
    cache.outdate(first, KEY)
    assert outdated(cache, later) == [False]


def test_a_refresh_that_brought_nothing_to_store_still_outdates(cache: Cache) -> None:
    old = fetch(cache)
    refreshing = cache.begin(GROUPS)
    cache.outdate(refreshing, KEY)
    assert outdated(cache, old) == [True]


def test_a_failed_refresh_outdates_nothing(cache: Cache) -> None:
    stored, slow = fetch(cache), cache.begin(GROUPS)
    refreshing = cache.begin(GROUPS)
    cache.end(refreshing)
    assert outdated(cache, stored) == [False]
    assert cache.store(slow, brought(slow, OTHER))


def test_an_older_response_does_not_replace_a_newer_one(cache: Cache) -> None:
    slow = cache.begin(GROUPS)
    newer = fetch(cache)
    assert not cache.store(slow, brought(slow))
    assert cache.peek(KEY) == (newer,)


def test_tags_reach_over_keys_and_each_tag_by_itself(cache: Cache) -> None:
    both = fetch(cache, "1", ("everyone tag:shop", "everyone tag:brand"))
    shop = fetch(cache, "2", ("everyone tag:shop",))
    brand = fetch(cache, "3", ("everyone tag:brand",))
    refresh(cache, "4", ("everyone tag:shop",))
    assert outdated(cache, both, shop, brand) == [True, True, False]


def test_share_scopes_are_groups_apart(cache: Cache) -> None:
    acme = fetch(cache, "acme /v1/products/1", ("acme /v1/products/1",))
    refresh(cache, "else /v1/products/1", ("else /v1/products/1",))
    assert outdated(cache, acme) == [False]


def test_an_ended_fetch_is_told_nothing_and_stores_nothing(cache: Cache) -> None:
    older, fetching = cache.begin(()), cache.begin(GROUPS)
    for _ in range(2):
        cache.end(fetching)
    refresh(cache)
    assert hash(GROUPS[0]) in older.marks
    assert not fetching.outdated
    assert not cache.store(fetching, brought(fetching, OTHER))


def test_a_group_named_twice_is_one_group(cache: Cache) -> None:
    twice = cache.begin(GROUPS * 2)
    cache.store(twice, brought(twice, OTHER))
    cache.end(twice)
    refresh(cache)
    assert cache.peek(OTHER)[0].outdated


def test_the_counts_follow_puts_evictions_and_refusals(clock: StillClock) -> None:
    memory = MemoryTier(4000)
    cache = Cache(memory, None, clock)
    for number in range(10):
        fetch(cache, str(number))
    fetching = cache.begin(GROUPS)
    assert not cache.store(fetching, sample(body=bytes(4000)))
    assert 0 < cache.stored_responses < 10
    assert cache.stored_responses + cache.evictions == 10
    assert 0 < cache.stored_bytes == memory.bytes <= 4000


def test_an_attached_splice_counts(cache: Cache) -> None:
    stored = fetch(cache)
    before = cache.stored_bytes
    cache.attach(stored, stored.head, Splice(bytes(1000), comma=True))
    assert cache.stored_bytes > before + 1000
    assert stored.splice is not None


def test_a_refresh_outdates_the_groups_it_is_told_to_and_no_other_of_its_own(cache: Cache) -> None:
    shop, brand = fetch(cache, "1", ("shop", "brand")), fetch(cache, "2", ("brand",))
    refreshing = cache.begin(("shop", "brand"))
    cache.outdate(refreshing, KEY, ("shop",))
    assert outdated(cache, shop, brand) == [True, False]


def test_an_unsafe_method_outdates_its_groups_under_every_key(cache: Cache) -> None:
    stored, other, elsewhere = fetch(cache), fetch(cache, OTHER), fetch(cache, "api /v1/else", ("else",))
    forced, slow = refresh(cache, "api /v1/forced"), cache.begin(GROUPS)
    cache.invalidate(GROUPS)
    assert outdated(cache, stored, other, forced, elsewhere) == [True, True, True, False]
    assert slow.outdated
    assert outdated(cache, fetch(cache)) == [False]


@pytest.mark.parametrize("crossed", [False, True], ids=["one-after-the-other", "crossing"])
def test_what_a_later_force_refresh_of_another_key_brought_stays(cache: Cache, crossed: bool) -> None:
    first = cache.begin(GROUPS)
    second = cache.begin(GROUPS)
    later = brought(second, OTHER, forced=True)
    if crossed:
        assert cache.store(second, later)
        deliver(cache, first)
    else:
        deliver(cache, first)
        assert cache.store(second, later)
    assert outdated(cache, later) == [False]


def test_a_refresh_does_not_bring_back_what_another_outdated(cache: Cache) -> None:
    stored = fetch(cache)
    refresh(cache, OTHER)
    refreshing = cache.begin(GROUPS)
    cache.store(refreshing, brought(refreshing, selecting=variant("de"), forced=True))
    cache.outdate(refreshing, KEY)
    assert outdated(cache, stored) == [True]


def test_a_group_counts_from_the_mark_on_and_each_reader_is_told_once(cache: Cache) -> None:
    stored = fetch(cache)
    cache.invalidate(GROUPS)
    assert outdated(cache, stored) == [True]
    stored.outdated = False
    assert outdated(cache, stored) == [False]


def test_one_response_in_a_thousand_groups_is_outdated_by_each(cache: Cache) -> None:
    groups = tuple(f"group-{number}" for number in range(1000))
    for group in groups[::50]:
        stored = fetch(cache, KEY, groups)
        cache.invalidate((group,))
        assert outdated(cache, stored) == [True]
    cache.forget(stored)
    assert (cache.peek(KEY), cache.stored_bytes) == ((), 0)


def test_one_response_is_outdated_without_its_variants_or_its_group(cache: Cache) -> None:
    fetching = cache.begin(GROUPS)
    german, french = (brought(fetching, selecting=variant(language)) for language in ("de", "fr"))
    for stored in (german, french):
        assert cache.store(fetching, stored)
    other = fetch(cache, OTHER)
    cache.outdate_one(german)
    assert outdated(cache, german, french, other) == [True, False, False]


def test_what_is_forgotten_is_gone_and_nothing_else(cache: Cache) -> None:
    fetching = cache.begin(GROUPS)
    german, french = (brought(fetching, selecting=variant(language)) for language in ("de", "fr"))
    for stored in (german, french):
        assert cache.store(fetching, stored)
    fetch(cache, OTHER)
    cache.forget(german)
    cache.forget(german)
    assert (cache.peek(KEY), cache.stored_responses) == ((french,), 2)
    assert german.outdated  # for whoever holds it still


@pytest.mark.parametrize("call", [Cache.outdate_one, Cache.forget])
def test_what_replaced_a_response_does_not_go_with_it(cache: Cache, call: type) -> None:
    old = fetch(cache)
    new = fetch(cache)
    call(cache, old)
    assert cache.peek(KEY) == (new,)
    assert not new.outdated
