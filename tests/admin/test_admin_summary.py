"""What is stored by route and age: how it is counted, when, and when the walk for it ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from admin.operated import Operated, operated
from admission.snapshots import make_request, make_route, make_snapshot, prepare, public_route, seed_route
from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample, variant
from support.clock import FakeClock

from gateway.admin import summary as api
from gateway.admin.summary import BOUNDS, Document, Stocks, Stocktaking, SummaryApi, together
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import CachePolicy, Route
from gateway.health import Health
from gateway.rfc9111.stored import Policy, StoredResponse, Terms
from gateway.stores.memory import MemoryTier
from gateway.tasks import Tasks

PRODUCT = seed_route(cache=CachePolicy(Policy(ttl=900.0)))
OPEN = public_route(cache=CachePolicy(Policy(stale_while_revalidate=9.0)))
GONE = make_route("/gone", name="gone", cache=CachePolicy(Policy(ttl=900.0)))
SNAPSHOT = make_snapshot(PRODUCT, OPEN, make_route("/plain", name="plain"))
NOW = FakeClock().steady()


def stored(route: Route, target: str, age: float = 0.0, **parts: Any) -> StoredResponse:
    """A response that is so old now; without a lifetime of its own."""
    given = {"began": NOW - age, "received": NOW - age, "terms": Terms(), **parts}
    return sample(prepare(route, make_request(target)).key, **given)


def outdated(one: StoredResponse) -> StoredResponse:
    one.outdated = True
    return one


def purged(one: StoredResponse) -> StoredResponse:
    one.purged = NOW
    return one


def counted(*keys: tuple[StoredResponse, ...]) -> dict[str | None, dict[str, Any]]:
    stocktaking = Stocktaking(SNAPSHOT)
    for variants in keys:
        stocktaking.count(variants, NOW)
    return {str(row["route"]) if row["route"] else None: row for row in stocktaking.told()}


def test_every_route_that_stores_is_told_of_and_what_none_has_last() -> None:
    assert list(counted()) == ["product", "open"]
    rows = counted((stored(GONE, "/gone"),), (stored(PRODUCT, "/v1/products/1"),), (stored(OPEN, "/public/1"),))
    assert [(name, row["responses"]) for name, row in rows.items()] == [("product", 1), ("open", 1), (None, 1)]


STATES = {
    "young": (stored(PRODUCT, "/v1/products/1", 899.0), "fresh"),
    "as old as its lifetime": (stored(PRODUCT, "/v1/products/1", 900.0), "stale"),
    "without a lifetime": (stored(OPEN, "/public/1"), "stale"),
    "of its own lifetime": (stored(OPEN, "/public/1", 59.0, terms=Terms(lifetime=60.0)), "fresh"),
    "purged": (purged(stored(PRODUCT, "/v1/products/1", 1.0)), "stale"),
    "outdated": (outdated(stored(PRODUCT, "/v1/products/1")), "outdated"),
    "outdated and old": (outdated(stored(PRODUCT, "/v1/products/1", 901.0)), "outdated"),
    "of no route": (stored(GONE, "/gone"), "stale"),
}


@pytest.mark.parametrize(("one", "state"), STATES.values(), ids=STATES)
def test_each_is_in_one_state(one: StoredResponse, state: str) -> None:
    [row] = [row for row in counted((one,)).values() if row["responses"]]
    assert {name: row[name] for name in ("fresh", "stale", "outdated")} == {
        name: int(name == state) for name in ("fresh", "stale", "outdated")
    }


AGES = [(0.0, 0), (60.0, 0), (60.5, 1), (600.0, 1), (3600.0, 2), (21600.0, 3), (86400.0, 4), (86400.5, 5), (1e7, 5)]


@pytest.mark.parametrize(("age", "place"), AGES)
def test_ages_are_told_apart_by_their_bounds(age: float, place: int) -> None:
    ages = counted((stored(PRODUCT, "/v1/products/1", age),))["product"]["ages"]
    assert ages == [int(number == place) for number in range(len(BOUNDS) + 1)]


@given(st.lists(st.tuples(st.sampled_from(["/v1/products/", "/public/"]), st.integers(0, 9), st.floats(0, 1e5))))
def test_all_figures_add_up_to_what_the_tier_has(held: list[tuple[str, int, float]]) -> None:
    tier = MemoryTier(1 << 20)
    for number, (path, name, age) in enumerate(held):
        route = PRODUCT if path.startswith("/v1") else OPEN
        tier.put(stored(route, f"{path}{name}", age, selecting=variant(str(number % 3))))
    rows = counted(*[tier.look(key) for key in tier.keys(0)]).values()
    assert sum(row["bytes"] for row in rows) == tier.bytes
    assert sum(row["responses"] for row in rows) == len(tier)
    for row in rows:
        assert row["fresh"] + row["stale"] + row["outdated"] == row["responses"] == sum(row["ages"])


class Store:
    """One stored response after the other, each once it may be looked at."""

    def __init__(self, *held: StoredResponse) -> None:
        self.held = held
        self.walks = 0
        self.ended = 0
        self.begun, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_go_on.set()

    async def everything(self) -> AsyncGenerator[tuple[StoredResponse, ...], None]:
        self.walks += 1
        self.begun.set()
        try:
            for one in self.held:
                await self.may_go_on.wait()
                yield (one,)
        finally:
            self.ended += 1


class Rig:
    """An operators' door before a store with two stored responses."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store(stored(PRODUCT, "/v1/products/1"), stored(OPEN, "/public/1"))
        self.health = Health({})
        self.health.serving = True
        self.tasks = Tasks()
        preparer = Preparer(SNAPSHOT)
        self.stocks = Stocks(self.store, lambda: preparer, self.tasks, self.health, self.clock)
        self.api = SummaryApi(self.told)

    async def told(self) -> list[Document]:
        return [await self.stocks.told()]


@pytest.fixture
async def rig() -> Rig:
    return Rig()


@pytest.fixture
async def door(rig: Rig) -> AsyncIterator[Operated]:
    async with operated(rig.api.endpoints()) as door:
        yield door


async def summary(door: Operated) -> dict[str, Any]:
    answer = await door.client.get("/-/stored/summary")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_the_first_who_asks_waits_for_the_first_count(door: Operated) -> None:
    told = await summary(door)
    assert (told["as_of"], told["bounds"]) == ("2026-01-15T12:00:00Z", list(BOUNDS))
    assert [(row["route"], row["responses"], row["ages"][0]) for row in told["routes"]] == [
        ("product", 1, 1),
        ("open", 1, 1),
    ]


async def test_nobody_waits_long(door: Operated, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_PATIENCE", 0.01)
    rig.store.may_go_on.clear()
    for _ in range(3):
        assert await summary(door) == {"as_of": None, "routes": [], "bounds": list(BOUNDS)}
    assert rig.store.walks == 1
    rig.store.may_go_on.set()
    await rig.tasks.finish()
    assert len((await summary(door))["routes"]) == 2
    assert rig.store.walks == 1


async def test_it_is_counted_anew_once_the_last_count_is_old(door: Operated, rig: Rig) -> None:
    first = await summary(door)
    rig.clock.advance(9.9)
    assert await summary(door) == first
    rig.clock.advance(0.2)
    # The last count is told until the next one has ended.
    assert await summary(door) == first
    await rig.tasks.finish()
    assert (await summary(door))["as_of"] == "2026-01-15T12:00:10Z"
    assert rig.store.walks == 2


async def test_a_walk_that_takes_long_is_not_begun_as_often(door: Operated, rig: Rig) -> None:
    rig.store.may_go_on.clear()
    asked = asyncio.create_task(summary(door))
    await rig.store.begun.wait()
    rig.clock.advance(60.0)
    rig.store.may_go_on.set()
    await asked
    rig.clock.advance(59.0)
    await summary(door)
    await rig.tasks.finish()
    assert rig.store.walks == 1
    rig.clock.advance(2.0)
    await summary(door)
    await rig.tasks.finish()
    assert rig.store.walks == 2


async def test_a_walk_ends_with_the_gateway(door: Operated, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_PATIENCE", 0.01)
    rig.store.may_go_on.clear()
    await summary(door)
    rig.health.serving = False
    rig.store.may_go_on.set()
    await rig.tasks.finish()
    assert rig.store.ended == 1
    assert (await summary(door))["as_of"] is None
    assert rig.store.walks == 1


def test_what_several_have_counted_is_added_up_by_route() -> None:
    def row(route: str | None, number: int) -> dict[str, object]:
        counts = dict.fromkeys(("responses", "bytes", "fresh", "stale", "outdated"), number)
        return {"route": route, **counts, "ages": [number] * 6}

    uncounted: dict[str, object] = {"as_of": None, "routes": [], "bounds": BOUNDS}
    first = {"as_of": "2026-01-15T12:00:09Z", "routes": [row("product", 1), row(None, 2)], "bounds": BOUNDS}
    second = {"as_of": "2026-01-15T12:00:00Z", "routes": [row("product", 3), row("open", 4)], "bounds": BOUNDS}
    assert together([first, uncounted, second]) == {
        "as_of": "2026-01-15T12:00:00Z",
        "routes": [row("product", 4), row("open", 4), row(None, 2)],
        "bounds": BOUNDS,
    }
    assert together([uncounted]) == uncounted
