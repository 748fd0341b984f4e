"""API keys and what they stand for, from outside: where a key may be, throttle, quota, cap and balance."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest
from support.answers import tokens
from support.config import KEY, OTHER_KEY, KeyRing, config, key_field, plan, product_route, route
from support.gateway import RunningGateway, StartGateway
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

RING = KeyRing(120, "pro")
PRODUCT = "/v1/products"
FULL = "include_offers=true&include_reviews=true"


@pytest.fixture(scope="module")
def metered(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    whole = config(origin.url, product_route(), keys=RING.keys, plans={"pro": plan(2000)})
    with RunningGateway(tmp_path_factory.mktemp("metered"), whole) as running:
        yield running


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


PLACES: dict[str, Callable[[str], dict[str, str]]] = {
    "bearer": lambda key: {"Authorization": f"Bearer {key}"},
    "bearer in lower case": lambda key: {"authorization": f"bearer {key}"},
    "basic user": lambda key: basic(key, ""),
    "X-Api-Key": lambda key: {"X-Api-Key": key},
    "raw Authorization": lambda key: {"Authorization": key},
    "twice the same": lambda key: {"Authorization": f"Bearer {key}", "X-Api-Key": key},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_a_key_is_found_where_clients_put_it(
    metered: RunningGateway, origin: ScriptedUpstream, item: str, place: Callable[[str], dict[str, str]]
) -> None:
    key = RING.take()["Authorization"].removeprefix("Bearer ")
    reply = metered.client(place(key)).get(f"{PRODUCT}/{item}")
    assert tokens(reply) == (1, 1999)
    (received,) = origin.calls(f"{PRODUCT}/{item}")
    assert all(key not in value for _, value in received.fields)


def test_a_basic_key_is_user_and_password_as_sent(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, route("/{rest:.*}", "all"), keys=[{"id": "pair", "key": "user:secret"}]))
    assert running.client(basic("user", "secret")).get("/").status_code == 200
    assert running.client(basic("user", "other")).get("/").status_code == 401


def test_a_key_in_the_query_is_found_where_the_config_says_and_not_sent_on(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    whole = config(upstream.url, route("/{rest:.*}", "all"), auth={"accept": ["bearer", "query:token"]})
    running = gateway(whole)
    assert running.client().get(f"/a?token={KEY}&b=1").status_code == 200
    assert [call.target for call in upstream.calls("/a")] == ["/a?b=1"]
    assert KEY not in running.log


def test_a_hashed_key_and_one_of_two_plain_keys_stand_for_their_accounts(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    digest = "sha256:" + sha256(KEY.encode()).hexdigest()
    keys = [{"id": "hashed", "key": digest}, {"id": "double", "key": [OTHER_KEY, "rk_live_old"]}]
    running = gateway(config(upstream.url, route("/{rest:.*}", "all"), keys=keys))
    for key in (KEY, OTHER_KEY, "rk_live_old"):
        assert running.client(key_field(key)).get("/").status_code == 200


def test_two_different_keys_in_one_request_are_refused(metered: RunningGateway, item: str) -> None:
    first, second = RING.take(), RING.take()
    other = second["Authorization"].removeprefix("Bearer ")
    reply = metered.client(first).get(f"{PRODUCT}/{item}", headers={"X-Api-Key": other})
    assert (reply.status_code, reply.json()["reason"]) == (400, "conflicting_keys")
    assert tokens(metered.client(first).get(f"{PRODUCT}/{item}")) == (1, 1999)


def test_the_throttle_refuses_with_seconds_and_costs_nothing(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    plans = {"slow": plan(100, throttle={"rate": "1/min", "burst": 3})}
    keys = [{"id": "alpha", "key": KEY, "plan": "slow"}]
    running = gateway(config(upstream.url, product_route(), plans=plans, keys=keys))
    client = running.client(key_field())
    assert [client.get(f"{PRODUCT}/1").status_code for _ in range(3)] == [200] * 3
    refused = client.get(f"{PRODUCT}/1")
    assert (refused.status_code, refused.json()["reason"], refused.json()["code"]) == (429, "throttled", "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["X-RateLimit-Throttle-Remaining"] == "0"
    assert running.metrics().total("gateway_tokens_charged_total") == 3


@pytest.mark.parametrize(
    ("every", "status", "reason"),
    [
        ("hour", 429, "quota_exceeded"),
        ("day", 429, "quota_exceeded"),
        ("month", 429, "quota_exceeded"),
        ("never", 402, "quota_exhausted"),
    ],
)
def test_a_used_up_quota_is_refused_before_the_upstream_is_asked(
    gateway: StartGateway, upstream: ScriptedUpstream, every: str, status: int, reason: str
) -> None:
    keys = [{"id": "alpha", "key": KEY, "plan": "small"}]
    running = gateway(config(upstream.url, product_route(), plans={"small": plan(7, every)}, keys=keys))
    client = running.client(key_field())
    assert tokens(client.get(f"{PRODUCT}/1?{FULL}")) == (6, 1)
    refused = client.get(f"{PRODUCT}/1?{FULL}")
    assert (refused.status_code, refused.json()["reason"]) == (status, reason)
    assert ("Retry-After" in refused.headers) is (status == 429)
    assert client.post(f"{PRODUCT}/2/refresh").status_code == status
    assert not upstream.calls(f"{PRODUCT}/2")
    assert tokens(client.get(f"{PRODUCT}/1")) == (1, 0)
    assert client.get(f"{PRODUCT}/1").status_code == status


def test_the_cap_counts_the_refreshes_of_all_keys_of_an_organization(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    keys = [{"id": name, "key": key, "organization": "acme"} for name, key in (("a", KEY), ("b", OTHER_KEY))]
    keys.append({"id": "c", "key": "rk_live_charlie"})
    organizations = {"acme": {"caps": {"force_refresh": "4/min"}}}
    running = gateway(config(upstream.url, product_route(), keys=keys, organizations=organizations))
    first, second = running.client(key_field()), running.client(key_field(OTHER_KEY))
    admitted = [client.post(f"{PRODUCT}/1/refresh").status_code for client in (first, second, first, second)]
    assert admitted == [200] * 4
    for client in (first, second):
        refused = client.get(f"{PRODUCT}/1?force_refresh=true")
        assert (refused.status_code, refused.json()["reason"]) == (429, "force_refresh_capped")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert client.get(f"{PRODUCT}/1").status_code == 200
    assert running.client(key_field("rk_live_charlie")).post(f"{PRODUCT}/1/refresh").status_code == 200
    assert len(upstream.calls(f"{PRODUCT}/1")) >= 5


@pytest.mark.parametrize(("balance", "left"), [("organization", [99, 98, 97]), ("key", [99, 99, 98])])
def test_a_balance_is_the_keys_or_the_organizations(
    gateway: StartGateway, upstream: ScriptedUpstream, balance: str, left: list[int]
) -> None:
    keys = [{"id": name, "key": key, "organization": "acme"} for name, key in (("a", KEY), ("b", OTHER_KEY))]
    organizations = {"acme": {"plan": "small", "balance": balance}}
    plans = {"small": plan(100)}
    running = gateway(config(upstream.url, product_route(), keys=keys, organizations=organizations, plans=plans))
    first, second = running.client(key_field()), running.client(key_field(OTHER_KEY))
    assert [tokens(client.get(f"{PRODUCT}/1"))[1] for client in (first, second, first)] == left
