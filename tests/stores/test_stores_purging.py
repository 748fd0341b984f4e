"""Purges: the bounded list that a tier keeps takes at least what all that were made take."""

from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample

from gateway.admission.places import Region
from gateway.stores.purging import Lasting, Purge, Purges, joined, met
from gateway.stores.selection import Below, Everything, Tagged

SELECTIONS = st.sampled_from([Everything(), *[Below((Region("api", path),)) for path in ("/a", "/b", "/ab")]])
ORDERS = st.lists(st.tuples(SELECTIONS, st.booleans()), max_size=12)


@given(ORDERS, st.integers(1, 4), st.sampled_from(["/a", "/ab", "/b", "/c"]), st.integers(0, 12))
def test_a_bounded_list_forgets_no_purge(orders: list[tuple[object, bool]], most: int, path: str, began: int) -> None:
    made = [Lasting(selection, float(at), hard) for at, (selection, hard) in enumerate(orders, 1)]  # type: ignore[arg-type]
    kept: list[Lasting] = []
    for one in made:
        kept = joined(kept, one, most)
    assert len(kept) <= most
    stored, again = (sample(f"api\n\n{path}", began=float(began)) for _ in range(2))
    takers, kept_takers = met(stored, made), met(again, kept)
    assert again.purged >= stored.purged
    assert any(one.hard for one in kept_takers) >= any(one.hard for one in takers)


def test_a_list_with_room_takes_no_more_than_was_asked() -> None:
    kept = joined([], Lasting(Below((Region("api", "/a"),)), 1.0, hard=False), 2)
    kept = joined(kept, Lasting(Below((Region("api", "/b"),)), 2.0, hard=True), 2)
    assert met(sample("api\n\n/c", began=0.5), kept) == []
    assert len(joined(kept, Lasting(Everything(), 3.0, hard=False), 9)) == 2
    assert len(joined(kept, Lasting(Everything(), 3.0, hard=True), 9)) == 1


def test_what_it_met_it_is_not_counted_for_again() -> None:
    purges, stored = Purges(), sample("api\n\n/a", groups=("g", "h"), began=1.0)
    narrow, broad = Purge(Tagged(("g", "h")), 2.0, hard=False), Purge(Everything(), 3.0, hard=False)
    assert purges.survives(stored)
    for purge in (narrow, broad):
        purges.add(purge)
    assert purges.survives(stored)
    assert purges.survives(stored)
    assert (narrow.purged, broad.purged, stored.purged) == (1, 1, 3.0)
    for purge in (narrow, broad):
        purges.discard(purge)
    assert not purges._narrow
    assert not purges._broad


def test_one_hard_purge_is_enough() -> None:
    purges = Purges()
    for hard in (True, False):
        purges.add(Purge(Everything(), 2.0, hard=hard))
    assert not purges.survives(sample(began=1.0))
    assert purges.survives(sample(began=2.0))
