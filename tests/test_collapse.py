import asyncio
from weakref import ref

import pytest

from gateway.collapse import Collapse, Failed, Fetched, Flight, Outcome, Private, Rank
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import StoredResponse, Terms

FAILED = Failed(Problem(Reason.upstream_refused))


def stored(*selecting: tuple[str, str]) -> StoredResponse:
    return StoredResponse("k", 200, "OK", b"", b"", Terms(), selecting, None, None, 0.0, 0.0, 0.0)


FETCHED = Fetched(stored(), kept=True)


class Now:
    def __init__(self) -> None:
        self.value = 0.0

    def __call__(self) -> float:
        return self.value


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def collapse(now: Now) -> Collapse:
    return Collapse(now, memory=60.0, most=3)


def joined(flight: Flight, callers: int) -> list[asyncio.Future[Outcome]]:
    return [flight.follow() for _ in range(callers)]


@pytest.mark.parametrize("outcome", [FETCHED, FAILED], ids=["fetched", "failed"])
async def test_every_caller_gets_the_one_outcome(collapse: Collapse, outcome: Outcome) -> None:
    flight = collapse.take_off("k")
    assert collapse.find("k") is flight
    leader = flight.lead()
    followers = joined(flight, 100)
    assert collapse.land(flight, outcome)
    assert [await task for task in (leader, *followers)] == [outcome] * 101
    assert collapse.find("k") is None


async def test_a_leaving_caller_changes_nothing_for_the_others(collapse: Collapse) -> None:
    flight = collapse.take_off("k")
    leader = flight.lead()
    leaving, staying = joined(flight, 2)
    leaving.cancel()
    leader.cancel()
    await asyncio.sleep(0)
    assert not collapse.land(flight, FETCHED), "nobody takes a leader's own answer"
    assert await staying is FETCHED
    assert leaving.cancelled()
    assert leader.cancelled()


async def test_a_private_answer_is_its_leaders_alone(collapse: Collapse) -> None:
    flight = collapse.take_off("k")
    leader = flight.lead()
    followers = joined(flight, 3)
    own = Private(stored())
    collapse.land(flight, own)
    assert await leader is own
    assert [await task for task in followers] == [Private()] * 3


async def test_followers_part_before_the_private_answer_is_whole(collapse: Collapse) -> None:
    flight = collapse.take_off("k")
    leader = flight.lead()
    followers = joined(flight, 3)
    collapse.part(flight)
    assert [await task for task in followers] == [Private()] * 3
    assert not leader.done()
    assert collapse.is_private("k"), "who comes now must not wait either"
    assert collapse.find("k") is None
    collapse.land(flight, Private(stored()))
    assert isinstance(await leader, Private)


async def test_a_force_refresh_serves_ordinary_callers_but_not_the_other_way_round(collapse: Collapse) -> None:
    plain = collapse.take_off("k")
    assert collapse.find("k", Rank.forced) is None
    forced = collapse.take_off("k", Rank.forced)
    assert collapse.find("k", Rank.forced) is forced
    assert collapse.find("k") is forced
    collapse.land(forced, FETCHED)
    assert collapse.find("k") is plain


async def test_a_private_key_is_not_collapsed_for_a_while(collapse: Collapse, now: Now) -> None:
    collapse.land(collapse.take_off("k"), Private())
    now.value = 59.9
    collapse.take_off("k")
    assert collapse.find("k") is None
    now.value = 60.0
    flight = collapse.take_off("k")
    assert collapse.find("k") is flight


@pytest.mark.parametrize(
    ("outcome", "private"),
    [
        (FETCHED, False),
        (Fetched(stored(("accept", "a")), kept=True), True),
        (Fetched(stored(), kept=False), True),
        (FAILED, True),
    ],
    ids=["storable", "varies", "not kept", "failed"],
)
async def test_only_an_answer_good_for_all_lifts_the_marker(
    collapse: Collapse, outcome: Outcome, private: bool
) -> None:
    collapse.mark_private("k")
    collapse.land(collapse.take_off("k"), outcome)
    assert collapse.is_private("k") is private


def test_markers_are_bounded(collapse: Collapse) -> None:
    for key in "abcd":
        collapse.mark_private(key)
    assert [key for key in "abcd" if collapse.is_private(key)] == ["b", "c", "d"]


def test_markers_hold_on_to_no_key(collapse: Collapse) -> None:
    class Key(str):
        __slots__ = ("__weakref__",)

    key = Key("a")
    alive = ref(key)
    collapse.mark_private(key)
    del key
    assert collapse.is_private("a")
    assert alive() is None


async def test_a_flight_alone_is_not_found(collapse: Collapse) -> None:
    collapse.take_off("k", alone=True)
    assert collapse.find("k") is None


async def test_landing_one_flight_leaves_its_successor(collapse: Collapse) -> None:
    first = collapse.take_off("k")
    collapse.part(first)
    collapse.mark_private("other")
    second = Collapse(lambda: 0.0)
    later = second.take_off("k")
    second.land(first, FAILED)
    assert second.find("k") is later


async def test_a_flight_that_is_overtaken_is_not_joined(collapse: Collapse) -> None:
    first = collapse.take_off("k", Rank.forced)
    enough = collapse.take_off("k")
    first.is_outdated = lambda: True
    assert (collapse.find("k", Rank.forced), collapse.find("k")) == (None, enough)
