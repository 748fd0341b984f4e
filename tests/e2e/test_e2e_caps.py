"""The cap on force refreshes over any 60 s, through kill -9 and clocks that are set: never above it, never below 99."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crash.clocks import ShiftedClock
from crash.evidence import at_rest
from crash.launched import LaunchedGateway
from support.config import KEY, OTHER_KEY, Config, config, product_route
from support.polling import eventually
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

CAP = 100
WINDOW = 60.0
HOUR = 3600.0
KEYS = (KEY, OTHER_KEY)


@dataclass(frozen=True, slots=True)
class Burst:
    """`asked` force refreshes of which `admitted` were; all between `since` and `until` on the steady clock."""

    since: float
    until: float
    asked: int
    admitted: int


@dataclass(slots=True)
class Witness:
    """Asks, and remembers all that was admitted."""

    gateway: LaunchedGateway
    clock: ShiftedClock
    bursts: list[Burst] = field(default_factory=list)

    async def ask(self, count: int) -> Burst:
        """`count` at once, by two keys of the organization in turn."""
        since = self.clock.steady
        statuses = await asyncio.gather(*(self._refresh(number) for number in range(count)))
        assert set(statuses) <= {200, 429}, statuses
        burst = Burst(since, self.clock.steady, count, statuses.count(200))
        self.bursts.append(burst)
        return burst

    async def look_up(self) -> None:
        """A plain lookup, in the book before this returns: what a book forgets, it forgets when it is written."""
        async with await Connection.open(self.gateway.address) as connection:
            connection.request("GET", "/v1/products/0", f"Authorization: Bearer {KEY}")
            assert (await connection.answer()).status == 200
        await asyncio.to_thread(eventually, lambda: at_rest(self.gateway.store))

    async def _refresh(self, number: int) -> int:
        async with await Connection.open(self.gateway.address) as connection:
            key = f"Authorization: Bearer {KEYS[number % 2]}"
            connection.request("GET", f"/v1/products/{number}?force_refresh=true", key)
            answer = await connection.answer()
        if answer.status == 429:
            assert answer.json()["reason"] == "force_refresh_capped"
        return answer.status

    def too_many(self) -> list[list[Burst]]:
        """Runs of bursts that surely lie within one window and hold more than the cap."""
        runs = [self._surely_with(first) for first in range(len(self.bursts))]
        return [run for run in runs if sum(burst.admitted for burst in run) > CAP]

    def too_few(self) -> list[Burst]:
        """Bursts that were refused although there was room, but for one."""
        return [
            burst
            for number, burst in enumerate(self.bursts)
            if burst.admitted < min(burst.asked, CAP - 1 - self._maybe_before(number))
        ]

    def _surely_with(self, first: int) -> list[Burst]:
        since = self.bursts[first].since
        return [burst for burst in self.bursts[first:] if burst.until - since <= WINDOW]

    def _maybe_before(self, number: int) -> int:
        since = self.bursts[number].since
        return sum(burst.admitted for burst in self.bursts[:number] if since - burst.until <= WINDOW)


def capped(url: str) -> Config:
    keys = [{"id": name, "key": key, "organization": "acme"} for name, key in zip("ab", KEYS, strict=True)]
    return config(url, product_route(), keys=keys, organizations={"acme": {"caps": {"force_refresh": f"{CAP}/min"}}})


@pytest.fixture
def witness(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[Witness]:
    clock = ShiftedClock(tmp_path / "clock")
    with LaunchedGateway(tmp_path, capped(upstream.url), "clock", str(clock.path)) as running:
        yield Witness(running, clock)


def restart(witness: Witness) -> None:
    witness.gateway.kill9()
    witness.gateway.start()


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 0.0], ids=["forward", "back", "still"])
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "running"])
async def test_a_full_window_stays_full_until_it_has_passed(witness: Witness, jump: float, killed: bool) -> None:
    assert (await witness.ask(150)).admitted == CAP
    witness.clock.jump(jump)
    await witness.look_up()
    if killed:
        await asyncio.to_thread(restart, witness)
    assert (await witness.ask(20)).admitted == 0
    witness.clock.jump(-jump)
    assert (await witness.ask(20)).admitted == 0
    witness.clock.advance(WINDOW + 1)
    assert (await witness.ask(150)).admitted == CAP


async def test_the_window_slides(witness: Witness) -> None:
    assert (await witness.ask(60)).admitted == 60
    witness.clock.advance(40)
    await asyncio.to_thread(restart, witness)
    assert (await witness.ask(60)).admitted == 40
    witness.clock.advance(30)
    assert (await witness.ask(80)).admitted == 60
    assert (witness.too_many(), witness.too_few()) == ([], [])


@pytest.mark.parametrize("seed", [1, 2])
async def test_any_window_whatever_happens_to_clock_and_process(witness: Witness, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(16):
        witness.clock.advance(chance.choice((0.0, 1.0, 7.0, 20.0, 45.0, 61.0)))
        if chance.random() < 0.3:
            witness.clock.jump(chance.choice((HOUR, -HOUR)))
        if chance.random() < 0.3:
            await witness.look_up()
        if chance.random() < 0.25:
            await asyncio.to_thread(restart, witness)
        await witness.ask(chance.choice((1, 10, 40, 120)))
    assert (witness.too_many(), witness.too_few()) == ([], [])
    assert sum(burst.admitted for burst in witness.bursts) < sum(burst.asked for burst in witness.bursts)


BOOKS = {
    "as it must be": ([Burst(0, 1, 150, 100), Burst(59, 60, 10, 0), Burst(62, 63, 150, 100)], 0, 0),
    "one too many": ([Burst(0, 1, 100, 100), Burst(58, 59, 1, 1)], 1, 0),
    "one refused, which may be": ([Burst(0, 1, 150, 99)], 0, 0),
    "two refused": ([Burst(0, 1, 150, 98)], 0, 1),
    "still refused a minute later": ([Burst(0, 1, 150, 100), Burst(62, 63, 150, 0)], 0, 1),
}


@pytest.mark.parametrize(("bursts", "leaks", "sticks"), BOOKS.values(), ids=BOOKS.keys())
def test_the_witness_sees_leaks_and_what_sticks(tmp_path: Path, bursts: list[Burst], leaks: int, sticks: int) -> None:
    seen = Witness(LaunchedGateway(tmp_path, capped("http://127.0.0.1:9")), ShiftedClock(tmp_path / "clock"), bursts)
    assert (len(seen.too_many()), len(seen.too_few())) == (leaks, sticks)
