"""The accounts nearest to the end of their grant, over real sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admin.books import Books, books
from admin.operated import Operated, operated
from admission.snapshots import ROUTE
from keys.rings import create

from gateway.admin.quotas import QuotasApi
from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome

pytestmark = pytest.mark.slow


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Books]:
    async with books(tmp_path) as kept:
        await kept.ring.keyring.create(create(id="shop", organization="acme"))
        yield kept


@pytest.fixture
async def door(kept: Books) -> AsyncIterator[Operated]:
    async with operated(QuotasApi(kept.meter, kept.clock).endpoints()) as door:
        yield door


def spend(kept: Books, id_: str, tokens: int) -> None:
    account = kept.ring.keyring.account(id_)
    assert account is not None
    kept.meter.charge(account, ROUTE, Quote(tokens), Outcome.hit)


async def test_how_the_nearest_stand(door: Operated, kept: Books) -> None:
    spend(kept, "shop", 1500)
    spend(kept, "alpha", 100)
    told = (await door.client.get("/-/quotas")).json()
    assert told["as_of"] == "2026-01-15T12:00:00Z"
    assert [(one["account"], one["used"]) for one in told["accounts"]] == [("shop", 0.75), ("alpha", 0.05)]
    shop = told["accounts"][0]
    assert shop["next_grant"] == {"at": "2026-02-01T00:00:00Z", "tokens": 2000}
    assert (shop["balance"], shop["charged"], shop["granted"], shop["balance_of"]) == (500, 1500, 2000, "key")
    most = (await door.client.get("/-/quotas?most=1")).json()
    assert most == told | {"accounts": [shop]}


async def test_it_is_told_again_for_some_seconds(door: Operated, kept: Books) -> None:
    assert (await door.client.get("/-/quotas")).json()["accounts"] == []
    spend(kept, "shop", 1)
    kept.clock.advance(4.9)
    assert (await door.client.get("/-/quotas")).json()["as_of"] == "2026-01-15T12:00:00Z"
    kept.clock.advance(0.2)
    told = (await door.client.get("/-/quotas")).json()
    assert told["as_of"] == "2026-01-15T12:00:05Z"
    assert [one["used"] for one in told["accounts"]] == [0.0005]


@pytest.mark.parametrize("query", ["most=0", "most=101", "most=x", "top=1"])
async def test_what_cannot_be_asked(door: Operated, query: str) -> None:
    assert (await door.client.get(f"/-/quotas?{query}")).status_code == 400
