"""What a plan's periods owe a balance: grants, lapses and what carries over, by whatever the wall clock says."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.metering import FULL, LOOKUP, Start, account

from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Every, Plan
from gateway.ledger.accounts import MOST_UNSEEN, Accounts, Balance, due, lapses
from gateway.ledger.periods import PREPAID, Calendar, Period
from gateway.ledger.records import BEFORE_ANY, Grant, Lapse, Record, Reserve, Term

pytestmark = pytest.mark.slow

MONTHLY = Plan("pro", 2000, Every.month)
SAVING = Plan("pro", 2000, Every.month, carry_over=True)
PACK = Plan("pack", 500)

AT = 1e9
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
HOUR, DAY = 3600.0, 86400.0


def month(number: int) -> Period:
    """Of 2026; beyond 12, of the years after."""
    year, index = divmod(number - 1, 12)
    return Calendar("UTC").period(Every.month, datetime(2026 + year, index + 1, 15, tzinfo=ZoneInfo("UTC")).timestamp())


NOW, NEXT = month(7).id, month(8).id
SAVED = month(7).carried


def granted(tokens: int, term: Term, prior: Term) -> Grant:
    return Grant("acme", tokens, term, prior, AT)


def lapsed(tokens: int) -> Lapse:
    return Lapse("acme", tokens, AT)


@pytest.mark.parametrize(
    ("balance", "plan", "now", "expected"),
    [
        pytest.param(Balance(), MONTHLY, 7, (granted(2000, Term(NOW, 2000), BEFORE_ANY),), id="the first grant"),
        pytest.param(Balance(2000, 0, 0, 0, 2000, Term(NOW, 2000)), MONTHLY, 7, (), id="granted already"),
        pytest.param(
            Balance(2000, 500, 9, 0, 1491, Term(NOW, 2000)),
            MONTHLY,
            8,
            (lapsed(1491), granted(2000, Term(NEXT, 2000), Term(NOW, 2000))),
            id="no carry-over, what is reserved stays",
        ),
        pytest.param(
            Balance(2000, 2000, 0, 0, 0, Term(NOW, 2000)),
            MONTHLY,
            9,
            (granted(2000, Term(month(9).id, 2000), Term(NOW, 2000)),),
            id="nothing left to lapse, one grant for two periods",
        ),
        pytest.param(Balance(2000, 5, 0, 0, 1995, Term(NOW, 2000)), MONTHLY, 6, (), id="clock set back"),
        pytest.param(
            Balance(500, 500, 0, 0, 0, Term(NOW, 500)),
            MONTHLY,
            7,
            (granted(1500, Term(NOW, 2000), Term(NOW, 500)),),
            id="raised at once",
        ),
        pytest.param(Balance(5000, 0, 0, 0, 5000, Term(NOW, 5000)), MONTHLY, 7, (), id="lowered later"),
        pytest.param(
            Balance(5000, 0, 0, 0, 5000, Term(NOW, 5000)),
            MONTHLY,
            8,
            (lapsed(5000), granted(2000, Term(NEXT, 2000), Term(NOW, 5000))),
            id="lowered at the next period",
        ),
        pytest.param(Balance(), Plan("free"), 7, (), id="unlimited"),
        pytest.param(Balance(), SAVING, 7, (granted(2000, Term(SAVED, 2000), BEFORE_ANY),), id="first, then saved"),
        pytest.param(Balance(2000, 0, 0, 0, 2000, Term(SAVED, 2000)), SAVING, 7, (), id="saved already"),
        pytest.param(
            Balance(2000, 500, 9, 0, 1491, Term(SAVED, 2000)),
            SAVING,
            8,
            (granted(2000, Term(month(8).carried, 2000), Term(SAVED, 2000)),),
            id="carry-over",
        ),
        pytest.param(
            Balance(2000, 0, 0, 0, 2000, Term(SAVED, 2000)),
            SAVING,
            19,
            (granted(24_000, Term(month(19).carried, 2000), Term(SAVED, 2000)),),
            id="a year unseen",
        ),
        pytest.param(
            Balance(500, 0, 0, 0, 500, Term(SAVED, 500)),
            SAVING,
            7,
            (granted(1500, Term(SAVED, 2000), Term(SAVED, 500)),),
            id="saved and raised at once",
        ),
        pytest.param(Balance(2000, 0, 0, 0, 2000, Term(SAVED, 2000)), SAVING, 6, (), id="saved, clock set back"),
        pytest.param(
            Balance(2000, 0, 0, 0, 2000, Term(NOW, 2000)),
            SAVING,
            7,
            (granted(0, Term(SAVED, 2000), Term(NOW, 2000)),),
            id="carry-over from now on",
        ),
        pytest.param(
            Balance(2000, 0, 0, 0, 2000, Term(NOW, 2000)),
            SAVING,
            12,
            (granted(2000, Term(month(12).carried, 2000), Term(NOW, 2000)),),
            id="carry-over not for the past",
        ),
        pytest.param(Balance(2000, 0, 0, 0, 2000, Term(SAVED, 2000)), MONTHLY, 7, (), id="no carry-over from now on"),
        pytest.param(
            Balance(6000, 0, 0, 0, 6000, Term(SAVED, 2000)),
            MONTHLY,
            9,
            (lapsed(6000), granted(2000, Term(month(9).id, 2000), Term(SAVED, 2000))),
            id="no carry-over any more",
        ),
    ],
)
def test_due(balance: Balance, plan: Plan, now: int, expected: tuple[Record, ...]) -> None:
    assert due("acme", balance, plan, month(now), AT) == expected


def test_what_is_granted_at_once_has_a_bound() -> None:
    hourly = Plan("p", 10, Every.hour, carry_over=True)
    calendar = Calendar("UTC")
    first = calendar.period(Every.hour, AT)
    balance = Balance(term=Term(first.carried, 10))
    [grant] = due("acme", balance, hourly, calendar.period(Every.hour, AT + 366 * DAY), AT)
    assert (grant.tokens, MOST_UNSEEN) == (10 * 366 * 24, 366 * 24)
    [grant] = due("acme", balance, hourly, calendar.period(Every.hour, AT + 50 * 366 * DAY), AT)
    assert grant.tokens == 10 * MOST_UNSEEN


@pytest.mark.parametrize(
    ("first", "then", "total", "left"),
    [
        pytest.param(Plan("a", 100, Every.month), Plan("b", 10, Every.day), 110, 10, id="to days: a new period"),
        pytest.param(Plan("a", 10, Every.day), Plan("b", 100, Every.month), 100, 100, id="to months: raised at once"),
        pytest.param(Plan("a", 100, Every.day), Plan("b", 10, Every.month), 100, 100, id="to months, lowered later"),
        pytest.param(PACK, Plan("b", 10, Every.month), 510, 10, id="prepaid to months"),
        pytest.param(Plan("a", 100, Every.month), PACK, 500, 500, id="months to prepaid: the difference"),
        pytest.param(
            Plan("a", 100, Every.month, carry_over=True),
            Plan("b", 10, Every.hour, carry_over=True),
            110,
            110,
            id="carried over to hours: none of them unseen",
        ),
    ],
)
def test_a_plan_that_changes_its_periods(first: Plan, then: Plan, total: int, left: int) -> None:
    walk = Walk("UTC")
    noon = datetime(2026, 7, 15, 12, tzinfo=ZoneInfo("UTC")).timestamp()
    walk.look(first, noon)
    walk.look(then, noon)
    assert (walk.balance.granted, walk.balance.balance) == (total, left)


class Walk:
    """A balance that is looked at again and again, at whatever the wall clock says."""

    def __init__(self, zone: str) -> None:
        self.calendar = Calendar(zone)
        self.accounts = Accounts()
        self.balance = self.accounts.balance("acme")

    def look(self, plan: Plan, wall: float) -> Period:
        period = self.calendar.period(plan.every, wall)
        for record in due("acme", self.balance, plan, period, wall):
            self.accounts.apply(record)
        assert due("acme", self.balance, plan, period, wall) == (), "once is enough"
        assert self.accounts.drift() == 0
        return period


# A summer's beginning and end in most zones, a year's end, and the date that Apia skipped.
BEGINNINGS = st.sampled_from([1_774_700_000.0, 1_792_800_000.0, 1_798_700_000.0, 1_325_100_000.0])
STEPS = st.lists(
    st.sampled_from([-HOUR, HOUR, 1.0, -1.0, 0.0, 20 * 60.0, 7 * HOUR, DAY, -DAY, 40 * DAY])
    | st.floats(-HOUR, 2 * DAY),
    max_size=30,
)


@given(st.sampled_from(ZONES), st.sampled_from([Every.hour, Every.day, Every.month]), BEGINNINGS, STEPS)
def test_any_walk_of_the_clock_grants_once_per_period(zone: str, every: Every, wall: float, steps: list[float]) -> None:
    walk, plan = Walk(zone), Plan("p", 10, every)
    seen = [walk.look(plan, wall).id]
    for step in steps:
        wall += step
        period = walk.look(plan, wall).id
        if period > max(seen):
            assert walk.balance.balance == 10, "the rest lapses"
            seen.append(period)
    assert walk.balance.granted == 10 * len(seen)


@given(st.sampled_from(ZONES), st.sampled_from([Every.hour, Every.day, Every.month]), BEGINNINGS, STEPS)
def test_any_walk_of_the_clock_carries_over_every_period_between(
    zone: str, every: Every, wall: float, steps: list[float]
) -> None:
    walk, plan = Walk(zone), Plan("p", 10, every, carry_over=True)
    first = walk.look(plan, wall)
    latest = wall
    for step in steps:
        wall += step
        latest = max(latest, wall)
        walk.look(plan, wall)
    assert walk.balance.granted == walk.balance.balance == 10 * visited(zone, every, first, latest)


def visited(zone: str, every: Every, first: Period, latest: float) -> int:
    """How many periods somebody finds who looks at the end of each."""
    calendar, period, found = Calendar(zone), first, 1
    while period.end is not None and period.end <= latest:
        period, found = calendar.period(every, period.end), found + 1
    return found


@given(st.lists(st.floats(-40 * DAY, 40 * DAY), max_size=10), st.booleans())
def test_a_prepaid_plan_grants_once(steps: list[float], carry_over: bool) -> None:
    walk, wall = Walk("UTC"), AT
    plan = Plan("pack", 500, carry_over=carry_over)
    for step in [0.0, *steps]:
        wall += step
        assert walk.look(plan, wall) is PREPAID
    assert walk.balance.granted == walk.balance.balance == 500


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.integers(0, 3)), min_size=1, max_size=20))
def test_a_plan_raised_and_lowered_grants_the_highest_of_each_period(changes: list[tuple[int, bool, int]]) -> None:
    walk, number, expected, highest = Walk("UTC"), 1, 0, 0
    for at, (grant, carry_over, later) in enumerate(changes):
        number += later
        if later or at == 0:
            expected, highest = expected + highest, 0
        highest = max(highest, grant)
        plan = Plan("p", grant, Every.day, carry_over=carry_over and later < 2)
        walk.look(plan, AT + number * DAY)
    assert walk.balance.granted == expected + highest


def reserve(granted_for: int | None) -> Reserve:
    return Reserve(1, "ci", "acme", "acme", "product", "api", granted_for, 9, (("base", 9),), "r-1", 1.0)


@pytest.mark.parametrize(
    ("granted_for", "term", "expected"),
    [
        pytest.param(NOW, NEXT, True, id="over"),
        pytest.param(NEXT, NEXT, False, id="present"),
        pytest.param(None, NEXT, False, id="unlimited"),
        pytest.param(SAVED, NEXT, False, id="over, and carried over"),
        pytest.param(NOW, SAVED, False, id="present, carried over from now on"),
        pytest.param(SAVED, NOW, False, id="present, carried over"),
        pytest.param(NOW, month(8).carried, True, id="over, carried over from the next on"),
    ],
)
def test_lapses(granted_for: int | None, term: int, expected: bool) -> None:
    assert lapses(reserve(granted_for), Balance(term=Term(term, 2000))) == expected


async def test_what_an_operation_gives_back_is_carried_over(start: Start) -> None:
    who = account(SAVING)
    rig = start(who)
    given_back, settled, dropped = (rig.reserve(who, FULL) for _ in range(3))
    rig.clock.advance(40 * DAY)
    assert rig.charge(who, LOOKUP).remaining == 4000 - 1
    rig.meter.release(given_back, "dns")
    rig.meter.settle(settled, Outcome.stale_if_error)
    assert (rig.balance().reserved, rig.balance().lapsed) == (dropped.reserve.tokens, 0)
    await rig.restart(who)
    standing = rig.meter.standing(who)
    assert (standing.remaining, rig.balance().reserved, rig.balance().lapsed) == (4000 - 1 - 6, 0, 0)
    assert await rig.ledger.drift() == 0


async def test_an_idle_account_loses_nothing(start: Start) -> None:
    who = account(SAVING)
    rig = start(who)
    rig.charge(who, LOOKUP)
    await rig.restart(who)
    rig.clock.advance(100 * DAY)
    standing = rig.meter.standing(who)
    assert (standing.remaining, standing.quota) == (4 * 2000 - 1, 2000)
    await rig.restart(who)
    assert rig.meter.standing(who).remaining == 4 * 2000 - 1
