"""Tags told by query and content: what a refresh and a purge take with them, and how the upstream is asked."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from admission.snapshots import TTL, make_route
from support.in_process import Way, way

from gateway.admission.snapshot import RefreshPolicy
from gateway.admission.tagging import Tag
from gateway.stores.selection import of_tag

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def orders(tmp_path: Path) -> AsyncIterator[Way]:
    """Lists of orders, which belong to the stores that they are asked for and to those that they hold."""
    tags = (Tag.parse("store:{query.storeId}"), Tag.parse("store:{body.orders.storeId}"))
    route = make_route("/orders", cache=replace(TTL, tags=tags), refresh=RefreshPolicy(query=("force_refresh",)))
    async with way(tmp_path, route) as running:
        yield running


async def _listed(running: Way, query: str, *stores: int) -> None:
    """Ask for a list that holds orders of `stores`."""
    content = b",".join([b'{"storeId":%d}' % store for store in stores])
    running.upstream.then(b'{"orders":[%b]}' % content, fields=JSON)
    running.clock.advance(1)
    await running.ask(f"/orders?{query}")


async def _fresh(running: Way, *queries: str) -> list[bool]:
    """Which of the lists are served as they are stored."""
    return [
        not any(one.outdated or one.is_purged for one in running.cache.peek(_key(running, query))) for query in queries
    ]


def _key(running: Way, query: str) -> str:
    return f"{running.live.snapshot.upstreams['api'].identity}\n\n/orders?{query}"


async def test_a_refresh_outdates_what_shares_a_tag_with_what_it_brought(orders: Way) -> None:
    lists = {"page=1": (1, 2), "page=2": (2, 3), "page=3": (4,), "storeId=3": (), "page=1&force_refresh=1": (3,)}
    for query, stores in lists.items():
        await _listed(orders, query, *stores)
    assert await _fresh(orders, "page=1", "page=2", "page=3", "storeId=3") == [True, False, True, False]


async def test_a_refresh_that_finds_it_gone_outdates_what_shared_a_tag_with_it(orders: Way) -> None:
    """What told its tags by content was served as fresh after a force refresh had found it gone, and so were lists."""
    for query, stores in {"id=7": (1,), "page=1": (1, 2), "page=2": (2,)}.items():
        await _listed(orders, query, *stores)
    orders.upstream.then(status=404)
    orders.clock.advance(1)
    await orders.ask("/orders?id=7&force_refresh=1")
    assert await _fresh(orders, "id=7", "page=1", "page=2") == [False, False, True]


async def test_a_purge_by_tag_takes_what_query_or_content_told(orders: Way) -> None:
    for query, stores in {"page=1": (1,), "storeId=1": (), "storeId=2&storeId=1": (), "page=2": (2,)}.items():
        await _listed(orders, query, *stores)
    assert await orders.cache.purge(of_tag(orders.live.snapshot, "store:1"), hard=False) == 3
    assert await _fresh(orders, "page=1", "storeId=1", "storeId=2&storeId=1", "page=2") == [False, False, False, True]


async def test_what_is_in_flight_while_its_tag_is_purged_is_not_kept(orders: Way) -> None:
    gate = asyncio.Event()
    orders.upstream.then(b'{"orders":[{"storeId":1}]}', fields=JSON, before=(gate,))
    asking = orders.asking("/orders?page=1")
    await orders.upstream.arrived()
    orders.clock.advance(1)
    await orders.cache.purge(of_tag(orders.live.snapshot, "store:1"), hard=False)
    gate.set()
    await asking
    [stored] = orders.cache.peek(_key(orders, "page=1"))
    assert (orders.calls, stored.body) == (2, b'{"call":1}')


async def test_the_upstream_is_asked_for_the_whole_in_no_coding(orders: Way) -> None:
    await orders.ask("/orders", fields={"Accept-Encoding": "gzip, br", "Range": "bytes=0-1"})
    [sent] = orders.upstream.sent
    assert sent.fields["Accept-Encoding"] == "identity"
    assert "Range" not in sent.fields
