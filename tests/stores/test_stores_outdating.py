"""What is outdated, in races and in random histories: nothing is fresh that the naive list of all drops says is not."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from stores.fetches import KEY, OTHER, StillClock, brought, fetch
from stores.naive import Naive
from stores.samples import sample, variant

from gateway.cache import Cache
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.in_flight import Fetching
from gateway.stores.memory import MemoryTier

pytestmark = pytest.mark.slow

# `it` is a fetch in the group "known", whose response names "late" as well; all other fetches are elsewhere.
RACES = {
    "known-marked-before-it-began": ("mark known, begin it, store, end it", "fresh"),
    "known-marked-in-flight": ("begin it, mark known, store, end it", "refused"),
    "known-marked-once-stored": ("begin it, store, mark known, end it", "outdated"),
    "known-marked-once-ended": ("begin it, store, end it, mark known", "outdated"),
    "late-marked-before-it-began": ("mark late, begin it, store, end it", "fresh"),
    "late-marked-in-flight": ("begin it, mark late, store, end it", "refused"),
    "late-marked-once-stored": ("begin it, store, mark late, end it", "outdated"),
    "late-marked-once-ended": ("begin it, store, end it, mark late", "outdated"),
    "another-group-marked": ("begin it, mark other, store, mark other, end it, mark other", "fresh"),
    "marked-before-it-began-with-an-older-in-flight": ("begin older, mark late, begin it, store", "fresh"),
    "marked-in-flight-and-an-older-ends": ("begin older, begin it, mark late, end older, store", "refused"),
    "marked-in-flight-and-a-younger-ends": ("begin it, begin younger, mark late, end younger, store", "refused"),
    "marked-in-flight-then-by-an-older-refresh": (
        "begin older, begin refresh, begin it, mark late, refresh late, store",
        "refused",
    ),
    "marked-by-a-refresh-that-began-before": ("begin refresh, begin it, refresh late, store", "fresh"),
    "marked-by-a-refresh-that-began-after": ("begin it, begin refresh, refresh late, store", "refused"),
    "stored-before-a-refresh-delivers": ("begin refresh, begin it, store, refresh late", "outdated"),
    "stored-before-a-refresh-elsewhere-delivers": ("begin refresh, begin it, store, refresh other", "fresh"),
    "marked-by-a-refresh-and-then-another-group": (
        "store neighbour, begin refresh, begin it, refresh late, store, mark other",
        "fresh",
    ),
    "marked-in-flight-and-the-group-put-out": ("store neighbour, begin it, mark late, flood, store", "refused"),
    "put-out-with-its-mark-and-fetched-again": ("begin it, store, mark late, flood, begin it, store", "fresh"),
    "put-out": ("begin it, store, end it, flood", "absent"),
    "stored-after-it-ended": ("begin it, end it, store", "refused"),
}


class Race:
    """Plays the steps of one race and says how it ended for the fetch called `it`."""

    def __init__(self) -> None:
        self.cache = Cache(MemoryTier(20_000), None, StillClock())
        self.fetches: dict[str, Fetching] = {}
        self.stored: StoredResponse | None = None

    def play(self, step: str) -> None:
        match step.split():
            case ["begin", name]:
                self.fetches[name] = self.cache.begin(("known",) if name == "it" else ("elsewhere",))
            case ["end", name]:
                self.cache.end(self.fetches[name])
            case ["store"]:
                self.store(self.fetches["it"])
            case ["mark", group]:
                self.cache.invalidate((group,))
            case ["refresh", group]:
                self.cache.outdate(self.fetches["refresh"], OTHER, (group,))
            case ["store", key]:
                fetch(self.cache, key, ("late", "other"))
            case ["flood"]:
                for number in range(50):
                    fetch(self.cache, f"flood-{number}", ())
            case _:
                raise ValueError(step)

    def store(self, it: Fetching) -> None:
        stored = brought(it, named=("late",))
        self.stored = stored if self.cache.store(it, stored) else None
        assert (self.stored is None) == (it.outdated or it.ended)

    @property
    def end(self) -> str:
        if self.stored is None:
            return "refused"
        found = self.cache.peek(KEY)
        if self.stored not in found:
            return "absent"
        return "outdated" if self.stored.outdated else "fresh"


@pytest.mark.parametrize(("steps", "end"), RACES.values(), ids=RACES)
def test_a_race_ends_as_it_must(steps: str, end: str) -> None:
    race = Race()
    for step in steps.split(", "):
        race.play(step)
    assert race.end == end


KEYS = st.sampled_from(["key-1", "key-2", "key-3"])
LANGUAGES = st.sampled_from(["de", "fr"])
GROUPS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(tuple)


class History(RuleBasedStateMachine):
    """Random fetches, refreshes and unsafe methods over a tier too small for all; each is told to the naive model too.

    What is stored is read by a rule of its own, so that marks pile up between two readings.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = StillClock()
        self.cache = Cache(MemoryTier(8_000), None, self.clock)
        self.naive = Naive()
        self.in_flight: list[Fetching] = []

    @rule(groups=GROUPS)
    def begin(self, groups: tuple[str, ...]) -> None:
        self.in_flight.append(self.cache.begin(groups))

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), key=KEYS, language=LANGUAGES, named=GROUPS)
    def store(self, data: st.DataObject, key: str, language: str, named: tuple[str, ...]) -> None:
        fetching = data.draw(st.sampled_from(self.in_flight))
        self.keep(fetching, brought(fetching, key, named=named, selecting=variant(language)))

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), key=KEYS, language=LANGUAGES, named=GROUPS)
    def refresh(self, data: st.DataObject, key: str, language: str, named: tuple[str, ...]) -> None:
        fetching = data.draw(st.sampled_from(self.in_flight))
        self.keep(fetching, brought(fetching, key, forced=True, named=named, selecting=variant(language)))
        self.cache.outdate(fetching, key)
        self.naive.drop(fetching.groups, fetching.began, key)

    def keep(self, fetching: Fetching, stored: StoredResponse) -> None:
        overtaken = fetching.outdated or self.naive.overtaken(stored.groups, fetching.began)
        place = [one for one in self.cache.peek(stored.key) if one.selecting == stored.selecting]
        kept = self.cache.store(fetching, stored)
        assert kept == (not overtaken and all(one.began <= stored.began for one in place))
        assert fetching.outdated == overtaken
        if kept:
            self.naive.stored.add(stored)

    @rule(groups=GROUPS)
    def invalidate(self, groups: tuple[str, ...]) -> None:
        self.cache.invalidate(groups)
        self.naive.drop(groups, self.cache._latest, None)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        fetching = data.draw(st.sampled_from(self.in_flight))
        self.cache.end(fetching)
        self.in_flight.remove(fetching)

    @precondition(lambda self: self.naive.stored)
    @rule(data=st.data(), forgotten=st.booleans())
    def single_out(self, data: st.DataObject, forgotten: bool) -> None:
        stored = data.draw(st.sampled_from(sorted(self.naive.stored, key=lambda one: (one.began, one.key))))
        if forgotten:
            self.cache.forget(stored)
            assert stored not in self.cache.peek(stored.key)
        else:
            self.cache.outdate_one(stored)
        place = {one for one in self.naive.stored if (one.key, one.selecting) == (stored.key, stored.selecting)}
        self.naive.single |= {one for one in place if one.began <= stored.began}

    @rule(size=st.integers(0, 4000))
    def put_out(self, size: int) -> None:
        fetching = self.cache.begin(())
        assert self.cache.store(fetching, sample(f"flood-{size}", body=bytes(size), began=fetching.began))
        self.cache.end(fetching)

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        for stored in self.cache.peek(key):
            if self.naive.outdated(stored):
                assert stored.outdated
            elif not self.naive.may_be_outdated(stored):
                assert not stored.outdated

    @rule()
    def judge_those_in_flight(self) -> None:
        for fetching in self.in_flight:
            assert fetching.outdated or not self.naive.overtaken(fetching.groups, fetching.began)
            if not self.naive.overtaken(("a", "b", "c"), fetching.began):
                assert not fetching.outdated

    def teardown(self) -> None:
        for number in range(1, 4):
            self.read(f"key-{number}")
        for fetching in self.in_flight:
            self.cache.end(fetching)
        assert not self.cache._in_flight._marks


TestHistory = History.TestCase
