"""Background refreshes that meet: joined, widened, repeated, of all subjects; and how each account's own stand."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.answers import tokens
from support.config import KeyRing, plan
from support.gateway import RunningGateway
from support.polling import PATIENCE
from support.stores import (
    CLOSED,
    DONE,
    REFRESH,
    RUNNING,
    STATUS,
    Stores,
    ask,
    balance,
    behind,
    ended,
    how,
    job,
    looked_at,
    status,
)
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

GRANT = 2000
EVERY = 99
RING = KeyRing(60, "pro")


@pytest.fixture(scope="module")
def stores(origin: ScriptedUpstream) -> Stores:
    return Stores(origin)


@pytest.fixture(scope="module")
def running(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    whole = behind(stores.upstream.url, keys=RING.keys, plans={"pro": plan(GRANT)})
    with RunningGateway(tmp_path_factory.mktemp("background"), whole) as up:
        yield up


@pytest.fixture
def client(running: RunningGateway) -> httpx.Client:
    return running.client(RING.take())


@pytest.fixture
def store(stores: Stores) -> int:
    return stores.take()


def test_all_that_can_be_refreshed(client: httpx.Client, stores: Stores) -> None:
    before = len(stores.upstream.calls(REFRESH))
    answer = ask(client)
    message = "A store refresh has been initiated for all refreshable stores"
    assert answer.json() == {"success": True, "message": message}
    assert tokens(answer)[0] == 3 + 2 * EVERY
    told = ended(client, job(answer))
    assert (told["state"], told["subject"], told["subjects"]["done"]) == ("done", None, EVERY)
    assert len(stores.upstream.calls(REFRESH)) == before + 1


def test_one_is_joined_and_widened(running: RunningGateway, client: httpx.Client, stores: Stores, store: int) -> None:
    """By its own account, by another one's, and by who wants older orders."""
    stores.status[str(store)] = RUNNING
    first = ask(client, store, "2024-01-01")
    stores.upstream.wait(lambda: stores.triggers(store))
    again = ask(client, store)
    assert (how(again), job(again)) == ("joined", job(first))
    assert again.json() == {"success": True, "message": f"Already under way for Store ID {store}", "how": "joined"}
    later = ask(client, store, "2024-06-01")
    assert (how(later), job(later)) == ("joined", job(first))
    other = running.client(RING.take())
    others = ask(other, store)
    assert (how(others), job(others) == job(first)) == ("joined", False)
    assert len(stores.triggers(store)) == 1
    older = ask(client, store, "2023-01-01")
    assert (how(older), job(older) == job(first)) == ("widened", False)
    stores.upstream.wait(lambda: len(stores.triggers(store)) == 2)
    stores.status[str(store)] = DONE
    for who, answer in ((client, first), (other, others), (client, older)):
        assert ended(who, job(answer))["state"] == "done"
    assert (balance(client), balance(other)) == (GRANT - 4 * 5, GRANT - 5)
    assert len(stores.triggers(store)) == 2


async def test_many_at_once_begin_one(running: RunningGateway, stores: Stores, store: int) -> None:
    stores.status[str(store)] = RUNNING
    accounts = [running.client(RING.take()) for _ in range(4)]
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENCE) as at_once:
        asking = [
            at_once.post(REFRESH, json={"storeId": store}, headers={"Authorization": account.headers["Authorization"]})
            for account in accounts * 25
        ]
        answers = await asyncio.gather(*asking)
    assert [answer.status_code for answer in answers] == [200] * 100
    assert Counter(how(answer) for answer in answers) == {"initiated": 1, "joined": 99}
    assert len({job(answer) for answer in answers}) == len(accounts)
    stores.status[str(store)] = DONE
    for account, answer in zip(accounts, answers, strict=False):
        assert ended(account, job(answer))["state"] == "done"
        assert balance(account) == GRANT - 25 * 5
    assert len(stores.triggers(store)) == 1


def test_one_joins_a_refresh_of_all(running: RunningGateway, stores: Stores, store: int) -> None:
    whole, single = running.client(RING.take()), running.client(RING.take())
    triggers = len(stores.upstream.calls(REFRESH))
    stores.status[str(store)] = RUNNING
    everything = ask(whole)
    one = ask(single, store)
    assert how(one) == "joined"
    assert looked_at(whole, job(everything))["subjects"]["total"] == EVERY
    stores.status[str(store)] = DONE
    assert ended(single, job(one))["subjects"] == {"total": 1, "done": 1, "failed": 0}
    assert ended(whole, job(everything))["subjects"] == {"total": EVERY, "done": EVERY, "failed": 0}
    assert len(stores.upstream.calls(REFRESH)) == triggers + 1


def test_a_repeated_idempotency_key(client: httpx.Client, store: int) -> None:
    once = {"Idempotency-Key": f"refresh-{store}"}
    first, again = ask(client, store, headers=once), ask(client, store, headers=once)
    assert (again.status_code, again.content, job(again)) == (200, first.content, job(first))
    assert again.headers["Idempotent-Replayed"] == "true"
    ended(client, job(first))
    after = ask(client, store, headers=once)
    assert (job(after), tokens(after)) == (job(first), (0, GRANT - 5))
    other = ask(client, store, "2020-05-29", headers=once)
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency_key_reused")
    assert len(client.get("/-/refreshes").json()["refreshes"]) == 1
    assert balance(client) == GRANT - 5


def test_the_status_in_the_api_s_words(client: httpx.Client, stores: Stores, store: int) -> None:
    assert status(client, store) == told_status(store, 0, "Never refreshed")
    stores.status[str(store)] = RUNNING
    answer = ask(client, store)
    stores.upstream.wait(lambda: stores.triggers(store))
    told = status(client, store)
    attempted = told["attempted"]
    assert attempted
    assert told == told_status(store, RUNNING, "Updating orders", attempted)
    stores.status[str(store)] = DONE
    assert ended(client, job(answer))["state"] == "done"
    told = status(client, store)
    assert told["since"] >= attempted
    assert told == told_status(store, 3, "Done", attempted, told["since"])
    free = client.get(STATUS, params={"storeId": store})
    assert tokens(free) == (0, GRANT - 5)
    assert balance(client) == GRANT - 5


def told_status(
    store: int, id_: int, text: str, attempted: str | None = None, since: str | None = None
) -> dict[str, Any]:
    return {"subject": store, "status_id": id_, "status": text, "attempted": attempted, "since": since}


ASKED_STATUS = {
    "no store": ("", 400, "bad_subject"),
    "no number": ("?storeId=abc", 400, "bad_subject"),
    "unknown": ("?storeId=12345", 404, "unknown_subject"),
}


@pytest.mark.parametrize(("query", "code", "reason"), ASKED_STATUS.values(), ids=ASKED_STATUS)
def test_a_status_of_nothing(client: httpx.Client, query: str, code: int, reason: str) -> None:
    answer = client.get(STATUS + query)
    assert (answer.status_code, answer.json()["reason"]) == (code, reason)


def test_one_that_cannot_be_refreshed_has_a_status(client: httpx.Client) -> None:
    assert status(client, CLOSED)["status"] == "Never refreshed"


def test_a_status_is_each_account_s_own(running: RunningGateway, client: httpx.Client, store: int) -> None:
    ended(client, job(ask(client, store)))
    assert status(running.client(RING.take()), store) == told_status(store, 0, "Never refreshed")
