"""Corrections of balances over real sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admin.books import Books, books
from admin.operated import Operated, operated
from keys.rings import create

from gateway.admin.grants import GrantsApi


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Books]:
    async with books(tmp_path) as kept:
        yield kept


@pytest.fixture
async def door(kept: Books) -> AsyncIterator[Operated]:
    grants = GrantsApi(kept.ring.keyring.account, kept.metering)
    async with operated(grants.endpoints()) as door:
        yield door


async def test_nobody_is_corrected_who_is_not_known(door: Operated) -> None:
    refused = await door.post("/-/keys/none/grant", {"tokens": 1, "reason": "a gift"})
    assert (refused.status_code, refused.json()["reason"]) == (404, "not_found")


async def test_a_correction_is_in_the_journal_before_its_answer(door: Operated, kept: Books) -> None:
    await kept.ring.keyring.create(create(id="shop", plan="pro"))
    answer = await door.post("/-/keys/shop/grant", {"tokens": 50, "reason": "a gift"})
    assert answer.json() == {"account": "shop", "tokens": 50, "before": 2000, "after": 2050}
    answer = await door.post("/-/keys/shop/grant", {"tokens": -2050, "reason": "all back"})
    assert answer.json()["after"] == 0
    refused = await door.post("/-/keys/shop/grant", {"tokens": -1, "reason": "too much"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "conflict")
    assert kept.ledger.accounts.balance("shop").balance == 0
    assert kept.ledger.committed().done()


async def test_an_unlimited_plan_has_nothing_to_correct(door: Operated, kept: Books) -> None:
    await kept.ring.keyring.create(create(id="free"))
    refused = await door.post("/-/keys/free/grant", {"tokens": 1, "reason": "a gift"})
    assert (refused.status_code, "unlimited" in refused.json()["detail"]) == (409, True)


async def test_a_ledger_that_fails_is_told_and_grants_nothing(
    door: Operated, kept: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.ring.keyring.create(create(id="shop", plan="pro"))
    account = kept.ring.keyring.account("shop")
    assert account is not None
    kept.meter.balance(account)
    await kept.ledger.committed()

    def full(payload: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.ledger._journal, "append", full)
    refused = await door.post("/-/keys/shop/grant", {"tokens": 1, "reason": "a gift"})
    assert (refused.status_code, refused.json()["reason"]) == (503, "ledger_unavailable")
    assert kept.ledger.accounts.balance("shop").balance == 2000
    assert "granted" not in door.logged.getvalue()
