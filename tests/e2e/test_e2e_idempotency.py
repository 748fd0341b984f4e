"""Idempotency-Key from outside: a repeated refresh is answered as the first time and paid once, come what may."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from support.answers import tokens
from support.config import KeyRing, config, plan, product_route, route
from support.gateway import RunningGateway
from support.polling import eventually
from support.scripts import End, Gate, answer, head, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

RING = KeyRing(60, "pro")
PRODUCT = "/v1/products"
REFRESH = {"query": ["force_refresh"]}
PRICE = {"base": 1, "force_refresh": 3}
KEYED = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}


@pytest.fixture(scope="module")
def metered(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    cached = {"cache": {"ttl": "15m"}, "price": PRICE, "refresh": REFRESH}
    routes = [
        product_route(),
        route("/bare/{id}", "bare", **cached),
        route("/stream/{id}", "stream", **cached | {"cache": {"ttl": "15m", "max_body": "1KiB"}}),
    ]
    whole = config(origin.url, *routes, keys=RING.keys, plans={"pro": plan(2000)})
    with RunningGateway(tmp_path_factory.mktemp("metered"), whole) as running:
        yield running


@pytest.fixture
def client(metered: RunningGateway) -> httpx.Client:
    return metered.client(RING.take())


def balance(client: httpx.Client) -> int:
    return int(client.get("/-/balance").json()["balance"])


WAYS = {
    "query": ("GET", "/v1/products/{item}?include_offers=true&include_force_refresh=true", 9),
    "post": ("POST", "/v1/products/{item}/refresh", 9),
    "head": ("HEAD", "/v1/products/{item}?force_refresh=true", 4),
    "without tokens in the body": ("GET", "/bare/{item}?force_refresh=1", 4),
}


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize(("method", "target", "price"), WAYS.values(), ids=WAYS.keys())
def test_a_repeat_is_the_first_answer_again_and_free(
    client: httpx.Client, origin: ScriptedUpstream, item: str, method: str, target: str, price: int, coding: str
) -> None:
    fields = KEYED | {"Accept-Encoding": coding}
    first, *repeats = (client.request(method, target.format(item=item), headers=fields) for _ in range(3))
    assert (first.status_code, tokens(first), first.headers.get("Idempotent-Replayed")) == (
        200,
        (price, 2000 - price),
        None,
    )
    for again in repeats:
        assert (again.status_code, tokens(again)) == (200, (0, 2000 - price))
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.content == first.content
        for name in ("X-Receipt-Id", "Content-Type"):
            assert again.headers[name] == first.headers[name]
        assert again.headers.get("Content-Encoding") == first.headers.get("Content-Encoding")
    path = target.format(item=item).partition("?")[0].removesuffix("/refresh")
    assert (len(origin.calls(path)), balance(client)) == (1, 2000 - price)


def test_tokens_in_the_body_are_the_first_answers_own(client: httpx.Client, item: str) -> None:
    target = f"{PRODUCT}/{item}/refresh"
    client.post(target, headers=KEYED)
    client.get(f"{PRODUCT}/{item}")
    again = client.post(target, headers=KEYED)
    assert (again.json()["tokens_consumed"], again.json()["tokens_remaining"]) == (9, 1991)
    assert tokens(again) == (0, 1990)


def test_a_repeat_does_not_replace_what_was_stored_since(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/bare/{item}"
    assert client.get(f"{path}?force_refresh=1", headers=KEYED).json()["call"] == 1
    assert client.get(f"{path}?force_refresh=1").json()["call"] == 2
    assert client.get(f"{path}?force_refresh=1", headers=KEYED).json()["call"] == 1
    assert client.get(path).json()["call"] == 2
    assert len(origin.calls(path)) == 2


def test_a_key_in_quotes_is_the_same(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    for key in ("abc", '"abc"'):
        assert client.get(f"/bare/{item}?force_refresh=1", headers={"Idempotency-Key": key}).status_code == 200
    assert len(origin.calls(f"/bare/{item}")) == 1


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, '"abc', '""'])
def test_what_is_no_key_is_refused(client: httpx.Client, origin: ScriptedUpstream, item: str, key: str) -> None:
    refused = client.get(f"/bare/{item}?force_refresh=1", headers={"Idempotency-Key": key})
    assert (refused.status_code, refused.json()["reason"]) == (400, "malformed_request")
    assert not origin.calls(f"/bare/{item}")


def test_each_account_has_keys_of_its_own(metered: RunningGateway, origin: ScriptedUpstream, item: str) -> None:
    for _ in range(2):
        reply = metered.client(RING.take()).get(f"/bare/{item}?force_refresh=1", headers=KEYED)
        assert (tokens(reply), reply.headers.get("Idempotent-Replayed")) == ((4, 1996), None)
    assert len(origin.calls(f"/bare/{item}")) == 2


def test_a_lookup_has_no_use_for_a_key(client: httpx.Client, item: str) -> None:
    left = [tokens(client.get(f"/bare/{item}", headers=KEYED)) for _ in range(2)]
    assert left == [(1, 1999), (1, 1998)]
    assert tokens(client.get(f"/bare/{item}?force_refresh=1", headers=KEYED)) == (4, 1994)


OTHERS = {
    "path": ("GET", "/bare/{item}9?force_refresh=1"),
    "query": ("GET", "/bare/{item}?force_refresh=1&a=1"),
    "method": ("HEAD", "/bare/{item}?force_refresh=1"),
}


@pytest.mark.parametrize(("method", "target"), OTHERS.values(), ids=OTHERS.keys())
def test_another_request_with_the_key_is_refused(
    client: httpx.Client, origin: ScriptedUpstream, item: str, method: str, target: str
) -> None:
    client.get(f"/bare/{item}?force_refresh=1", headers=KEYED)
    calls = len(origin.requests)
    refused = client.request(method, target.format(item=item), headers=KEYED)
    assert (refused.status_code, tokens(refused)) == (422, (0, 1996))
    assert method == "HEAD" or refused.json()["reason"] == "idempotency_key_reused"
    assert len(origin.requests) == calls


async def test_while_the_first_runs_its_repeat_is_told_to_wait(
    metered: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/bare/{item}", Gate()
    origin.script(path, gate, json_answer({"a": 1}))
    async with httpx.AsyncClient(base_url=metered.url, headers=RING.take(), trust_env=False, timeout=20) as client:
        first = asyncio.create_task(client.get(f"{path}?force_refresh=1", headers=KEYED))
        await origin.arrived(path)
        again = await client.get(f"{path}?force_refresh=1", headers=KEYED)
        assert (again.status_code, again.json()["reason"]) == (409, "request_in_progress")
        assert again.headers["Retry-After"] == "1"
        other = await client.get(f"{path}?force_refresh=1&a=1", headers=KEYED)
        assert (other.status_code, other.json()["reason"]) == (422, "idempotency_key_reused")
        gate.open()
        assert (await first).status_code == 200
        replayed = await client.get(f"{path}?force_refresh=1", headers=KEYED)
        assert (replayed.content, tokens(replayed)) == ((await first).content, (0, 1996))
    assert len(origin.calls(path)) == 1


async def test_of_fifty_at_once_one_is_answered_and_charged(
    metered: RunningGateway, origin: ScriptedUpstream, item: str
) -> None:
    path, gate = f"/bare/{item}", Gate()
    origin.script(path, gate, json_answer({"a": 1}))
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(
        base_url=metered.url, headers=RING.take() | KEYED, trust_env=False, timeout=20, limits=limits
    ) as client:
        asking = [asyncio.create_task(client.get(f"{path}?force_refresh=1")) for _ in range(50)]
        refused = 0
        for answered in asyncio.as_completed(asking):
            reply = await answered
            refused += reply.status_code == 409
            if refused == 49:
                gate.open()
        statuses = Counter([reply.result().status_code for reply in asking])
        assert statuses == {200: 1, 409: 49}
        assert (await client.get("/-/balance")).json()["balance"] == 1996
    assert len(origin.calls(path)) == 1


@pytest.mark.parametrize("status", [500, 503, 401, 429])
def test_what_failed_is_asked_anew(client: httpx.Client, origin: ScriptedUpstream, item: str, status: int) -> None:
    path = f"/bare/{item}"
    origin.then(path, answer("broken", status))
    failed = client.get(f"{path}?force_refresh=1", headers=KEYED)
    assert (failed.status_code >= 500, tokens(failed)) == (True, (0, 2000))
    reply = client.get(f"{path}?force_refresh=1", headers=KEYED)
    assert (reply.status_code, tokens(reply), reply.headers.get("Idempotent-Replayed")) == (200, (4, 1996), None)


@pytest.mark.parametrize(("status", "price"), [(404, 4), (422, 1)])
def test_what_the_upstream_refuses_is_an_answer_too(
    client: httpx.Client, origin: ScriptedUpstream, item: str, status: int, price: int
) -> None:
    path = f"/bare/{item}"
    origin.then(path, answer("no such thing", status))
    first, again = (client.get(f"{path}?force_refresh=1", headers=KEYED) for _ in range(2))
    assert (first.status_code, tokens(first)) == (status, (price, 2000 - price))
    assert (again.status_code, again.content, tokens(again)) == (status, first.content, (0, 2000 - price))


PRECONDITIONS = {
    "9110-14.2 range": ({"Range": "bytes=2-5"}, 206),
    "9110-13.1.2 if-none-match": ({"If-None-Match": '"v1"'}, 304),
}


@pytest.mark.parametrize(("fields", "status"), PRECONDITIONS.values(), ids=PRECONDITIONS.keys())
def test_a_repeat_is_held_against_its_own_preconditions(
    client: httpx.Client, origin: ScriptedUpstream, item: str, fields: dict[str, str], status: int
) -> None:
    path = f"/bare/{item}"
    origin.script(path, answer("0123456789", ETag='"v1"'))
    first, again = (client.get(f"{path}?force_refresh=1", headers=KEYED | fields) for _ in range(2))
    assert (first.status_code, again.status_code, again.content) == (status, status, first.content)
    whole = client.get(f"{path}?force_refresh=1", headers=KEYED)
    assert (whole.status_code, whole.text, tokens(whole)) == (200, "0123456789", (0, 1996))


@pytest.mark.parametrize(
    ("path", "size"), [("/bare/{item}", 256 * 1024 + 1), ("/stream/{item}", 2048)], ids=["large", "streamed"]
)
def test_what_is_too_large_to_keep_is_told_by_its_receipt(
    client: httpx.Client, origin: ScriptedUpstream, item: str, path: str, size: int
) -> None:
    path = path.format(item=item)
    origin.script(path, answer(b"x" * size))
    first, again = (client.get(f"{path}?force_refresh=1", headers=KEYED) for _ in range(2))
    assert (first.status_code, len(first.content), tokens(first)) == (200, size, (4, 1996))
    assert (again.status_code, again.json()["reason"], tokens(again)) == (409, "answer_not_kept", (0, 1996))
    assert again.headers["X-Receipt-Id"] == first.headers["X-Receipt-Id"]
    assert first.headers["X-Receipt-Id"] in again.json()["detail"]
    assert len(origin.calls(path)) == 1


def test_the_largest_that_is_kept_comes_back_whole(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/bare/{item}", answer(bytes(range(256)) * 1024))
    first, again = (client.get(f"/bare/{item}?force_refresh=1", headers=KEYED) for _ in range(2))
    assert (again.status_code, again.content, tokens(again)) == (200, first.content, (0, 1996))


def test_a_stream_that_breaks_is_refunded_and_asked_anew(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    path = f"/stream/{item}"
    origin.then(path, head(200, "Content-Length: 9000") + b"x" * 2048, End.reset)
    origin.script(path, answer(b"x" * 9000))
    with pytest.raises(httpx.HTTPError):
        client.get(f"{path}?force_refresh=1", headers=KEYED)
    eventually(lambda: balance(client) == 2000)
    reply = client.get(f"{path}?force_refresh=1", headers=KEYED)
    assert (reply.status_code, len(reply.content), tokens(reply)) == (200, 9000, (4, 1996))
