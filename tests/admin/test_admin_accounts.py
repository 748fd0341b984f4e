"""Accounts and how they stand, one by one and in pages, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from admin.books import Books, books
from admin.operated import Operated, operated
from hypothesis import given
from hypothesis import strategies as st
from keys.rings import create

from gateway.admin import accounts as api
from gateway.admin.accounts import AccountsApi
from gateway.admission.snapshot import Account

pytestmark = pytest.mark.slow


@dataclass
class Directory:
    """The ring's accounts, and ids of its own that stand for nobody."""

    kept: Books
    gone: tuple[str, ...] = ()

    def account(self, id_: str) -> Account | None:
        return self.kept.ring.keyring.account(id_)

    def ids(self) -> Iterable[str]:
        return [*self.kept.ring.keyring.ids(), *self.gone]


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Books]:
    async with books(tmp_path) as kept:
        yield kept


@pytest.fixture
async def door(kept: Books) -> AsyncIterator[Operated]:
    known = AccountsApi(Directory(kept, ("left",)), kept.metering)
    async with operated(known.endpoints()) as door:
        yield door


async def test_an_account_and_how_it_stands(door: Operated, kept: Books) -> None:
    await kept.ring.keyring.create(create(id="shop", organization="acme", throttle="10/min", scopes=["lookup"]))
    told = (await door.client.get("/-/accounts/shop")).json()
    assert told == {
        "account": "shop",
        "organization": "acme",
        "plan": "pro",
        "balance_of": "key",
        "balance": 2000,
        "reserved": 0,
        "charged": 0,
        "granted": 2000,
        "next_grant": {"at": "2026-02-01T00:00:00Z", "tokens": 2000},
        "throttle": {"limit": 10, "window": 60, "remaining": 10, "reset": 0},
        "cap": None,
        "scopes": ["lookup"],
        "expires": None,
        "test": False,
    }
    await kept.ring.keyring.create(create(id="free", organization="shared"))
    told = (await door.client.get("/-/accounts/free")).json()
    assert (told["balance_of"], told["throttle"]) == ("organization", None)


async def test_accounts_come_in_pages_by_their_id(door: Operated, kept: Books) -> None:
    for id_ in ("shop", "Shop-2", "beta"):
        await kept.ring.keyring.create(create(id=id_))

    async def page(**query: Any) -> tuple[list[str], str | None]:
        told = (await door.client.get("/-/accounts", params=query)).json()
        return [account["account"] for account in told["accounts"]], told["next"]

    assert await page() == (["Shop-2", "alpha", "beta", "shop"], None)
    assert await page(most=2) == (["Shop-2", "alpha"], "alpha")
    # Whoever has gone is passed over, and the page after begins behind.
    assert await page(most=2, after="alpha") == (["beta"], "left")
    assert await page(most=2, after="left") == (["shop"], None)
    assert await page(like="SHOP") == (["Shop-2", "shop"], None)
    assert await page(like="nobody") == ([], None)


async def test_a_list_says_only_what_is_in_the_journal(door: Operated, kept: Books) -> None:
    told = (await door.client.get("/-/accounts?like=alpha")).json()["accounts"]
    assert [account["balance"] for account in told] == [2000]
    assert kept.ledger.accounts.balance("alpha").granted == 2000
    assert kept.ledger.committed().done()


async def test_a_ledger_that_fails_is_told(door: Operated, kept: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(payload: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.ledger._journal, "append", full)
    for path in ("/-/accounts/alpha", "/-/accounts"):
        refused = await door.client.get(path)
        assert (refused.status_code, refused.json()["reason"]) == (503, "ledger_unavailable")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/-/accounts/none", 404),
        ("/-/accounts?most=0", 400),
        ("/-/accounts?most=1001", 400),
        ("/-/accounts?most=٣", 400),
        ("/-/accounts?most=1&most=2", 400),
        ("/-/accounts?lik=a", 400),
        ("/-/accounts/alpha?like=a", 400),
        ("/-/accounts/alpha?id=alpha", 400),
    ],
)
async def test_what_cannot_be_told(door: Operated, target: str, status: int) -> None:
    assert (await door.client.get(target)).status_code == status


async def test_a_misspelled_parameter_is_named_by_the_one_meant(door: Operated) -> None:
    assert "did you mean `like`?" in (await door.client.get("/-/accounts?lik=a")).json()["detail"]


@given(st.lists(st.text("aAbB9", max_size=3)), st.text("aAbB9", max_size=2), st.text("ab", max_size=1), st.data())
def test_pages_one_after_the_other_hold_each_id_once(
    ids: list[str], after: str, like: str, data: st.DataObject
) -> None:
    most = data.draw(st.integers(1, 5))
    found = asyncio.run(api._page(ids, after, like, most))
    assert found == sorted({id_ for id_ in ids if id_ > after and like in id_.lower()})[:most]


async def test_others_are_served_while_many_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_LOOKED_THROUGH", 2)
    paged = asyncio.create_task(api._page([str(number) for number in range(10)], "", "", 3))
    turns = 0
    while not paged.done():
        await asyncio.sleep(0)
        turns += 1
    assert paged.result() == ["0", "1", "2"]
    assert turns >= 5
