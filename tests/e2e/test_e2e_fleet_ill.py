"""Redis frozen, slow, dead, replaced, read-only: refused soon and free, served where it may be, well again by itself.

Of the two gateways the first refuses what is metered meanwhile, the second serves what is stored and fresh.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml
from support.addresses import HOST
from support.config import KEY, Config, config, key_field, plan, route
from support.polling import eventually
from support.redis_server import RedisServer
from support.relay import Relay
from support.running_fleet import Node, shared, sound
from support.scripts import answer
from support.stalls import Stopwatch
from support.upstream import ScriptedUpstream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CALLS = {"Authorization": f"Bearer {KEY}"}
GRANT = 100_000
STORED, OPEN = "/cached/1", "/open/1"
USER, PASSWORD = "gateways", "a-password"
# Seconds of a quiet machine: what is refused is refused within one, and all is well again after five.
SOON, RECOVERY = 1.0, 5.0
FROZEN = float(os.environ.get("FROZEN_SECONDS", "1"))


class Fleet(NamedTuple):
    """Two gateways on a Redis behind a relay; `refusing` and `serving` are what they do while it is away."""

    refusing: Node
    serving: Node
    redis: RedisServer
    relay: Relay
    upstream: ScriptedUpstream

    @property
    def nodes(self) -> tuple[Node, Node]:
        return self.refusing, self.serving

    def balance(self) -> int:
        """Once there is an answer: on a busy machine Redis may seem away."""
        return eventually(self._balance)

    def has(self, balance: int) -> bool:
        return self._balance() == balance

    def _balance(self) -> int | None:
        told: dict[str, int] = self.refusing.client(CALLS).get("/-/balance").json()
        return told.get("balance")


def of(upstream: str, url: str, on_failure: str) -> Config:
    routes = [
        route("/cached/{id}", "cached", cache={"ttl": "1h"}, price=1, refresh=True),
        route("/open/{rest:.*}", "open", access="public", cache={"ttl": "1h"}),
    ]
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    plans = {"pro": plan(GRANT, "never")}
    # Not so short that a busy machine looks like an ill Redis.
    store = shared(url, on_failure=on_failure, username=USER, password=PASSWORD, timeout="250ms")
    return config(upstream, *routes, plans=plans, keys=keys, store=store)


def let_in(redis: RedisServer, password: str = PASSWORD) -> None:
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{password}", "~*", "&*", "+@all")


@contextmanager
def running(folder: Path, upstream: ScriptedUpstream, *options: str) -> Iterator[Fleet]:
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis", *options))
        let_in(redis)
        relay = stack.enter_context(Relay(redis.port))
        upstream.script(STORED, answer("stored"))
        upstream.script(OPEN, answer("open"))
        nodes = []
        for on_failure in ("deny", "serve_stored"):
            own = folder / on_failure
            own.mkdir()
            whole = yaml.safe_dump(of(upstream.url, relay.url("redis"), on_failure))
            nodes.append(Node(own, whole))
            stack.enter_context(nodes[-1])
        yield Fleet(nodes[0], nodes[1], redis, relay, upstream)


@pytest.fixture(scope="module")
def lasting(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """On a Redis that keeps what it has answered."""
    with running(tmp_path_factory.mktemp("ill"), origin, "--appendonly", "yes", "--appendfsync", "always") as fleet:
        yield fleet


@pytest.fixture
def fleet(lasting: Fleet) -> Iterator[Fleet]:
    """In good health, with something stored in the memory of both by a metered route and by a public one."""
    for node in lasting.nodes:
        assert node.client(CALLS).get(STORED).text == "stored"
        assert node.client().get(OPEN).text == "open"
    yield lasting
    lasting.redis.go_on()
    lasting.relay.late, lasting.relay.left = 0.0, None


def said(node: Node, event: str) -> int:
    return node.log.count(f'"event":"{event}"')


def told(node: Node) -> list[bool]:
    """What the log says of Redis, line by line: whether it is reached again, or away."""
    return [found == "reached again" for found in re.findall(r'"event":"store (reached again|unreachable)"', node.log)]


def is_told_well(node: Node) -> bool:
    """Whether the log's last word on Redis is not that it is away."""
    return told(node)[-1:] != [False]


def ill(fleet: Fleet, item: str) -> None:
    """What both do while Redis does not answer; one stored response is charged at the second."""
    new = f"/cached/new-{item}"
    fleet.upstream.script(new, answer("bought"))
    for node in fleet.nodes:
        eventually(lambda node=node: node.metrics().value("gateway_store_up") == 0, RECOVERY)  # type: ignore[misc]
        asked = Stopwatch()
        refused = node.client(CALLS).get(new)
        assert (refused.status_code, refused.json()["reason"]) == (503, "ledger_unavailable")
        assert asked.seconds < SOON
        assert node.client().get(OPEN).text == "open"
        assert node.readiness(node.port, "/-/readyz") == 200
        assert "store: unreachable" in httpx.get(f"{node.admin_url}/readyz?verbose", trust_env=False).text
        seen = httpx.get(f"{node.admin_url}/-/overview", trust_env=False)
        assert (seen.status_code, seen.json()["store_up"]) == (200, False)
        assert httpx.get(node.admin_url, trust_env=False).status_code == 200
    assert fleet.refusing.client(CALLS).get(STORED).status_code == 503
    assert fleet.serving.client(CALLS).get(STORED).text == "stored"
    assert fleet.upstream.calls(new) == []


def well(fleet: Fleet, item: str, before: tuple[int, int] | None = None) -> None:
    """Both act as one again, within their time, with nothing unaccounted for and everything at work."""
    begun = Stopwatch()
    for node in fleet.nodes:
        client = node.client(CALLS)
        eventually(lambda client=client: client.get(STORED).status_code == 200, RECOVERY)  # type: ignore[misc]
        eventually(lambda node=node: node.metrics().value("gateway_store_up") == 1, RECOVERY)  # type: ignore[misc]
        assert begun.seconds < RECOVERY
    path = f"/cached/after-{item}"
    for version, refreshing in enumerate(fleet.nodes):
        fleet.upstream.script(path, answer(str(version)))
        assert refreshing.client(CALLS).get(f"{path}?force_refresh=true").status_code == 200
        assert [node.client(CALLS).get(path).text for node in fleet.nodes] == [str(version)] * 2
    made = fleet.refusing.told("keys", "create", "--id", f"made-{item}").strip()
    for node in fleet.nodes:
        # One that has just come back may not have been waited for.
        client = node.client(key_field(made))
        eventually(lambda client=client: client.get(path).status_code == 200, RECOVERY)  # type: ignore[misc]
    ordered = fleet.serving.client(CALLS).get(f"{path}?force_refresh=true", headers={"Prefer": "respond-async, wait=0"})
    assert ordered.status_code in (200, 202), ordered.text
    sound(fleet.nodes)
    for node in fleet.nodes:
        eventually(lambda node=node: is_told_well(node))  # type: ignore[misc]
        assert "Traceback" not in node.log
        # One line for each change. On a busy machine Redis may seem away more than once.
        assert all(now != earlier for earlier, now in pairwise([True, *told(node)]))
    if before is not None:
        assert all(now > earlier for now, earlier in zip(lines(fleet), before, strict=True))


def lines(fleet: Fleet) -> tuple[int, int]:
    """How many lines each has written on whether Redis is reached."""
    return len(told(fleet.refusing)), len(told(fleet.serving))


def test_frozen(fleet: Fleet, item: str) -> None:
    before, charged = lines(fleet), fleet.balance()
    fleet.redis.stop()
    until = time.monotonic() + FROZEN
    ill(fleet, item)
    served, left = 1, charged - 1
    while time.monotonic() < until or served < 5:
        assert fleet.refusing.client(CALLS).get(STORED).status_code == 503
        left = int(fleet.serving.client(CALLS).get(STORED).headers["X-Tokens-Remaining"])
        served += 1
        assert left == charged - served
    fleet.redis.go_on()
    eventually(lambda: fleet.has(charged - served), RECOVERY)
    assert said(fleet.serving, "deferred charges applied") >= 1
    well(fleet, item, before)


def test_killed_and_back_with_all_that_was_answered(fleet: Fleet, item: str) -> None:
    before = lines(fleet)
    left = [int(fleet.nodes[n % 2].client(CALLS).get(STORED).headers["X-Tokens-Remaining"]) for n in range(10)]
    fleet.redis.kill9()
    ill(fleet, item)
    fleet.redis.start()
    let_in(fleet.redis)
    eventually(lambda: fleet.refusing.client(CALLS).get(STORED).status_code == 200, RECOVERY)
    assert fleet.balance() < min(left)
    well(fleet, item, before)


@pytest.mark.parametrize("late", [0.03, 0.2])
def test_slow_but_in_time(fleet: Fleet, item: str, late: float) -> None:
    fleet.relay.late = late
    for _ in range(5):
        for node in fleet.nodes:
            assert node.client(CALLS).get(STORED).status_code in (200, 503)
            assert node.client().get(OPEN).text == "open"
    fleet.relay.late = 0.0
    well(fleet, item)


def test_too_slow(fleet: Fleet, item: str) -> None:
    fleet.relay.late = 0.6
    ill(fleet, item)
    fleet.relay.late = 0.0
    well(fleet, item)


def test_out_of_memory(fleet: Fleet, item: str) -> None:
    before = lines(fleet)
    with fleet.redis.client() as client:
        client.config_set("maxmemory", "1")
        ill(fleet, item)
        client.config_set("maxmemory", "0")
    well(fleet, item, before)


def test_read_only(fleet: Fleet, item: str) -> None:
    before = lines(fleet)
    with fleet.redis.client() as client:
        client.config_set("min-replicas-to-write", 1)
        ill(fleet, item)
        client.config_set("min-replicas-to-write", 0)
    well(fleet, item, before)


def test_a_replica_by_itself(fleet: Fleet, item: str) -> None:
    """What a failover leaves behind for as long as nobody is promoted."""
    before = lines(fleet)
    with fleet.redis.client() as client:
        client.replicaof(HOST, "1")
        ill(fleet, item)
        client.replicaof("NO", "ONE")
    well(fleet, item, before)


def test_another_password(fleet: Fleet, item: str) -> None:
    before = lines(fleet)
    let_in(fleet.redis, "another")
    with fleet.redis.client() as client:
        client.execute_command("CLIENT", "KILL", "USER", USER)
    ill(fleet, item)
    let_in(fleet.redis)
    well(fleet, item, before)


def test_scripts_flushed(fleet: Fleet, item: str) -> None:
    with fleet.redis.client() as client:
        client.script_flush()
    assert [node.client(CALLS).get(STORED).status_code for node in fleet.nodes] == [200, 200]
    well(fleet, item)


@pytest.mark.parametrize("bytes_", [0, 1, 3, 7, 20, 60, 200, 1000])
def test_cut_at_any_byte(fleet: Fleet, bytes_: int) -> None:
    before = fleet.balance()
    fleet.relay.left = bytes_
    answered = 0
    for _ in range(10):
        for node in fleet.nodes:
            reply = node.client(CALLS).get(STORED)
            assert reply.status_code in (200, 503)
            answered += reply.status_code == 200
    eventually(lambda: fleet.has(before - answered), RECOVERY)
    sound(fleet.nodes)


def test_a_promoted_replica_goes_on_with_what_was_answered(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    with running(tmp_path, upstream) as fleet:
        replica = fleet.redis.replica()
        let_in(replica)
        assert fleet.balance() == GRANT
        # It gets nothing of what follows: the gateways' memory does.
        replica.stop()
        left = [int(fleet.nodes[n % 2].client(CALLS).get(STORED).headers["X-Tokens-Remaining"]) for n in range(20)]
        sound(fleet.nodes)
        fleet.redis.kill9()
        replica.go_on()
        fleet.relay.turn_to(replica.port)
        replica.promote()
        eventually(lambda: fleet.refusing.client(CALLS).get(STORED).status_code == 200, RECOVERY)
        assert fleet.balance() < min(left)
        well(fleet, "promoted")


def test_a_redis_that_forgot_everything_grants_nobody_anew(lasting: Fleet, item: str) -> None:
    fleet = lasting
    for _ in range(10):
        fleet.serving.client(CALLS).get(STORED)
    sound(fleet.nodes)
    before = fleet.balance()
    with fleet.redis.client() as client:
        client.flushall()
    eventually(lambda: fleet.refusing.client(CALLS).get(STORED).status_code == 200, RECOVERY)
    assert fleet.balance() < before
    well(fleet, item)


def test_what_a_killed_gateway_had_served_is_charged_once(fleet: Fleet, item: str) -> None:
    """By what it left in its folder: at its next start, and not by that after it."""
    before = fleet.balance()
    fleet.redis.stop()
    eventually(lambda: fleet.serving.metrics().value("gateway_store_up") == 0, RECOVERY)
    served = [fleet.serving.client(CALLS).get(STORED).status_code for _ in range(20)]
    assert served == [200] * 20
    fleet.serving.kill9()
    fleet.redis.go_on()
    for _ in range(2):
        fleet.serving.start()
        assert fleet.balance() == before - 20
        fleet.serving.kill9()
    fleet.serving.start()
    assert list((fleet.serving.folder / "var" / "deferred").iterdir()) == []
    # Which has died without a word: that Redis is back is not said by another process.
    eventually(lambda: is_told_well(fleet.refusing))
    sound(fleet.nodes)
