"""Plans and what a key says instead of them, from outside: grants over a change of plan, names, scopes, expiry."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from support.answers import tokens
from support.config import KEY, OTHER_KEY, Config, config, key_field, plan, product_route
from support.gateway import RunningGateway, StartGateway, write
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"
FULL = "include_offers=true&include_reviews=true"


def whole(upstream: ScriptedUpstream, **rest: Any) -> Config:
    return config(upstream.url, product_route(), **rest)


def restarted(running: RunningGateway, changed: Config) -> httpx.Client:
    """A client of the same gateway with another config."""
    write(running.folder, changed)
    running.restart()
    return running.client(key_field())


def left(client: httpx.Client) -> int:
    """What the answer to a lookup says is left."""
    return tokens(client.get(f"{PRODUCT}/1"))[1]


def refusal(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["reason"]


@pytest.mark.parametrize(("every", "carry_over"), [("month", False), ("month", True), ("never", False)])
@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        pytest.param(150, 150 - 1 - 6, id="raised at once"),
        pytest.param(50, 100 - 1 - 6, id="lowered at the next period"),
        pytest.param(100, 100 - 1 - 6, id="the same"),
    ],
)
def test_a_changed_plan(
    gateway: StartGateway, upstream: ScriptedUpstream, every: str, carry_over: bool, grant: int, expected: int
) -> None:
    keys = [{"id": "alpha", "key": KEY, "plan": "p"}]

    def granting(tokens: int) -> Config:
        granted = {"grant": tokens, "every": every, "carry_over": carry_over}
        return whole(upstream, keys=keys, plans={"p": {"tokens": granted}})

    running = gateway(granting(100))
    assert tokens(running.client(key_field()).get(f"{PRODUCT}/1?{FULL}")) == (6, 94)
    assert left(restarted(running, granting(grant))) == expected
    assert left(restarted(running, granting(100))) == expected - 1
    assert left(restarted(running, granting(grant))) == expected - 2, "a raise is granted once"


def test_carry_over_begins_without_a_second_grant(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    keys = [{"id": "alpha", "key": KEY, "plan": "p"}]
    plain, saving = (plan(100), {"tokens": {"grant": 100, "every": "month", "carry_over": True}})
    running = gateway(whole(upstream, keys=keys, plans={"p": plain}))
    assert left(running.client(key_field())) == 99
    for count, changed in enumerate((saving, plain, saving)):
        assert left(restarted(running, whole(upstream, keys=keys, plans={"p": changed}))) == 98 - count


@pytest.mark.parametrize(
    ("formerly", "expected"), [pytest.param("before", 97, id="its own"), pytest.param(None, 99, id="begins anew")]
)
@pytest.mark.parametrize("balance", ["key", "organization"])
def test_a_name_that_changes(
    gateway: StartGateway, upstream: ScriptedUpstream, balance: str, formerly: str | None, expected: int
) -> None:
    def named(name: str, formerly: str | None, *others: dict[str, str]) -> Config:
        says = {} if formerly is None else {"formerly": formerly}
        plans = {"p": plan(100)}
        if balance == "key":
            return whole(upstream, plans=plans, keys=[{"id": name, "key": KEY, "plan": "p"} | says, *others])
        organizations = {name: {"plan": "p", "balance": "organization"} | says}
        keys = [{"id": "alpha", "key": KEY, "organization": name}, *others]
        return whole(upstream, plans=plans, organizations=organizations, keys=keys)

    running = gateway(named("before", None))
    assert [left(running.client(key_field())) for _ in range(2)] == [99, 98]
    client = restarted(running, named("after", formerly))
    assert left(client) == expected
    assert left(restarted(running, named("after", formerly))) == expected - 1, "it goes over once"
    if balance == "key" and formerly is not None:
        restarted(running, named("after", None, {"id": "before", "key": OTHER_KEY, "plan": "p"}))
        assert left(running.client(key_field(OTHER_KEY))) == 99, "who takes the former name begins anew"


@pytest.mark.parametrize("balance", ["key", "organization"])
def test_a_key_may_have_a_throttle_of_its_own(gateway: StartGateway, upstream: ScriptedUpstream, balance: str) -> None:
    keys = [
        {"id": "alpha", "key": KEY, "organization": "acme", "throttle": {"rate": "1/h", "burst": 2}},
        {"id": "bravo", "key": OTHER_KEY, "organization": "acme"},
    ]
    organizations = {"acme": {"plan": "p", "balance": balance}}
    plans = {"p": plan(100, throttle={"rate": "1/h", "burst": 4})}
    running = gateway(whole(upstream, keys=keys, organizations=organizations, plans=plans))
    slow, other = running.client(key_field()), running.client(key_field(OTHER_KEY))
    assert [slow.get(f"{PRODUCT}/1").status_code for _ in range(3)] == [200, 200, 429]
    assert [other.get(f"{PRODUCT}/1").status_code for _ in range(5)] == [200] * 4 + [429]
    assert slow.get(f"{PRODUCT}/1").headers["X-RateLimit-Throttle-Limit"] == "1"


def test_a_key_asks_for_what_its_scopes_say(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    keys = [
        {"id": "reads", "key": KEY, "plan": "p", "scopes": ["lookup"]},
        {"id": "renews", "key": OTHER_KEY, "plan": "p", "scopes": "refresh"},
    ]
    running = gateway(whole(upstream, keys=keys, plans={"p": plan(100)}))
    reads, renews = running.client(key_field()), running.client(key_field(OTHER_KEY))
    assert refusal(reads.post(f"{PRODUCT}/1/refresh")) == (403, "insufficient_scope")
    assert refusal(reads.get(f"{PRODUCT}/1?force_refresh=true")) == (403, "insufficient_scope")
    assert refusal(renews.get(f"{PRODUCT}/1")) == (403, "insufficient_scope")
    assert not upstream.requests
    assert left(reads) == 99
    assert tokens(renews.post(f"{PRODUCT}/1/refresh")) == (9, 91)


def test_a_key_that_has_expired(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    today = datetime.now(UTC).date()
    keys = [
        {"id": "over", "key": KEY, "expires": str(today - timedelta(days=1))},
        {"id": "lasting", "key": OTHER_KEY, "expires": f"{today + timedelta(days=2)}T12:00:00Z"},
    ]
    running = gateway(whole(upstream, keys=keys))
    assert refusal(running.client(key_field()).get(f"{PRODUCT}/1")) == (401, "expired_key")
    assert running.client(key_field(OTHER_KEY)).get(f"{PRODUCT}/1").status_code == 200
