"""What changes between two requests of one connection acts on the very next, though the lane has answered the first."""

from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from crash.books import opened
from fastlane.twins import Twin, alone
from support.clock import FakeClock
from support.config import KEY, OTHER_KEY, SEED_PRICE, Config, config, plan, product_route, route
from support.embedded import ledger_of
from support.wire import Answer
from support.wire import Connection as Wire

from gateway.keys.orders import Creation, Rotation, ordered
from gateway.ledger.balance import Balance
from gateway.stores.selection import Everything

pytestmark = pytest.mark.slow

GRANT = 100
PRODUCT = "/v1/products/1"
DAY = 86400.0


def whole(*routes: Config, **rest: Any) -> Config:
    base: Config = {
        "keys": [{"id": "alpha", "key": KEY, "plan": "pro"}],
        "plans": {"pro": plan(GRANT, "month")},
        "log": {"sample": {"hit": "all"}},
    }
    return config("http://origin.example", *(routes or (product_route(),)), **(base | rest))


def ask(key: str = KEY, method: str = "GET", target: str = PRODUCT, *lines: str) -> bytes:
    head = [f"{method} {target} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {key}", *lines, "", ""]
    return "\r\n".join(head).encode()


async def told(twin: Twin, wire: Wire, head: bytes) -> tuple[Answer, bool]:
    """The answer, and whether the lane gave it."""
    before = len(twin.sent)
    wire.send(head)
    answer = await wire.answer()
    return answer, len(twin.sent) > before


async def hit(twin: Twin, wire: Wire, head: bytes) -> Answer:
    """One that the lane gives."""
    answer, fast = await told(twin, wire, head)
    assert (answer.status, fast) == (200, True)
    return answer


async def stored(twin: Twin, clock: FakeClock, head: bytes) -> None:
    """It is, and who asks is known; some part of a second old, so that what the lane remembers holds for a while."""
    await twin.alone(head)
    clock.advance(0.25)


def balance(twin: Twin, holder: str = "alpha") -> Balance:
    return ledger_of(twin.gateway).accounts.balance(holder)


Act = Callable[[Twin, FakeClock], Awaitable[None]]


def reloaded(*routes: Config, **rest: Any) -> Act:
    async def act(twin: Twin, clock: FakeClock) -> None:
        await twin.reload(whole(*routes, **rest))

    return act


async def another(twin: Twin, clock: FakeClock, *, head: bytes) -> None:
    """Somebody else asks for something."""
    await twin.alone(head)


async def purged(twin: Twin, clock: FakeClock, *, hard: bool) -> None:
    await twin.gateway._cache.purge(Everything(), hard=hard)


def passed(seconds: float) -> Act:
    async def act(twin: Twin, clock: FakeClock) -> None:
        clock.advance(seconds)

    return act


@dataclass(frozen=True)
class Change:
    """What happens between two hits, and what the second request gets then: a status, and what its fields hold."""

    id: str
    act: Act
    status: int = 200
    fields: tuple[tuple[str, str], ...] = ()


MISS = ("Cache-Status", "gateway; fwd=uri-miss; fwd-status=200; stored")
STALE = ("Cache-Status", "gateway; fwd=stale; fwd-status=200; stored")
UNSTORED = ("Cache-Status", 'gateway; fwd=stale; fwd-status=200; detail="the response has no freshness lifetime"')
OTHER_PRICE = SEED_PRICE | {"base": 2}
THROTTLED = {"pro": plan(GRANT, "month", throttle={"rate": "7/min"})}

CHANGES = [
    Change("key removed", reloaded(keys=[{"id": "bravo", "key": OTHER_KEY}]), 401),
    Change("key exchanged", reloaded(keys=[{"id": "alpha", "key": OTHER_KEY, "plan": "pro"}]), 401),
    Change("key expired", reloaded(keys=[{"id": "alpha", "key": KEY, "expires": "2026-01-15T11:00:00Z"}]), 401),
    Change("may not look", reloaded(keys=[{"id": "alpha", "key": KEY, "scopes": ["refresh"]}]), 403),
    Change("another's key", reloaded(keys=[{"id": "bravo", "key": KEY}]), 200, (("X-Tokens-Consumed", "1"),)),
    Change("route gone", reloaded(route("/else/{id}", "else")), 404),
    Change("price", reloaded(product_route(price=OTHER_PRICE)), 200, (("X-Tokens-Consumed", "2"),)),
    Change("plan", reloaded(plans={"pro": plan(1000, "month")}), 200, (("X-Tokens-Remaining", "997"),)),
    Change("plan too small", reloaded(plans={"pro": plan(1, "month")}), 200, (("X-Tokens-Remaining", "97"),)),
    Change("throttle", reloaded(plans=THROTTLED), 200, (("X-RateLimit-Throttle-Remaining", "6"),)),
    Change("lifetime", reloaded(product_route(cache={"ttl": "60s"})), 200, (("Cache-Status", "gateway; hit; ttl=59"),)),
    Change("stored no more", reloaded(product_route(cache={"ttl": "0s"})), 200, (UNSTORED,)),
    Change("whose it is", reloaded(product_route(cache={"ttl": "15m", "share": "key"})), 200, (MISS,)),
    Change("purged", partial(purged, hard=True), 200, (MISS,)),
    Change("outdated", partial(purged, hard=False), 200, (STALE,)),
    Change("refreshed", partial(another, head=ask(target=f"{PRODUCT}?force_refresh=true")), 200, (("Age", "0"),)),
    Change("posted", partial(another, head=ask(KEY, "POST", f"{PRODUCT}/refresh", "Content-Length: 0")), 200, (STALE,)),
    Change("changed", partial(another, head=ask(KEY, "PUT", PRODUCT, "Content-Length: 0")), 200, (STALE,)),
    Change("a lifetime later", passed(901.0), 200, (STALE,)),
    Change("just before", passed(899.5), 200, (("Cache-Status", "gateway; hit; ttl=0"), ("Age", "899"))),
    Change("a month later", passed(31 * DAY), 200, (STALE, ("X-Tokens-Remaining", str(GRANT - 1)))),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
async def test_the_next_goes_by_it(tmp_path: Path, change: Change) -> None:
    async with alone(tmp_path, whole()) as (twin, clock):
        await stored(twin, clock, ask())
        async with await twin.connect() as wire:
            await hit(twin, wire, ask())
            await change.act(twin, clock)
            answer, _ = await told(twin, wire, ask())
            assert answer.status == change.status
            assert [(name, answer.field(name)) for name, _ in change.fields] == list(change.fields)
            calls = len(twin.upstream.calls(PRODUCT))
            if answer.status == 200:
                assert answer.json()["call"] == calls
        assert await ledger_of(twin.gateway).drift() == 0


async def test_a_renamed_account_spends_what_it_had(tmp_path: Path) -> None:
    async with alone(tmp_path, whole()) as (twin, clock):
        await stored(twin, clock, ask())
        async with await twin.connect() as wire:
            await hit(twin, wire, ask())
            await twin.reload(whole(keys=[{"id": "renamed", "key": KEY, "plan": "pro", "formerly": "alpha"}]))
            answer, _ = await told(twin, wire, ask())
            assert answer.field("X-Tokens-Remaining") == str(GRANT - 3)
            await hit(twin, wire, ask())
        assert balance(twin, "renamed").balance == GRANT - 4
        lines = [line["account"] for line in twin.logged if line.get("event") == "request"]
        assert set(lines) == {"alpha", "renamed"}


async def test_the_lane_switched_off_and_on(tmp_path: Path) -> None:
    async with alone(tmp_path, whole()) as (twin, clock):
        await stored(twin, clock, ask())
        async with await twin.connect() as wire:
            first = await hit(twin, wire, ask())
            twin.fast = False
            await twin.reload(whole())
            second, fast = await told(twin, wire, ask())
            assert (second.status, fast, second.body[:20]) == (200, False, first.body[:20])
            twin.fast = True
            await twin.reload(whole())
            await told(twin, wire, ask())
            await hit(twin, wire, ask())


@pytest.mark.parametrize("way", ["revoked", "rotated", "expired", "made again"])
async def test_a_made_key_that_holds_no_more(tmp_path: Path, way: str) -> None:
    async with alone(tmp_path, whole()) as (twin, clock):
        keyring = twin.gateway._keyring
        until = datetime.fromtimestamp(clock.wall() + 60, UTC).isoformat()
        order = ordered(Creation, {"id": "made", "plan": "pro", "expires": until})
        secret = (await keyring.create(order)).secret
        assert secret is not None
        await stored(twin, clock, ask(secret))
        async with await twin.connect() as wire:
            await hit(twin, wire, ask(secret))
            match way:
                case "revoked":
                    await keyring.revoke("made")
                case "rotated":
                    await keyring.rotate("made", ordered(Rotation, {"overlap": "30s"}))
                    await told(twin, wire, ask(secret))
                    await hit(twin, wire, ask(secret))
                    clock.advance(31)
                case "expired":
                    clock.advance(60)
                case _:
                    await keyring.revoke("made")
                    await keyring.create(ordered(Creation, {"id": "made", "plan": "pro"}))
            answer, fast = await told(twin, wire, ask(secret))
            assert (answer.status, fast) == (401, False)


HOUR = 3600.0


@pytest.mark.parametrize("jump", [-HOUR, HOUR, -0.5, 59.9, -31 * DAY], ids=str)
async def test_a_wall_clock_that_jumps_makes_nothing_stale_or_free(tmp_path: Path, jump: float) -> None:
    async with alone(tmp_path, whole(plans={"pro": plan(GRANT, "never")})) as (twin, clock):
        await stored(twin, clock, ask())
        async with await twin.connect() as wire:
            await hit(twin, wire, ask())
            clock.wall_now += jump
            for left in (97, 96):
                answer = await hit(twin, wire, ask())
                assert answer.field("Cache-Status") == "gateway; hit; ttl=899"
                assert answer.field("X-Tokens-Remaining") == str(left)
            clock.wall_now -= jump
            assert (await hit(twin, wire, ask())).field("X-Tokens-Remaining") == "95"
        await ledger_of(twin.gateway).booked()
        assert (balance(twin).charged, await ledger_of(twin.gateway).drift()) == (5, 0)


async def test_a_new_period_grants_anew_and_the_old_ones_rest_lapses(tmp_path: Path) -> None:
    async with alone(tmp_path, whole(product_route(cache="90d"), plans={"pro": plan(3, "day")})) as (twin, clock):
        await stored(twin, clock, ask())
        async with await twin.connect() as wire:
            for left in ("1", "0"):
                assert (await hit(twin, wire, ask())).field("X-Tokens-Remaining") == left
            answer, _ = await told(twin, wire, ask())
            assert (answer.status, answer.field("Retry-After")) == (429, str(12 * 3600))
            clock.advance(12 * HOUR)
            for left in ("2", "1"):
                answer, _ = await told(twin, wire, ask())
                assert (answer.status, answer.field("X-Tokens-Remaining")) == (200, left)
        assert len(twin.sent) >= 3


async def test_each_minute_has_its_own_count(tmp_path: Path) -> None:
    async with alone(tmp_path, whole(product_route(cache="1h"))) as (twin, clock):
        await stored(twin, clock, ask())
        async with await twin.connect() as wire:
            for _ in range(3):
                await hit(twin, wire, ask())
                clock.advance(60)
        await ledger_of(twin.gateway).booked()
        assert [tokens for _, tokens in minutes(twin)] == [2, 1, 1]


def minutes(twin: Twin) -> list[tuple[int, int]]:
    """The minutes that the book has lookups of, and their tokens."""
    query = "SELECT minute, charged FROM open WHERE kind = 'lookups' UNION SELECT minute, charged FROM chain"
    with closing(opened(twin.store / "book.sqlite3")) as db:
        return sorted((row["minute"], row["charged"]) for row in db.execute(query) if row["charged"])
