"""FastLane: what it is shown it answers or gives back, whole, each exactly once."""

import asyncio
import re
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import seed_route
from fastlane.laned import ACCOUNTS, ADDRESS, ALPHA, BRAVO, Client, Laned, bearer, laned
from fastlane.parsing import head
from support.in_process import received

from gateway.admission.charge import Charge
from gateway.admission.snapshot import Every, Plan, Rate, Route, ThrottlePolicy
from gateway.fastlane import turn
from gateway.fastlane.plan import What
from gateway.fastlane.who import Who

ASKED = head("GET /v1/products/1", bearer(ALPHA))
SLOW = Plan("slow", throttle=ThrottlePolicy(Rate(1, 1.0), 1))
FAST = ThrottlePolicy(Rate(1000, 1.0), 1000)
STEADY = ("RateLimit-Policy", "X-RateLimit-Reset", "X-RateLimit-Throttle-Limit", "X-Tokens-Consumed", "Age", "Via")


async def test_a_head_that_is_too_long_is_not_looked_at(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        assert not lanes.lane.take(Client(ADDRESS), head("GET /", "A: " + "x" * 4096))


@pytest.mark.parametrize(
    "data",
    [ASKED + ASKED, ASKED + b"\r\n", b"\r\n" + ASKED, ASKED[:-1], ASKED[:-2], ASKED + b"rest", b"GET / HTTP/1.1", b""],
    ids=["two", "line-behind", "line-before", "cut", "cut-line", "more", "no-line", "nothing"],
)
async def test_what_is_not_one_whole_head_is_given_back(tmp_path: Path, data: bytes) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(ASKED) is not None
        assert await lanes.ask(data) is None


async def test_what_is_not_stored_goes_on_as_it_was_prepared(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        await lanes.hit(ASKED)
        client, fields = Client(ADDRESS), ("X-Request-Id: own", "traceparent: 00-1")
        before = lanes.preparer.times
        assert lanes.lane.take(client, head("HEAD /v1/products/2", bearer(ALPHA), *fields))
        while not client.served:  # noqa: ASYNC110 - the lane tells nobody of such things
            await asyncio.sleep(0)
        ((answering, bodiless),) = client.served
        got = await received(await answering)
        assert (got.status, got.fields["X-Request-Id"], bodiless) == (200, "own", True)
        assert "uri-miss" in got.fields["Cache-Status"]
        assert lanes.preparer.times == before + 1


async def test_what_has_expired_goes_on_as_it_was_prepared(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(ASKED) is not None
        lanes.clock.advance(100_000)
        client = Client(ADDRESS)
        assert lanes.lane.take(client, ASKED)
        while not client.served:  # noqa: ASYNC110 - the lane tells nobody of such things
            await asyncio.sleep(0)
        got = await received(await client.served[0][0])
        assert (got.status, client.declined) == (200, [])
        assert "fwd=stale" in got.fields["Cache-Status"]


@pytest.mark.parametrize(
    ("target", "further", "route"),
    [
        ("/v1/products/2?include_force_refresh=true", "Accept: */*", {}),
        ("/v1/products/2", "traceparent: 00-1", {"forward": ("Traceparent",)}),
    ],
    ids=["no plain lookup", "a field that is new in each request"],
)
async def test_what_more_decides_on_than_is_known_is_given_back(
    tmp_path: Path, target: str, further: str, route: dict[str, Any]
) -> None:
    async with laned(tmp_path, replace(seed_route(), **route)) as lanes:
        await lanes.hit(ASKED)
        await lanes.ask_full(head("GET /v1/products/1", bearer(ALPHA), further))
        client = Client(ADDRESS)
        assert lanes.lane.take(client, head(f"GET {target}", bearer(ALPHA), further))
        while not client.served and not client.declined:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert client.declined


async def test_each_of_a_turn_is_answered_on_its_own_or_given_back(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        other, unknown = head("GET /v1/products/1", bearer(BRAVO)), head("GET /v1/products/2", bearer(ALPHA))
        for data in (ASKED, other):
            await lanes.hit(data)
        before = lanes.charged(ALPHA), lanes.charged(BRAVO)
        told = await lanes.ask_at_once((ASKED, unknown, ASKED, other, unknown, ASKED))
        assert [got is not None for got in told] == [True, False, True, True, False, True]
        assert (lanes.charged(ALPHA), lanes.charged(BRAVO)) == (before[0] + 3, before[1] + 1)
        ids = [got.fields["X-Request-Id"] for got in told if got is not None]
        assert len(set(ids)) == len(ids)


async def test_hits_save_a_call_each_and_the_tokens_that_they_are_charged(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        dear = head("GET /v1/products/1?include_offers=1", bearer(ALPHA))
        metrics, spent = lanes.way.metrics, []
        for data in (ASKED, dear):
            await lanes.ask_full(data)
        assert (metrics.calls_saved["product",], metrics.tokens_saved["product",]) == (0, 0)
        spent.append(lanes.charged(ALPHA))
        assert None not in await lanes.ask_at_once((ASKED, dear, ASKED, ASKED, dear))
        spent.append(lanes.charged(ALPHA))
        assert (metrics.calls_saved["product",], metrics.tokens_saved["product",]) == (5, 3 * 1 + 2 * 6)
        assert spent[1] - spent[0] == 3 * 1 + 2 * 6


@pytest.mark.parametrize("query", ["", "?include_offers=1"], ids=["counted", "charged-alone"])
async def test_whoever_the_throttle_has_no_room_for_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """Also where it has room again before the turn is over: each gets one answer, or is given back."""
    async with laned(tmp_path, seed_route(), accounts={ALPHA: replace(ACCOUNTS[ALPHA], plan=SLOW)}) as lanes:
        data = head(f"GET /v1/products/1{query}", bearer(ALPHA))
        assert (await lanes.ask_full(data)).status == 200
        lanes.clock.advance(5)
        before, steady = lanes.charged(ALPHA), lanes.clock.steady

        def later() -> float:
            lanes.clock.steady_now += 0.6
            return steady()

        monkeypatch.setattr(lanes.clock, "steady", later)
        told = await lanes.ask_at_once((data,) * 4)
        assert [got is not None for got in told] == [True, False, False, False]
        assert lanes.charged(ALPHA) - before == (6 if query else 1)


async def test_behind_a_proxy_the_same_head_at_once_is_another(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route(), trusted_proxies=("198.51.100.7",)) as lanes:
        assert await lanes.hit(ASKED) is not None
        assert await lanes.ask(ASKED, "198.51.100.7") is None
        assert await lanes.hit(ASKED, "198.51.100.7") is not None


async def test_what_was_charged_before_a_bug_is_answered_and_not_charged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        data = head("GET /v1/products/1?include_offers=1", bearer(ALPHA))
        assert await lanes.hit(data) is not None
        before, charge, calls = lanes.charged(ALPHA), lanes.way.meter.charge, count(1)

        def charged(*asked: Any) -> Charge:
            if next(calls) == 3:
                raise RuntimeError
            return charge(*asked)

        monkeypatch.setattr(lanes.way.meter, "charge", charged)
        told = await lanes.ask_at_once((data,) * 5)
        assert [got is not None for got in told] == [True, True, False, False, False]
        assert lanes.charged(ALPHA) - before == 2 * 6


async def test_a_bug_in_making_the_answers_charges_nobody_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> list[bytes]:
        raise RuntimeError

    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(ASKED) is not None
        before, clients = lanes.charged(ALPHA), [Client(ADDRESS) for _ in range(3)]
        monkeypatch.setattr(turn, "messages", broken)
        taken = [lanes.lane.take(client, ASKED) for client in clients]
        assert all(taken)
        while not clients[-1].failed:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0)
        assert [(client.failed, client.sent, client.declined) for client in clients] == [(1, [], [])] * 3
        assert lanes.charged(ALPHA) - before == 3


async def test_of_very_many_some_wait_for_the_next_turn(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(ASKED) is not None
        clients = [Client(ADDRESS) for _ in range(600)]
        taken = [lanes.lane.take(client, ASKED) for client in clients]
        assert all(taken)
        while not clients[0].sent:  # noqa: ASYNC110 - turns are counted here
            await asyncio.sleep(0)
        assert not clients[-1].sent
        while not clients[-1].sent:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert [len(client.sent) for client in clients] == [1] * 600


@pytest.mark.parametrize("route", [seed_route(), seed_route(tokens_in_body=True)], ids=["plain", "tokens"])
async def test_what_is_said_of_limits_is_what_the_full_lane_says_in_each_second(tmp_path: Path, route: Route) -> None:
    """Of two accounts with other limits, in turn and several at once; few of their forms are kept."""
    plans = {ALPHA: Plan("small", 500, Every.month, FAST), BRAVO: Plan("large", 900, Every.day, FAST)}
    accounts = {key: replace(ACCOUNTS[key], plan=plan) for key, plan in plans.items()}
    async with laned(tmp_path, route, accounts=accounts) as lanes:
        heads = [head("GET /v1/products/1", bearer(key), "Origin: https://100%.example") for key in plans]
        for data in heads:
            assert await lanes.hit(data) is not None
        for _ in range(6):
            lanes.clock.advance(0.7)
            for data in heads:
                _, fast = await lanes.ask_at_once((data, data))
                full = await lanes.ask_full(data)
                assert fast is not None
                assert [fast.fields.get(name) for name in STEADY] == [full.fields.get(name) for name in STEADY]
                assert re.findall(r";t=\d+", fast.fields["RateLimit"]) == re.findall(
                    r";t=\d+", full.fields["RateLimit"]
                )
        what = lanes.planning.find(who(lanes, heads[0]), b"GET /v1/products/1 HTTP/1.1", ADDRESS, lanes.clock.steady())
        assert isinstance(what, What)
        assert 0 < len(what.plan.forms) <= 4


def who(lanes: Laned, data: bytes) -> Who:
    known = lanes.heads.known(ADDRESS).get(data[data.find(b"\r\n") :])
    assert known is not None
    return known
