"""Intervals go by the steady clock and grants by the wall's: a clock that is set makes no tokens, and loses none."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from admission.snapshots import ROUTE
from ledger.model_process import GatedTables, Process, World, outcome_of

from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Problem

HOUR = 3600.0
NOON = 1_768_478_400.0  # 2026-01-15 12:00 UTC
FEBRUARY = 1_769_904_000.0
LOOKUP = Quote(1, lines=(("base", 1),))
FORCED = Quote(1, 3, forced=True, lines=(("base", 1), ("force_refresh", 3)))


class Machine:
    """A process with the one account `ci`, and the clocks of its machine."""

    def __init__(self, folder: Path, wall: float, plan: Plan, cap: Rate | None) -> None:
        self.world = World(wall=wall)
        self.account = Account("ci", "acme", plan, "ci", cap)
        self.process = Process(folder, self.world, (self.account,))

    def lookup(self) -> str:
        """The name of what it is refused with, else an empty one."""
        meter = self.process.meter
        return self._ask(lambda: meter.charge(self.account, ROUTE, LOOKUP, Outcome.hit))

    def force(self) -> str:
        meter = self.process.meter
        return self._ask(lambda: meter.settle(meter.reserve(self.account, ROUTE, FORCED), Outcome.refreshed))

    def granted(self) -> int:
        """All that was granted once somebody has looked."""
        self.process.do(lambda: self.process.meter.standing(self.account))
        assert self.process.turn()
        return self.process.ledger.accounts.balance("ci").granted

    def dies(self) -> None:
        """By kill -9; it starts again at once."""
        remains = self.process.folder.with_suffix(".remains")
        self.process.kill(remains)
        remains.rename(self.process.folder)
        self.process = Process(self.process.folder, self.world, (self.account,))

    def _ask(self, act: Callable[[], object]) -> str:
        done = self.process.do(lambda: outcome_of(act))
        assert self.process.turn()
        return done.reason.name if isinstance(done, Problem) else ""


Start = Callable[..., Machine]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr("gateway.ledger.recovery.Tables", GatedTables)
    machines = list[Machine]()

    def begin(plan: Plan, *, wall: float = NOON, cap: Rate | None = None) -> Machine:
        machines.append(Machine(tmp_path / "ledger", wall, plan, cap))
        return machines[-1]

    yield begin
    for machine in machines:
        machine.process.catch_up()
        assert machine.process.drift() == 0
        machine.process.close()


SET = [pytest.param(seconds, id=f"{seconds / HOUR:+g}h") for seconds in (-2 * HOUR, -HOUR, HOUR, 2 * HOUR)]


# Intervals


@pytest.mark.parametrize("seconds", SET)
def test_a_throttle_does_not_mind(start: Start, seconds: float) -> None:
    machine = start(Plan("p", throttle=ThrottlePolicy(Rate(1, 10.0), 2)))
    assert [machine.lookup() for _ in range(3)] == ["", "", "throttled"]
    machine.world.wall += seconds
    assert machine.lookup() == "throttled"
    machine.world.passes(9.75)
    assert machine.lookup() == "throttled"
    machine.world.wall -= seconds
    machine.world.passes(0.25)
    assert [machine.lookup() for _ in range(2)] == ["", "throttled"]


@pytest.mark.parametrize("dies", [False, True], ids=["", "killed"])
@pytest.mark.parametrize("seconds", SET)
def test_a_cap_does_not_mind(start: Start, seconds: float, dies: bool) -> None:
    machine = start(Plan("p"), cap=Rate(2, 60.0))
    assert machine.force() == ""
    machine.world.passes(30)
    assert [machine.force() for _ in range(2)] == ["", "force_refresh_capped"]
    machine.world.wall += seconds
    machine.process.catch_up()
    if dies:
        machine.dies()
    assert machine.force() == "force_refresh_capped"
    machine.world.passes(30)
    assert machine.force() == "force_refresh_capped"
    machine.world.passes(0.25)
    assert [machine.force() for _ in range(2)] == ["", "force_refresh_capped"]


@pytest.mark.parametrize("seconds", SET)
def test_a_cap_does_not_mind_a_clock_that_is_set_while_nobody_runs(start: Start, seconds: float) -> None:
    machine = start(Plan("p"), cap=Rate(1, 60.0))
    assert machine.force() == ""
    machine.process.close()
    machine.world.wall += seconds
    machine.world.passes(59.75)
    machine.process = Process(machine.process.folder, machine.world, (machine.account,))
    assert machine.force() == "force_refresh_capped"
    machine.world.passes(0.5)
    assert machine.force() == ""


def test_retry_after_is_of_the_steady_clock(start: Start) -> None:
    machine = start(Plan("p"), cap=Rate(1, 60.0))
    assert machine.force() == ""
    machine.world.passes(20)
    machine.world.wall += HOUR
    refused = machine.process.do(
        lambda: outcome_of(lambda: machine.process.meter.reserve(machine.account, ROUTE, FORCED))
    )
    assert isinstance(refused, Problem)
    assert refused.retry_after == 40


# Grants: from a minute before February on, how far the wall clock is from there at each look

WALKS = [
    pytest.param([0, 120], [20, 40], id="the month ends"),
    pytest.param([0, 120, -HOUR, 120], [20, 40, 40, 40], id="set back after it, and forward"),
    pytest.param([0, HOUR, 0, 120, HOUR], [20, 40, 40, 40, 40], id="set forward over it, and back"),
    pytest.param([0, -HOUR, 0], [20, 20, 20], id="set back within it"),
    pytest.param([0, -HOUR, HOUR, -HOUR, HOUR], [20, 20, 40, 40, 40], id="to and fro"),
    pytest.param([120, 120 - HOUR, 120], [20, 20, 20], id="first seen after it, set back before it"),
]


@pytest.mark.parametrize("dies", [False, True], ids=["", "killed"])
@pytest.mark.parametrize(("walk", "granted"), WALKS)
def test_a_period_is_granted_once(start: Start, walk: list[float], granted: list[int], dies: bool) -> None:
    machine = start(Plan("p", 20, Every.month), wall=FEBRUARY - 60)
    seen = []
    for offset in walk:
        machine.world.passes(0.25)
        machine.world.wall = FEBRUARY - 60 + offset
        seen.append(machine.granted())
        if dies:
            machine.dies()
    assert seen == granted


@pytest.mark.parametrize("carry_over", [False, True], ids=["lapsing", "carry-over"])
@pytest.mark.parametrize("seconds", SET)
def test_within_a_month_nothing_lapses_and_nothing_is_granted(start: Start, seconds: float, carry_over: bool) -> None:
    machine = start(Plan("p", 20, Every.month, carry_over=carry_over))
    assert machine.lookup() == ""
    reservation = machine.process.do(lambda: machine.process.meter.reserve(machine.account, ROUTE, FORCED))
    machine.world.wall += seconds
    machine.process.do(lambda: machine.process.meter.settle(reservation, Outcome.undelivered))
    assert machine.lookup() == ""
    machine.world.wall -= seconds
    balance = machine.process.ledger.accounts.balance("ci")
    assert machine.granted() == 20
    assert (balance.balance, balance.charged, balance.reserved, balance.lapsed) == (17, 3, 0, 0)


def test_an_hour_seen_ahead_of_time_is_not_granted_again(start: Start) -> None:
    machine = start(Plan("p", 20, Every.hour, carry_over=True))
    seen = []
    for offset in (0, HOUR, 0, HOUR, 2 * HOUR, HOUR, 3 * HOUR):
        machine.world.wall = NOON + offset
        seen.append(machine.granted())
    assert seen == [20, 40, 40, 40, 60, 60, 80]


@pytest.mark.parametrize("seconds", SET)
def test_minutes_of_a_clock_that_is_set_all_reach_the_book(start: Start, seconds: float) -> None:
    machine = start(Plan("p"))
    for wall in (NOON, NOON + seconds, NOON, NOON + seconds + 120, NOON + 240):
        machine.world.wall = wall
        assert machine.lookup() == ""
        machine.process.catch_up()
        assert machine.process.drift() == 0
    assert machine.process.ledger.accounts.balance("ci").charged == 5
