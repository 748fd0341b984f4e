"""What goes wrong, or changes, around the fast lane's turn: nothing free, nothing lost, nothing twice, nothing old."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import patch

import pytest
from fastlane.twins import Twin, alone, journal_failing
from listener.doors import until
from support.config import KEY, OTHER_KEY, Config, config, plan, product_route, route
from support.embedded import ledger_of
from support.scripts import answer
from support.wire import Answer
from support.wire import Connection as Wire

from gateway.ledger.balance import Balance
from gateway.ledger.journal import Journal

pytestmark = pytest.mark.slow

GRANT = 10_000
PRODUCT = "/v1/products/1"
MANY = 40


def metered(*routes: Config, grant: int = GRANT, every: str = "never", **rest: Any) -> Config:
    """Alpha and bravo with a plan of their own each, unless `rest` says otherwise."""
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}, {"id": "bravo", "key": OTHER_KEY, "plan": "pro"}]
    whole: Config = {"keys": keys, "plans": {"pro": plan(grant, every)}} | rest
    return config("http://origin.example", *(routes or (product_route(),)), **whole)


def ask(target: str = PRODUCT, *lines: str, key: str = KEY, method: str = "GET") -> bytes:
    head = [f"{method} {target} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {key}", *lines, "", ""]
    return "\r\n".join(head).encode()


HIT = ask()


def balance(twin: Twin, holder: str = "alpha") -> Balance:
    return ledger_of(twin.gateway).accounts.balance(holder)


async def told(wire: Wire, head: bytes = HIT) -> Answer:
    wire.send(head)
    return await wire.answer()


async def taught(twin: Twin, *heads: bytes) -> None:
    """What is asked for is stored, and the lane has learnt who asks."""
    for head in heads or (HIT,):
        await twin.alone(head)
    await ledger_of(twin.gateway).booked()
    twin.sent.clear()


async def callers(twin: Twin, count: int) -> list[Wire]:
    wires = [await twin.connect() for _ in range(count)]
    await until(lambda: twin.gateway._listener.census.total >= count)
    return wires


async def at_once(twin: Twin, heads: Sequence[bytes]) -> list[Answer]:
    """Each from a connection of its own, all sent before the gateway has a turn."""
    wires = await callers(twin, len(heads))
    for wire, head in zip(wires, heads, strict=True):
        wire.send(head)
    answers = await asyncio.gather(*(wire.answer() for wire in wires))
    for wire in wires:
        wire.writer.transport.abort()
    return answers


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


async def assert_sound(twin: Twin) -> None:
    """The ledger agrees with itself, on disk as in memory, and nothing is under way."""
    await ledger_of(twin.gateway).booked()
    assert await ledger_of(twin.gateway).drift() == 0
    assert balance(twin).reserved == 0


@pytest.mark.parametrize("target", [PRODUCT, f"{PRODUCT}?include_offers=true"], ids=["counted", "with receipts"])
@pytest.mark.parametrize("durability", ["process", "power"])
async def test_what_the_journal_does_not_take_is_refused_and_free(tmp_path: Path, durability: str, target: str) -> None:
    async with alone(tmp_path, metered(store={"durability": durability})) as (twin, _):
        await taught(twin, ask(target))
        before = balance(twin).charged
        with journal_failing(twin):
            answers = await at_once(twin, [ask(target)] * MANY)
        assert statuses(answers) == {503: MANY}
        assert {answer.json()["reason"] for answer in answers} == {"ledger_unavailable"}
        assert (balance(twin).charged, twin.sent, twin.declined >= MANY) == (before, [], True)
        answers = await at_once(twin, [ask(target)] * MANY)
        assert statuses(answers) == {200: MANY}
        price = int(answers[0].field("X-Tokens-Consumed") or 0)
        assert balance(twin).charged == before + MANY * price
        assert len({answer.field("X-Tokens-Remaining") for answer in answers}) == MANY
        await assert_sound(twin)


async def test_where_the_journal_takes_it_again_each_is_charged_once(tmp_path: Path) -> None:
    """The group of the turn failed, what its hits were declined to did not."""
    async with alone(tmp_path, metered()) as (twin, _):
        await taught(twin)
        before, journal, failed = balance(twin).charged, ledger_of(twin.gateway)._journal, 0
        append = journal.append

        def once(payload: bytes) -> int:
            nonlocal failed
            if not failed:
                failed += 1
                raise OSError(28, "No space left on device")
            return append(payload)

        with patch.object(journal, "append", once):
            answers = await at_once(twin, [HIT] * MANY)
        assert failed == 1
        assert twin.declined >= 1
        assert statuses(answers) == {200: MANY}
        assert balance(twin).charged == before + MANY
        await assert_sound(twin)


async def test_hits_that_cost_nothing_need_no_journal(tmp_path: Path) -> None:
    public = route("/open/{id}", "open", access="public", cache="60s")
    head = b"GET /open/1 HTTP/1.1\r\nHost: gateway\r\n\r\n"
    async with alone(tmp_path, metered(public)) as (twin, _):
        await taught(twin, head)
        with journal_failing(twin):
            answers = await at_once(twin, [head] * MANY)
        assert statuses(answers) == {200: MANY}
        assert len(twin.sent) == MANY


@pytest.mark.parametrize("reachable", [True, False], ids=["synced", "not synced"])
async def test_no_answer_leaves_before_its_charge_is_on_the_disk_itself(tmp_path: Path, reachable: bool) -> None:
    async with alone(tmp_path, metered(store={"durability": "power"})) as (twin, _):
        await taught(twin)
        before, synced, sync = balance(twin).charged, Event(), Journal.sync

        def slow(self: Journal) -> None:
            synced.wait(20)
            if not reachable:
                raise OSError(5, "Input/output error")
            sync(self)

        with patch.object(Journal, "sync", slow):
            wires = await callers(twin, MANY)
            for wire in wires[1:]:
                wire.send(HIT)
            await until(lambda: balance(twin).charged > before)
            # Others come while that group is on its way.
            wires[0].send(HIT)
            await until(lambda: balance(twin).charged == before + MANY)
            assert not twin.sent
            synced.set()
            answers = await asyncio.gather(*(wire.answer() for wire in wires))
        assert statuses(answers) == {200 if reachable else 503: MANY}
        assert (balance(twin).charged, len(twin.sent)) == ((before + MANY, MANY) if reachable else (before, 0))
        for wire in wires:
            wire.hang_up()
        await assert_sound(twin)


async def test_an_answer_tells_of_the_period_that_it_was_charged_in(tmp_path: Path) -> None:
    """Also where the next one begins, and the lane goes by that, while its charge is on the way to the disk."""
    pro, days = plan(GRANT, "day", throttle={"rate": "600/min"}), product_route(cache="90d")
    async with alone(tmp_path, metered(days, plans={"pro": pro}, store={"durability": "power"})) as (twin, clock):
        await taught(twin)
        synced, sync = Event(), Journal.sync

        def slow(self: Journal) -> None:
            synced.wait(20)
            sync(self)

        with patch.object(Journal, "sync", slow):
            first, second, third = wires = await callers(twin, 3)
            first.send(HIT)
            await until(lambda: balance(twin).charged == 2)
            clock.advance(12 * 3600)
            second.send(HIT)
            await until(lambda: balance(twin).charged == 3)
            third.send(HIT)
            await until(lambda: balance(twin).charged == 4)
            synced.set()
            answers = [await wire.answer() for wire in wires]
        told = [(got.field("X-Tokens-Remaining"), str(got.field("X-RateLimit-Reset"))[:10]) for got in answers]
        assert told == [(str(GRANT - 2), "2026-01-16"), (str(GRANT - 1), "2026-01-17"), (str(GRANT - 2), "2026-01-17")]
        assert len(twin.sent) == 2
        for wire in wires:
            wire.hang_up()
        await assert_sound(twin)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("after", [0, 2, 3])
@pytest.mark.parametrize("durability", ["process", "power"])
async def test_a_client_that_leaves_is_charged_once_at_most(tmp_path: Path, durability: str, after: int) -> None:
    async with alone(tmp_path, metered(store={"durability": durability})) as (twin, _):
        await taught(twin)
        before, wires = balance(twin).charged, await callers(twin, MANY)
        for wire in wires:
            wire.send(HIT)
        await turns(after)
        for wire in wires[::2]:
            wire.hang_up()
        answers = await asyncio.gather(*(wire.answer() for wire in wires[1::2]))
        assert statuses(answers) == {200: MANY // 2}
        for wire in wires[1::2]:
            wire.hang_up()
        await until(lambda: not twin.gateway._listener.census.total)
        assert MANY // 2 <= balance(twin).charged - before <= MANY
        assert (await at_once(twin, [HIT]))[0].status == 200
        await assert_sound(twin)


async def test_a_client_that_never_reads_takes_no_memory_and_is_cut_off(tmp_path: Path) -> None:
    big, limits = route("/big/{id}", "big", cache="15m"), {"write_timeout": "300ms"}
    head, size = ask("/big/1"), 60_000
    async with alone(tmp_path, metered(big, limits=limits)) as (twin, _):
        twin.upstream.script("/big/1", answer(b"a" * size))
        await taught(twin, head)
        async with await twin.connect() as wire:
            connection = None
            # As much as the sockets in between take, and then some: what the client cannot send waits with it.
            for _ in range(2000):
                wire.send(head)
                await turns(3)
                connections = twin.gateway._listener._protocols.connections
                if not connections:
                    break
                (connection,) = connections
                assert connection.transport is not None
                assert connection.transport.get_write_buffer_size() < 64 * 1024 + size + 2000
            assert connection is not None
            await until(lambda: not twin.gateway._listener.census.total)
        assert 0 < len(twin.sent) < 2000
        assert balance(twin).charged == len(twin.sent) + 1
        await assert_sound(twin)


async def test_half_of_a_thousand_get_what_there_are_tokens_for(tmp_path: Path) -> None:
    async with alone(tmp_path, metered(grant=501)) as (twin, _):
        await taught(twin)
        answers = await at_once(twin, [HIT] * 1000)
        assert statuses(answers) == {200: 500, 402: 500}
        remaining = [int(got.field("X-Tokens-Remaining") or 0) for got in answers if got.status == 200]
        assert sorted(remaining) == list(range(500))
        assert {got.json()["reason"] for got in answers if got.status == 402} == {"quota_exhausted"}
        assert (balance(twin).charged, balance(twin).balance) == (501, 0)
        assert len(twin.sent) > 400
        await assert_sound(twin)


async def test_a_thousand_at_once_against_a_throttle(tmp_path: Path) -> None:
    plans = {"pro": plan(GRANT, "never", throttle={"rate": "60/min", "burst": 101})}
    async with alone(tmp_path, metered(plans=plans)) as (twin, clock):
        await taught(twin)
        answers = await at_once(twin, [HIT] * 1000)
        assert statuses(answers) == {200: 100, 429: 900}
        left = [int(got.field("X-RateLimit-Throttle-Remaining") or 0) for got in answers if got.status == 200]
        assert sorted(left) == list(range(100))
        assert balance(twin).charged == 101
        clock.advance(7.0)
        assert statuses(await at_once(twin, [HIT] * 20)) == {200: 7, 429: 13}
        await assert_sound(twin)


async def test_several_keys_of_one_balance_in_one_turn(tmp_path: Path) -> None:
    keys = [{"id": f"k{n}", "key": f"rk_live_{n}_0123456789abcdefghij", "organization": "acme"} for n in range(5)]
    organizations = {"acme": {"plan": "pro", "balance": "organization"}}
    heads = [ask(key=str(key["key"])) for key in keys]
    async with alone(tmp_path, metered(keys=keys, organizations=organizations, grant=105)) as (twin, _):
        await taught(twin, *heads)
        answers = await at_once(twin, heads * 40)
        assert statuses(answers) == {200: 100, 402: 100}
        remaining = [int(got.field("X-Tokens-Remaining") or 0) for got in answers if got.status == 200]
        assert sorted(remaining) == list(range(100))
        assert len(twin.sent) > 50
        assert balance(twin, "org:acme").charged == 105
        await assert_sound(twin)


async def test_a_hundred_keys_and_a_hundred_things(tmp_path: Path) -> None:
    """Client's count, ledger and metrics agree."""
    keys = [{"id": f"k{n}", "key": f"rk_live_{n:03}_0123456789abcdefgh", "plan": "pro"} for n in range(100)]
    async with alone(tmp_path, metered(keys=keys)) as (twin, _):
        consumed: Counter[str] = Counter()

        async def one(number: int) -> None:
            async with await twin.connect() as wire:
                for step in range(100):
                    key = keys[(number * 7 + step) % 100]
                    item, paid = step * 3 % 100, step % 4 == 0
                    target = f"/v1/products/{item}{'?include_offers=true' if paid else ''}"
                    got = await told(wire, ask(target, key=str(key["key"])))
                    assert got.status == 200
                    consumed[str(key["id"])] += int(got.field("X-Tokens-Consumed") or 0)

        # In the first all ask for what is not there yet, together.
        for _ in range(2):
            await asyncio.gather(*(one(number) for number in range(10)))
        assert {name: balance(twin, name).charged for name in consumed} == dict(consumed)
        lines = [str(line) for line in await twin.metrics()]
        charged = sum(float(line.split()[-1]) for line in lines if line.startswith("gateway_tokens_charged_total"))
        answered = sum(float(line.split()[-1]) for line in lines if line.startswith("gateway_requests_total"))
        durations = [line for line in lines if line.startswith("gateway_request_duration_seconds_count")]
        assert (charged, answered) == (sum(consumed.values()), 2000)
        assert sum(float(line.split()[-1]) for line in durations) == 2000
        assert len(twin.sent) > 800
        await assert_sound(twin)


async def test_a_drain_while_many_ask(tmp_path: Path) -> None:
    """Each got what it was charged for, whole; who was told of the end, or not answered at all, was not charged."""

    async def asking(twin: Twin) -> int:
        answered = 0
        async with await twin.connect() as wire:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    got = await told(wire)
                    assert (got.status, got.complete) == (200, True)
                    answered += 1
                    if got.field("Connection") == "close":
                        assert await wire.ended() == b""
                        break
        return answered

    async with alone(tmp_path, metered(grant=10**6)) as (twin, _):
        await taught(twin)
        before, spent = balance(twin).charged, balance(twin)
        clients = [asyncio.create_task(asking(twin)) for _ in range(200)]
        await until(lambda: len(twin.sent) > 1000)
    assert sum(await asyncio.gather(*clients)) == spent.charged - before
    assert spent.drift == 0
