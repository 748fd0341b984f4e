"""The jobs of background refreshes: what they fetch, what fails, and what a limit, a reload or an end does to them."""

import time
from typing import Any

import httpx
import pytest
from support.answers import status_of, tokens
from support.config import KEY, OTHER_KEY, Config, key_field, plan, route
from support.gateway import RunningGateway, StartGateway, write
from support.polling import eventually
from support.scripts import End, Gate, Received, json_answer
from support.stores import (
    DONE,
    FAILED,
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
FIRST = "/orders?storeId=1"
KEYS = [{"id": "alpha", "key": KEY, "plan": "pro"}, {"id": "bravo", "key": OTHER_KEY, "plan": "pro"}]
METERED: Config = {"keys": KEYS, "plans": {"pro": plan(GRANT)}}


@pytest.fixture
def stores(upstream: ScriptedUpstream) -> Stores:
    return Stores(upstream)


def started(gateway: StartGateway, stores: Stores, **rest: Any) -> tuple[RunningGateway, httpx.Client]:
    running = gateway(behind(stores.upstream.url, **METERED | rest))
    return running, running.client(key_field())


def page(number: int) -> str:
    return f"{FIRST}&page={number}"


def hit(client: httpx.Client, target: str) -> int:
    """The version of what is stored for it, which must be fresh."""
    answer = client.get(target)
    assert status_of(answer).hit, answer.headers
    return int(answer.json()["version"])


def filled(client: httpx.Client, *targets: str) -> None:
    for target in targets:
        assert status_of(client.get(target)).stored


def refreshed(client: httpx.Client, store: int = 1) -> dict[str, Any]:
    return ended(client, job(ask(client, store)))


def counts(told: dict[str, Any]) -> tuple[int, int, int]:
    """How many responses there were, how many were fetched, and how many were not."""
    return told["progress"]["total"], told["progress"]["done"], told["progress"]["failed"]


def test_what_is_stored_is_fetched_again_and_lists_to_their_end(gateway: StartGateway, stores: Stores) -> None:
    _, client = started(gateway, stores)
    stores.pages["1"] = 2
    filled(client, FIRST, page(2), "/orders?storeId=2")
    stores.pages["1"] = 4
    told = refreshed(client)
    assert (told["state"], told["reason"], counts(told)) == ("done", None, (4, 4, 0))
    assert [hit(client, target) for target in (FIRST, page(2), page(3), page(4))] == [2, 2, 1, 1]
    assert hit(client, "/orders?storeId=2") == 1


def test_what_is_stored_is_served_until_it_is_replaced(gateway: StartGateway, stores: Stores) -> None:
    _, client = started(gateway, stores)
    filled(client, FIRST)
    gate = Gate()
    stores.upstream.then("/orders", gate, json_answer({"version": 7, "page": 1, "pages": 1}))
    id_ = job(ask(client, 1))
    stores.upstream.wait_for_calls("/orders", 2)
    assert hit(client, FIRST) == 1
    gate.open()
    assert ended(client, id_)["state"] == "done"
    assert hit(client, FIRST) == 7


def test_a_page_that_fails_for_good_loses_nothing(gateway: StartGateway, stores: Stores) -> None:
    _, client = started(gateway, stores)
    stores.pages["1"] = 3
    filled(client, page(1), page(2), page(3))
    assert refreshed(client)["state"] == "done"
    recorded = status(client, 1)["since"]
    stores.broken.add(page(2))
    told = refreshed(client)
    assert (told["state"], told["reason"], counts(told)) == ("failed", "upstream_error", (3, 2, 1))
    assert [hit(client, page(number)) for number in (1, 2, 3)] == [3, 2, 3]
    assert stores.versions[page(2)] == 4
    assert (status(client, 1)["since"], status(client, 1)["status"]) == (recorded, "Failed")
    stores.broken.clear()
    assert refreshed(client)["state"] == "done"
    assert hit(client, page(2)) == 5


def test_an_import_that_fails_upstream(gateway: StartGateway, stores: Stores) -> None:
    _, client = started(gateway, stores)
    filled(client, FIRST)
    stores.status["1"] = FAILED
    told = refreshed(client)
    assert (told["state"], told["reason"], counts(told)) == ("failed", "upstream_gave_up", (0, 0, 0))
    assert (hit(client, FIRST), status(client, 1)["since"]) == (1, None)


def test_a_trigger_that_is_refused(gateway: StartGateway, stores: Stores) -> None:
    _, client = started(gateway, stores)
    stores.upstream.then(REFRESH, json_answer({}, 400))
    told = refreshed(client)
    assert (told["state"], told["reason"], len(stores.triggers(1))) == ("failed", "trigger_refused 400", 1)


def test_a_trigger_without_an_answer_is_not_sent_again(gateway: StartGateway, stores: Stores) -> None:
    _, client = started(gateway, stores)
    filled(client, FIRST)
    stores.upstream.then(REFRESH, End.reset)
    assert refreshed(client)["state"] == "done"
    assert (len(stores.triggers(1)), hit(client, FIRST)) == (1, 2)


def test_a_limit_of_the_upstream_is_waited_for(gateway: StartGateway, stores: Stores) -> None:
    """429 with Retry-After, then a budget that is used up: no call before either says so."""
    _, client = started(gateway, stores)
    moments = list[float]()

    def noted(_: Received) -> bytes:
        moments.append(time.monotonic())
        return b""

    stores.upstream.then(REFRESH, noted, json_answer({}, 429, Retry_After="2"))
    stores.upstream.then(REFRESH, noted, json_answer({}, X_Rate_Limit_Remaining="0", X_Rate_Limit_Reset="2"))
    stores.upstream.then(STATUS, noted, json_answer({"refreshStatusId": DONE}))
    assert refreshed(client)["state"] == "done"
    refused, used_up, after = moments
    assert used_up - refused >= 2
    assert after - used_up >= 2
    assert len(stores.triggers(1)) == 2


def test_without_the_list_nothing_is_begun(gateway: StartGateway, stores: Stores) -> None:
    _, client = started(gateway, stores)
    stores.upstream.then("/stores", json_answer({}, 500))
    refused = ask(client, 1)
    assert (refused.status_code, refused.json()["reason"], balance(client)) == (502, "upstream_error", GRANT)
    # It is asked again a second later.
    eventually(lambda: ask(client, 1).status_code == 200)
    stores.upstream.wait(lambda: len(stores.triggers(1)) == 1)


def test_what_is_each_key_s_own_is_fetched_for_it_alone(gateway: StartGateway, stores: Stores) -> None:
    own = route("/orders", "orders", cache={"ttl": "15m", "share": "key", "tags": ["store:{query.storeId}"]}, price=1)
    running, alpha = started(gateway, stores, routes=[own])
    bravo = running.client(key_field(OTHER_KEY))
    filled(alpha, FIRST)
    filled(bravo, FIRST)
    assert counts(refreshed(alpha)) == (1, 1, 0)
    assert (hit(alpha, FIRST), hit(bravo, FIRST)) == (3, 2)


def test_a_cancelled_one_fetches_nothing(gateway: StartGateway, stores: Stores) -> None:
    running, client = started(gateway, stores)
    filled(client, FIRST)
    stores.status["1"] = RUNNING
    id_ = job(ask(client, 1))
    eventually(lambda: stores.asked_status(1))
    other = running.client(key_field(OTHER_KEY))
    assert other.get(f"/-/refreshes/{id_}").status_code == 404
    assert other.delete(f"/-/refreshes/{id_}").status_code == 404
    assert other.get("/-/refreshes").json()["refreshes"] == []
    assert client.delete(f"/-/refreshes/{id_}").json()["state"] == "cancelled"
    assert client.delete(f"/-/refreshes/{id_}").status_code == 409
    stores.status["1"] = DONE
    assert how(ask(client, 1)) == "initiated"
    assert looked_at(client, id_)["state"] == "cancelled"
    assert balance(client) == GRANT - 1 - 2 * 5


def test_who_still_wants_it_keeps_it_from_ending(gateway: StartGateway, stores: Stores) -> None:
    running, client = started(gateway, stores)
    other = running.client(key_field(OTHER_KEY))
    stores.status["1"] = RUNNING
    first = job(ask(client, 1))
    joined = ask(other, 1)
    assert how(joined) == "joined"
    assert client.delete(f"/-/refreshes/{first}").json()["state"] == "cancelled"
    stores.status["1"] = DONE
    assert ended(other, job(joined))["state"] == "done"
    assert looked_at(client, first)["state"] == "cancelled"


def reload(running: RunningGateway, changed: Config) -> None:
    write(running.folder, changed)
    answer = httpx.post(f"{running.admin_url}/-/config/reload", trust_env=False)
    assert answer.status_code == 200, answer.text


def test_a_reload_while_it_runs(gateway: StartGateway, stores: Stores) -> None:
    """Its entry goes, and comes back with another pace: the job waits, and goes on where it was."""
    slow = behind(stores.upstream.url, entry={"pace": {"concurrency": 1, "rate": "1/min"}}, **METERED)
    running = gateway(slow)
    client = running.client(key_field())
    filled(client, FIRST)
    id_ = job(ask(client, 1))
    stores.upstream.wait_for_calls(REFRESH)
    reload(running, slow | {"background_refreshes": []})
    assert (ask(client, 1).status_code, looked_at(client, id_)["state"]) == (404, "running")
    reload(running, behind(stores.upstream.url, **METERED))
    assert ended(client, id_)["state"] == "done"
    assert (len(stores.triggers(1)), hit(client, FIRST)) == (1, 2)


@pytest.mark.parametrize("end", [RunningGateway.stop, RunningGateway.kill9], ids=["drained", "killed"])
def test_the_next_gateway_goes_on(gateway: StartGateway, stores: Stores, end: Any) -> None:
    running, client = started(gateway, stores)
    stores.status["1"] = RUNNING
    once = {"Idempotency-Key": "once"}
    first = ask(client, 1, "2020-05-29", headers=once)
    eventually(lambda: stores.asked_status(1))
    end(running)
    running.start()
    again = ask(client, 1, "2020-05-29", headers=once)
    assert (job(again), tokens(again)) == (job(first), (0, GRANT - 5))
    assert looked_at(client, job(first))["state"] == "running"
    filled(client, FIRST)
    stores.status["1"] = DONE
    assert ended(client, job(first))["state"] == "done"
    assert (len(stores.triggers(1)), hit(client, FIRST), balance(client)) == (1, 2, GRANT - 5 - 2)


def test_an_end_does_not_wait_for_a_limit(gateway: StartGateway, stores: Stores) -> None:
    running, client = started(gateway, stores)
    stores.upstream.then(REFRESH, json_answer({}, 429, Retry_After="600"))
    id_ = job(ask(client, 1))
    stores.upstream.wait_for_calls(REFRESH)
    running.restart()
    assert looked_at(client, id_)["state"] in ("pending", "running")
