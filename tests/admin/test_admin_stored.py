"""What is stored, as operators look at it and purge it, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from admin.operated import Operated, operated
from admission.snapshots import make_request, make_snapshot, prepare, public_route, seed_route
from stores.samples import sample
from support.clock import FakeClock

from gateway.admin.stored import StoredApi
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import group
from gateway.admission.snapshot import CachePolicy, KeySource, Route, Share
from gateway.rfc9111.stored import Policy, StoredResponse, Terms
from gateway.stores.selection import Everything, Selection

pytestmark = pytest.mark.slow

PRODUCT = seed_route(cache=CachePolicy(Policy(ttl=900.0), vary_on=("x-shop",)))
TEAM = seed_route(name="team", cache=CachePolicy(share=Share.organization))
OPEN = public_route(cache=CachePolicy(Policy()))
UNCACHED = public_route("/plain", name="plain")
SNAPSHOT = replace(
    make_snapshot(PRODUCT, OPEN, UNCACHED),
    accept=(KeySource("bearer"), KeySource("query", "key"), KeySource("header", "X-Key")),
)


class Store:
    """A store that tells what it has, all on one page, and takes note of what it is asked for."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.held: list[StoredResponse] = []
        self.asked: list[tuple[Any, ...]] = []

    async def purge(self, selection: Selection, *, hard: bool) -> int:
        self.asked.append((selection, hard))
        return sum(map(selection.takes, self.held))

    async def survey(self, selection: Selection, after: str, most: int) -> tuple[list[StoredResponse], str | None]:
        if after not in ("", "next"):
            raise ValueError(after)
        self.asked.append((selection, after, most))
        return [stored for stored in self.held if selection.takes(stored)], "next" if after == "" else None

    def hold(self, route: Route, target: str, fields: dict[str, str] | None = None, **parts: Any) -> StoredResponse:
        """A response that a request for `target` on `route` has brought just now."""
        prepared = prepare(route, make_request(target, fields=fields))
        tags = tuple([group("api", name) for name in parts.pop("tags", ())])
        began = self.clock.steady()
        stored = sample(prepared.key, groups=(*prepared.memberships(), *tags), began=began, received=began, **parts)
        self.held.append(stored)
        return stored


@pytest.fixture
def store() -> Store:
    return Store(FakeClock())


@pytest.fixture
async def door(store: Store) -> AsyncIterator[Operated]:
    preparer = Preparer(SNAPSHOT)
    async with operated(StoredApi(store, lambda: preparer, store.clock).endpoints()) as door:
        yield door


async def told(door: Operated, **query: str) -> list[dict[str, Any]]:
    answer = await door.client.get("/-/stored", params=query)
    assert answer.status_code == 200, answer.text
    stored: list[dict[str, Any]] = answer.json()["stored"]
    return stored


async def test_a_stored_response_is_told_without_its_content(door: Operated, store: Store) -> None:
    fields = {"X-Shop": "berlin"}
    held = store.hold(PRODUCT, "/v1/products/7?b=2", fields, tags=("featured",), selecting=(("accept-language", "de"),))
    store.clock.advance(60.5)
    answer = await door.client.get("/-/stored")
    (row,) = answer.json()["stored"]
    assert row.pop("size") > len(held.body)
    assert row == {
        "target": "/v1/products/7?b=2",
        "upstream": "api",
        "route": "product",
        "share": "everyone",
        "share_of": None,
        "fields": {"x-shop": "berlin", "accept-language": "de"},
        "status": 200,
        "age": 60.5,
        "ttl": -0.5,
        "stale": True,
        "outdated": False,
        "purged": False,
        "tags": ["featured"],
    }
    assert "Cookware" not in answer.text


async def test_the_lifetime_is_that_of_the_present_policy(door: Operated, store: Store) -> None:
    store.hold(PRODUCT, "/v1/products/7", terms=Terms())
    store.hold(OPEN, "/public/7", terms=Terms())
    store.hold(replace(UNCACHED, cache=CachePolicy()), "/plain", terms=Terms(lifetime=60.0))
    store.clock.advance(100)
    rows = await told(door)
    assert [(row["route"], row["ttl"], row["stale"]) for row in rows] == [
        ("product", 800.0, False),
        ("open", None, True),
        (None, None, True),
    ]


async def test_what_was_outdated_or_purged_is_stale(door: Operated, store: Store) -> None:
    store.hold(PRODUCT, "/v1/products/1").outdated = True
    purged = store.hold(PRODUCT, "/v1/products/2")
    store.clock.advance(1)
    purged.purged = store.clock.steady()
    store.hold(PRODUCT, "/v1/products/3")
    found = [(row["stale"], row["outdated"], row["purged"]) for row in await told(door)]
    assert found == [(True, True, False), (True, False, True), (False, False, False)]


SCOPES = {
    "everyone": (PRODUCT, "/v1/products/7", ("everyone", None)),
    "organization": (TEAM, "/v1/products/7", ("organization", "acme")),
    "key": (replace(TEAM, cache=CachePolicy(share=Share.key)), "/v1/products/7", ("key", "ci")),
    "the public": (OPEN, "/public/7", ("public", None)),
}


@pytest.mark.parametrize(("route", "target", "shared"), SCOPES.values(), ids=SCOPES)
async def test_whom_it_may_answer(
    door: Operated, store: Store, route: Route, target: str, shared: tuple[str, str | None]
) -> None:
    store.hold(route, target)
    (row,) = await told(door)
    assert (row["share"], row["share_of"]) == shared


async def test_no_key_and_no_cookie_is_told(door: Operated, store: Store) -> None:
    selecting = (("authorization", "Bearer rk_live_alpha"), ("cookie", "session=s3cret"), ("x-key", "rk_live_alpha"))
    stored = store.hold(PRODUCT, "/v1/products/7", selecting=selecting)
    stored.key = stored.key.replace("/v1/products/7", "/v1/products/7?key=rk_live_alpha&a=1")
    answer = await door.client.get("/-/stored")
    (row,) = answer.json()["stored"]
    assert set(row["fields"].values()) == {"..."}
    assert row["target"] == "/v1/products/7?key=...&a=1"
    assert "rk_live" not in answer.text
    assert "s3cret" not in answer.text


async def test_pages(door: Operated, store: Store) -> None:
    store.hold(PRODUCT, "/v1/products/7")
    first = (await door.client.get("/-/stored")).json()
    assert first["next"] == "next"
    last = (await door.client.get("/-/stored", params={"after": first["next"], "most": "7"})).json()
    assert last["next"] is None
    assert store.asked == [(Everything(), "", 100), (Everything(), "next", 7)]


SELECTIONS = {
    "a URL": ({"url": "/v1/products/7"}, 1),
    "an absolute URL": ({"url": "https://any.example/v1/products/7"}, 1),
    "its query in another spelling": ({"url": "/v1/products/%38"}, 1),
    "nothing there": ({"url": "/v1/products/9"}, 0),
    "a prefix": ({"prefix": "/v1/products/"}, 2),
    "a tag": ({"tag": "featured"}, 1),
    "no such tag": ({"tag": "other"}, 0),
    "a route": ({"route": "open"}, 1),
}


def hold_some(store: Store) -> None:
    store.hold(PRODUCT, "/v1/products/7", tags=("featured",))
    store.hold(PRODUCT, "/v1/products/8")
    store.hold(OPEN, "/public/7")


@pytest.mark.parametrize(("by", "count"), SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
async def test_what_is_seen_is_what_is_purged(
    door: Operated, store: Store, by: dict[str, str], count: int, hard: bool
) -> None:
    hold_some(store)
    assert len(await told(door, **by)) == count
    purged = (await door.post("/-/purge", {**by, "hard": hard})).json()
    assert purged == {"purged": count, "kind": "hard" if hard else "soft"}
    (seen, _, _), (selection, was_hard) = store.asked
    assert (selection, was_hard) == (seen, hard)


async def test_everything_goes_softly_unless_said(door: Operated, store: Store) -> None:
    hold_some(store)
    assert (await door.post("/-/purge", {"everything": True})).json() == {"purged": 3, "kind": "soft"}
    assert store.asked == [(Everything(), False)]
    (line,) = map(json.loads, door.logged.getvalue().splitlines())
    assert {"by": "everything", "what": None, "purged": 3}.items() <= line.items()


async def test_a_purge_is_logged_without_keys(door: Operated, store: Store) -> None:
    hold_some(store)
    await door.post("/-/purge", {"url": "/v1/products/7?key=rk_live_alpha"})
    (line,) = map(json.loads, door.logged.getvalue().splitlines())
    expected = {"event": "purged", "who": "admin", "by": "url", "what": "/v1/products/7?key=...", "purged": 1}
    assert expected.items() <= line.items()


MISTAKEN = {
    "nothing said": ({}, 400),
    "hard alone": ({"hard": True}, 400),
    "two at once": ({"url": "/a", "tag": "b"}, 400),
    "everything but not": ({"everything": False}, 400),
    "everything as a number": ({"everything": 1}, 400),
    "a word for true": ({"everything": True, "hard": "yes"}, 400),
    "null": ({"everything": True, "url": None}, 400),
    "empty": ({"prefix": ""}, 400),
    "too long": ({"url": "/" * 8193}, 400),
    "no URL": ({"url": "products"}, 400),
    "an ambiguous URL": ({"url": "/a%2Fb/../c"}, 400),
    "unknown": ({"everything": True, "soft": True}, 400),
    "no such route": ({"route": "prodct"}, 404),
    "a route that stores nothing": ({"route": "plain"}, 404),
}


@pytest.mark.parametrize(("order", "status"), MISTAKEN.values(), ids=MISTAKEN)
async def test_a_mistaken_purge_takes_nothing(
    door: Operated, store: Store, order: dict[str, object], status: int
) -> None:
    assert (await door.post("/-/purge", order)).status_code == status
    assert store.asked == []
    assert door.logged.getvalue() == ""


async def test_a_purge_of_nothing_is_told_what_to_say(door: Operated) -> None:
    refused = await door.post("/-/purge", {})
    assert refused.json()["detail"] == "say exactly one of url, prefix, tag, route and everything"


async def test_the_nearest_route_is_named(door: Operated) -> None:
    refused = await door.post("/-/purge", {"route": "prodct"})
    assert "did you mean `product`?" in refused.json()["detail"]


@pytest.mark.parametrize(
    "query",
    ["url=/a&tag=b", "url=", "route=&most=3", "most=0", "most=1001", "url=products", "prefixx=/a", "after=other"],
)
async def test_a_mistaken_look_is_refused(door: Operated, store: Store, query: str) -> None:
    assert (await door.client.get(f"/-/stored?{query}")).status_code == 400
    assert store.asked == []


async def test_others_are_served_while_a_page_is_told(door: Operated, store: Store) -> None:
    for number in range(200):
        store.hold(PRODUCT, f"/v1/products/{number}")
    looked = asyncio.create_task(door.client.get("/-/stored?most=1000"))
    turns = 0
    while not looked.done():
        await asyncio.sleep(0)
        turns += 1
    assert looked.result().status_code == 200
    assert turns > 200
