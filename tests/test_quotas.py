"""The accounts nearest to the end of their grant: read in slices, each balance once, and nothing granted in passing."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import FakeClock
from support.metering import Start, account, roster

from gateway import quotas
from gateway.admission.charge import Quote
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.caps import Caps
from gateway.ledger.accounts import Accounts
from gateway.ledger.records import Term
from gateway.meter import Meter
from gateway.quotas import Quotas
from gateway.seats import Seats

SMALL = Plan("small", 100, Every.month)
PREPAID = Plan("prepaid", 100)
NONE = Plan("none", 0, Every.month)


async def near(meter: Meter, most: int = 10) -> list[tuple[str, float]]:
    return [(one.account.id, one.used) for one in await meter.nearest(most)]


async def test_who_has_used_most_stands_first(start: Start) -> None:
    accounts = [account(SMALL, name) for name in ("idle", "half", "all", "most")]
    large, free, none = account(Plan("large", 1000, Every.day), "large"), account(Plan("free"), "free"), account(NONE)
    rig = start(*accounts, large, free, none)
    for who, tokens in zip([*accounts, large, free], [0, 50, 100, 96, 700, 9], strict=True):
        rig.charge(who, Quote(tokens))
    rig.meter.balance(none)
    assert await near(rig.meter) == [("all", 1.0), ("most", 0.96), ("large", 0.7), ("half", 0.5)]
    assert await near(rig.meter, 2) == [("all", 1.0), ("most", 0.96)]


async def test_what_is_reserved_is_not_used_yet(start: Start) -> None:
    who = account(SMALL)
    rig = start(who)
    rig.charge(who, Quote(10))
    reservation = rig.reserve(who, Quote(30))
    [one] = await rig.meter.nearest(1)
    assert (one.used, one.standing.balance, one.standing.reserved, one.standing.charged) == (0.1, 60, 30, 10)
    rig.meter.release(reservation, "upstream_refused")


async def test_it_stands_as_its_own_balance_is_told(start: Start) -> None:
    who = account(replace(SMALL, throttle=ThrottlePolicy(Rate(10, 60.0), 10)), cap=Rate(3, 60.0))
    rig = start(who)
    rig.charge(who, Quote(10))
    expected = rig.meter.balance(who)
    assert [one.standing for one in await rig.meter.nearest(1)] == [expected]
    # Nobody has asked for its seat since the start.
    await rig.restart(who)
    [one] = await rig.meter.nearest(1)
    assert replace(one.standing.limits, throttle_remaining=9) == replace(expected.limits, throttle_reset=0)


async def test_nothing_is_granted_in_passing(start: Start) -> None:
    idle, spent = account(SMALL, "idle"), account(SMALL, "spent")
    rig = start(idle, spent)
    rig.charge(spent, Quote(60))
    await rig.restart(idle, account(replace(SMALL, grant=1000), "spent"))
    before = replace(rig.balance("spent"))
    assert await near(rig.meter) == [("spent", 0.6)]
    assert rig.balance("spent") == before
    assert set(rig.ledger.accounts.balances) == {"spent"}


async def test_whose_period_is_over_has_used_nothing(start: Start) -> None:
    monthly, daily = account(SMALL, "monthly"), account(Plan("daily", 100, Every.day), "daily")
    rig = start(monthly, daily)
    rig.charge(monthly, Quote(20))
    rig.charge(daily, Quote(90))
    rig.clock.advance(86_400)
    assert await near(rig.meter) == [("monthly", 0.2)]
    rig.clock.advance(20 * 86_400)
    assert await near(rig.meter) == []


async def test_a_balance_that_several_spend_from_is_there_once(start: Start) -> None:
    team = [account(SMALL, name, holder="organization acme") for name in ("zoe", "adam")]
    rig = start(*team, account(SMALL, "own"))
    for who in team:
        rig.charge(who, Quote(30))
    assert await near(rig.meter) == [("zoe", 0.6)]
    assert [one.standing.charged for one in await rig.meter.nearest(1)] == [60]


@pytest.mark.parametrize(("correction", "used"), [(0, [0.8]), (50, [0.3]), (80, []), (500, []), (-20, [1.0])])
async def test_a_prepaid_grant_is_like_any_other_and_corrections_count(
    start: Start, correction: int, used: list[float]
) -> None:
    for plan in (PREPAID, SMALL):
        who = account(plan, plan.name)
        rig = start(who)
        rig.charge(who, Quote(80))
        rig.meter.correct(who, correction, "a top-up")
        assert [share for _, share in await near(rig.meter)] == used


def known(spent: list[tuple[int, int]], shared: int) -> tuple[Quotas, list[Account]]:
    """Accounts that were granted and have spent so much; the first `shared` have one balance."""
    accounts, clock, who = Accounts(), FakeClock(), list[Account]()
    for number, (grant, tokens) in enumerate(spent):
        holder = "shared" if number < shared else f"a{number}"
        who.append(account(Plan("p", grant, Every.never), f"a{number}", holder=holder))
        balance, charged = accounts.balance(holder), min(tokens, grant)
        balance.term, balance.balance, balance.charged = Term(0, grant), grant - charged, charged
    seats = Seats(accounts, Caps((), clock))
    seats.configure(roster(*who))
    return Quotas(accounts, seats, clock), who


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12), st.integers(0, 5), st.integers(1, 5))
def test_it_finds_what_sorting_all_finds(spent: list[tuple[int, int]], shared: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quotas, "_SLICE", 3)
        found, who = known(spent, shared)
        told = [one.used for one in asyncio.run(found.nearest(most))]
    balances = {one.holder: found._accounts.balances[one.holder] for one in who}.values()
    shares = [balance.charged / balance.term.given for balance in balances if balance.charged]
    assert told == sorted(shares, reverse=True)[:most]


async def test_others_have_their_turn_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "_SLICE", 2)
    found, _ = known([(9, 1)] * 10, 0)
    task, turns = asyncio.create_task(found.nearest(3)), 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(task.result()) == 3
    assert turns >= 5
