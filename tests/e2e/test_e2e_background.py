"""Background refreshes as their clients see them: the request in every form, the answer, its price, and refusals."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.answers import tokens
from support.config import UPSTREAM_SECRET, Config, KeyRing, plan
from support.gateway import RunningGateway
from support.polling import eventually
from support.scripts import Gate, json_answer
from support.stores import (
    CLOSED,
    REFRESH,
    STATUS,
    Stores,
    ask,
    balance,
    behind,
    ended,
    how,
    initiated,
    job,
    looked_at,
)
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

GRANT = 2000
RING = KeyRing(60, "pro")
TEST_KEY = "rk_test_background_0123456789"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def stores(origin: ScriptedUpstream) -> Stores:
    return Stores(origin)


@pytest.fixture(scope="module")
def running(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    keys = [*RING.keys, *LIMITED.values(), {"id": "tester", "key": TEST_KEY, "plan": "pro"}]
    plans = {
        "pro": plan(GRANT),
        "poor": plan(4),
        "once": plan(4, "never"),
        "slow": plan(GRANT, throttle={"rate": "1/h", "burst": 1}),
    }
    with RunningGateway(
        tmp_path_factory.mktemp("background"), behind(stores.upstream.url, keys=keys, plans=plans)
    ) as up:
        yield up


LIMITED: dict[str, Config] = {
    "looker": {"id": "looker", "key": "rk_live_looker", "plan": "pro", "scopes": ["lookup", "refresh"]},
    "poor": {"id": "poor", "key": "rk_live_poor", "plan": "poor"},
    "once": {"id": "once", "key": "rk_live_once", "plan": "once"},
    "slow": {"id": "slow", "key": "rk_live_slow", "plan": "slow"},
}


@pytest.fixture
def client(running: RunningGateway) -> httpx.Client:
    return running.client(RING.take())


@pytest.fixture
def store(stores: Stores) -> int:
    return stores.take()


def test_the_answer_comes_while_the_upstream_thinks(client: httpx.Client, stores: Stores, store: int) -> None:
    gate = Gate()
    stores.upstream.then(REFRESH, gate, json_answer({"success": True}))
    answer = ask(client, store)
    assert (answer.status_code, answer.json(), how(answer)) == (200, initiated(store), "initiated")
    stores.upstream.wait(lambda: len(stores.triggers(store)) == 1)
    assert looked_at(client, job(answer))["state"] == "running"
    gate.open()
    told = ended(client, job(answer))
    assert (told["state"], told["background"], told["subject"]) == ("done", "stores", str(store))
    assert len(stores.triggers(store)) == 1


def test_the_trigger_is_the_client_s_own_request(
    running: RunningGateway, client: httpx.Client, stores: Stores, store: int
) -> None:
    content = b'{"storeId": %d,  "refreshDate": "2020-05-29 15:05:02"}' % store
    target = f"{REFRESH}?storeId=storeId&refreshDate=refreshDate&extra=%7e1"
    fields = {"Content-Type": "application/vnd.orders+json", "User-Agent": "an-order-client/1"}
    assert ended(client, job(client.post(target, content=content, headers=fields)))["state"] == "done"
    (sent,) = [sent for sent in stores.upstream.calls(REFRESH) if sent.body == content]
    assert (sent.method, sent.field("Content-Type")) == ("POST", "application/vnd.orders+json")
    assert sent.target.startswith(f"{REFRESH}?storeId=storeId&refreshDate=refreshDate&extra=")
    assert sent.field("Content-Length") == str(len(content))
    assert sent.field("Authorization") == f"Bearer {UPSTREAM_SECRET}"
    assert "rk_live" not in repr((sent.target, sent.fields, sent.body))


def test_what_is_explained_is_what_is_sent(
    running: RunningGateway, client: httpx.Client, stores: Stores, store: int
) -> None:
    target = f"{REFRESH}?storeId={store}&refreshDate=2020-05-29"
    fields = {"Content-Type": "application/json", "X-More": "1", "Cookie": "a=b", "Accept": "text/html"}
    given = dict(client.headers) | fields
    told = explained(running, {"method": "POST", "url": target, "headers": given})
    assert (told["intent"], told["verdict"]["decision"], told["verdict"]["tokens"]) == (
        "background_refresh",
        "accept",
        5,
    )
    assert (told["begins"]["scope"], told["begins"]["trigger"]) == ("background", "client")
    assert stores.triggers(store) == []
    answer = client.post(target, headers=fields)
    assert tokens(answer) == (told["verdict"]["tokens"], GRANT - 5)
    assert answer.headers["Cache-Status"] == told["verdict"]["cache_status"]
    assert ended(client, job(answer))["state"] == "done"
    (sent,) = stores.triggers(store)
    assert (sent.method, stores.upstream.url + sent.target) == (told["onward"]["method"], told["onward"]["url"])
    names = {name.lower() for name, _ in sent.fields} - {"host", "connection", "content-length"}
    assert names == {field["name"].lower() for field in told["onward"]["fields"]}
    standing = explained(running, {"url": f"{STATUS}?storeId={store}", "headers": dict(client.headers)})
    assert (standing["intent"], standing["verdict"]["decision"], standing["quote"]["total"]) == ("status", "tell", 0)


def explained(running: RunningGateway, question: dict[str, Any]) -> Any:
    """What the gateway that runs says of it."""
    answer = httpx.post(f"{running.admin_url}/-/explain", json=question, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


# How clients send it: the query, the content, and fields besides.
SENT: dict[str, tuple[str, str, dict[str, str]]] = {
    "the query alone": ("?storeId={store}", "", {}),
    "the query, with empty JSON": ("?storeId={store}", "{{}}", JSON),
    "the content alone": ("", '{{"storeId": {store}}}', JSON),
    "digits in quotes": ("", '{{"storeId": "{store}"}}', JSON),
    "both": ("?storeId={store}&refreshDate=2020-05-29", '{{"storeId": {store}, "refreshDate": "2020-05-29"}}', JSON),
    "the page's placeholders": (
        "?storeId=storeId&refreshDate=refreshDate",
        '{{"storeId": {store}, "refreshDate": "2020-05-29 15:05:02"}}',
        JSON,
    ),
    "no content type": ("", '{{"storeId": {store}}}', {}),
    "a form's content type": ("", '{{"storeId": {store}}}', {"Content-Type": "application/x-www-form-urlencoded"}),
    "the upstream's own host": ("", '{{"storeId": {store}}}', {"Host": "ssapi.example.com"}),
    "a word in the query": ("?storeId=abc", '{{"storeId": {store}}}', JSON),
    "names in another case": ("?StoreID={store}", '{{"storeid": {store}}}', JSON),
    "a member besides": ("", '{{"storeId": {store}, "force": true}}', JSON),
}


@pytest.mark.parametrize(("query", "content", "fields"), SENT.values(), ids=SENT)
def test_every_way_to_send_it(
    client: httpx.Client, store: int, query: str, content: str, fields: dict[str, str]
) -> None:
    target = REFRESH + query.format(store=store)
    answer = client.post(target, content=content.format(store=store).encode(), headers=fields)
    assert (answer.status_code, answer.json()) == (200, initiated(store))
    assert tokens(answer) == (5, GRANT - 5)
    assert ended(client, job(answer))["state"] == "done"


def test_content_of_no_announced_length(client: httpx.Client, stores: Stores, store: int) -> None:
    content = [b'{"storeId"', b": %d}" % store]
    assert ended(client, job(client.post(REFRESH, content=iter(content), headers=JSON)))["state"] == "done"
    (sent,) = stores.triggers(store)
    assert sent.field("Content-Length") == str(len(b"".join(content)))


REFUSED: dict[str, tuple[str, bytes, int, str]] = {
    "a word": ("?storeId=abc", b"", 400, "bad_subject"),
    "a word in the content": ("?storeId={store}", b'{"storeId": "abc"}', 400, "bad_subject"),
    "two stores": ("?storeId={store}", b'{"storeId": 77}', 400, "bad_subject"),
    "two members": ("", b'{"storeId": 76, "storeid": 77}', 400, "bad_subject"),
    "no date": ("?storeId={store}&refreshDate=yesterday", b"", 400, "bad_since"),
    "no date in the content": ("", b'{"storeId": 77, "refreshDate": 5}', 400, "bad_since"),
    "another form of date": ("?storeId={store}&refreshDate=2020-05-29T00:00:00Z", b"", 400, "bad_since"),
    "two dates": ("?refreshDate=2020-05-28", b'{"storeId": 77, "refreshDate": "2020-05-29"}', 400, "bad_since"),
    "the future": ("?storeId={store}&refreshDate=2999-01-01", b"", 400, "bad_since"),
    "no JSON": ("?storeId={store}", b"storeId=1", 400, "malformed_request"),
    "no object": ("?storeId={store}", b"[1]", 400, "malformed_request"),
    "unknown": ("?storeId=12345", b"", 404, "unknown_subject"),
    "closed": (f"?storeId={CLOSED}", b"", 409, "not_refreshable"),
    "long content": ("", b'{"a": "' + b"a" * 70_000 + b'"}', 413, "body_too_large"),
}


@pytest.mark.parametrize(("query", "content", "code", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_free(
    client: httpx.Client, stores: Stores, store: int, query: str, content: bytes, code: int, reason: str
) -> None:
    before = len(stores.upstream.calls(REFRESH))
    answer = client.post(REFRESH + query.format(store=store), content=content, headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (code, reason)
    if reason == "bad_since":
        assert "YYYY-MM-DD HH:MM:SS" in answer.json()["detail"]
        assert "YYYY-MM-DD," in answer.json()["detail"]
    assert balance(client) == GRANT
    assert client.get("/-/refreshes").json()["refreshes"] == []
    assert len(stores.upstream.calls(REFRESH)) == before


BEYOND: dict[str, tuple[str, dict[str, str], int, str]] = {
    "no scope": ("looker", {}, 403, "insufficient_scope"),
    "no more tokens this month": ("poor", {}, 429, "quota_exceeded"),
    "no more tokens ever": ("once", {}, 402, "quota_exhausted"),
}


@pytest.mark.parametrize(("account", "fields", "code", "reason"), BEYOND.values(), ids=BEYOND)
def test_what_an_account_may_not_is_free(
    running: RunningGateway, stores: Stores, store: int, account: str, fields: dict[str, str], code: int, reason: str
) -> None:
    client = running.client({"X-Api-Key": LIMITED[account]["key"]})
    before = balance(client)
    answer = ask(client, store, headers=fields)
    assert (answer.status_code, answer.json()["reason"]) == (code, reason)
    assert balance(client) == before
    assert stores.triggers(store) == []


def test_a_bound_of_its_own(client: httpx.Client, store: int) -> None:
    answer = ask(client, store, headers={"X-Max-Tokens": "4"})
    assert (answer.status_code, answer.json()["reason"]) == (402, "over_max_tokens")
    assert balance(client) == GRANT
    assert tokens(ask(client, store, headers={"X-Max-Tokens": "5"})) == (5, GRANT - 5)


def test_a_throttle_counts_them_and_their_status(running: RunningGateway, store: int) -> None:
    client = running.client({"X-Api-Key": LIMITED["slow"]["key"]})
    assert job(ask(client, store))
    for again in (ask(client, store), client.get(STATUS, params={"storeId": store})):
        assert (again.status_code, again.json()["reason"]) == (429, "throttled")
        assert int(again.headers["Retry-After"]) > 3000
    assert balance(client) == GRANT - 5


def test_a_test_key_begins_nothing(running: RunningGateway, stores: Stores, store: int) -> None:
    answer = ask(running.client({"X-Api-Key": TEST_KEY}), store)
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_stored")
    assert stores.triggers(store) == []


def test_without_a_key(running: RunningGateway, store: int) -> None:
    assert ask(running.client(), store).status_code == 401


async def test_who_hangs_up_is_served_all_the_same(running: RunningGateway, stores: Stores, store: int) -> None:
    field = RING.take()
    async with await Connection.open(running.address) as connection:
        content = b'{"storeId": %d}' % store
        lines = (f"Authorization: {field['Authorization']}", f"Content-Length: {len(content)}")
        connection.request("POST", REFRESH, *lines, body=content)
        await connection.writer.drain()
        connection.writer.close()
    client = running.client(field)
    (told,) = eventually(lambda: client.get("/-/refreshes").json()["refreshes"])
    assert ended(client, told["id"])["state"] == "done"
    assert (balance(client), len(stores.triggers(store))) == (GRANT - 5, 1)
