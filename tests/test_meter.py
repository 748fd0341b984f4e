import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.metering import FREE, FULL, LOOKUP, OPTIONS, PRO, Rig, Start, account, refusal, roster

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Problem, Reason
from gateway.ledger.accounts import Balance
from gateway.meter import HOUSE


async def test_the_seeds_arithmetic(start: Start) -> None:
    rig = start(account())
    assert rig.charge(account(), LOOKUP).remaining == 1999
    assert rig.charge(account(), OPTIONS).remaining == 1993
    charge = rig.meter.settle(rig.reserve(account(), FULL), Outcome.refreshed)
    assert (charge.tokens, charge.remaining) == (9, 1984)
    await rig.ledger.committed()
    assert rig.meter.tally.charged == {
        ("product", "lookup"): 3,
        ("product", "options"): 10,
        ("product", "force_refresh"): 3,
    }


async def test_every_member_of_a_charge(start: Start) -> None:
    rig = start(account())
    assert rig.meter.settle(rig.reserve(account(), FULL), Outcome.refreshed) == Charge(
        tokens=9,
        remaining=1991,
        quota=2000,
        window=31 * 86_400,
        renews_at=datetime(2026, 2, 1, tzinfo=UTC).timestamp(),
        throttle_limit=600,
        throttle_window=60,
        throttle_remaining=599,
        throttle_reset=1,
        operation=1,
    )


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        pytest.param(Plan("free"), Charge(1), id="unlimited, no throttle"),
        pytest.param(Plan("prepaid", 50), Charge(1, remaining=49, quota=50), id="prepaid"),
    ],
)
async def test_what_a_plan_lacks_is_none(start: Start, plan: Plan, expected: Charge) -> None:
    rig = start(account(plan))
    assert rig.charge(account(plan), LOOKUP) == expected


async def test_an_uncharged_reuse_costs_nothing_and_counts(start: Start) -> None:
    rig = start(account())
    charge = rig.charge(account(), LOOKUP, Outcome.uncharged)
    assert (charge.tokens, charge.remaining, charge.throttle_remaining) == (0, 2000, 599)


async def test_what_is_reserved_still_remains_and_cannot_be_spent(start: Start) -> None:
    plan = Plan("small", 10, Every.month)
    rig = start(account(plan))
    reservation = rig.reserve(account(plan), FULL)
    assert rig.charge(account(plan), LOOKUP).remaining == 9
    assert refusal(lambda: rig.charge(account(plan), LOOKUP)).reason is Reason.quota_exceeded
    assert rig.meter.release(reservation, "failed").remaining == 9
    assert rig.balance() == Balance(10, 1, 0, 0, 9, rig.balance().term)


async def test_less_than_reserved_is_charged_and_the_rest_returns(start: Start) -> None:
    rig = start(account())
    charge = rig.meter.settle(rig.reserve(account(), FULL), Outcome.stale_if_error)
    assert (charge.tokens, charge.remaining) == (6, 1994)
    await rig.ledger.committed()
    assert rig.meter.tally.released == {"product": 3}


async def test_a_refund_reverses_the_charge(start: Start) -> None:
    rig = start(account())
    reservation = rig.reserve(account(), FULL)
    assert rig.meter.settle(reservation, Outcome.refreshed).remaining == 1991
    assert rig.meter.refund(reservation, Outcome.truncated).remaining == 2000
    assert rig.balance().charged == 0


@pytest.mark.parametrize("plan", [PRO, Plan("free")], ids=lambda plan: plan.name)
async def test_an_operation_ends_once(start: Start, plan: Plan) -> None:
    rig = start(account(plan))
    reservation = rig.reserve(account(plan), FREE)
    with pytest.raises(RuntimeError, match="reserved, not settled"):
        rig.meter.refund(reservation, Outcome.truncated)
    rig.meter.settle(reservation, Outcome.uncharged)
    with pytest.raises(RuntimeError, match="settled, not reserved"):
        rig.meter.settle(reservation, Outcome.uncharged)
    with pytest.raises(RuntimeError, match="settled, not reserved"):
        rig.meter.release(reservation, "failed")
    rig.meter.refund(reservation, Outcome.truncated)
    with pytest.raises(RuntimeError, match="ended, not settled"):
        rig.meter.refund(reservation, Outcome.truncated)


async def test_unlimited_is_counted_and_adds_up(start: Start) -> None:
    plan = Plan("free")
    rig = start(account(plan))
    rig.charge(account(plan), OPTIONS)
    reservation = rig.reserve(account(plan), FULL)
    assert rig.balance() == Balance(granted=15, charged=6, reserved=9)
    rig.meter.settle(reservation, Outcome.stale_if_error)
    assert rig.balance() == Balance(granted=12, charged=12)
    rig.meter.refund(reservation, Outcome.truncated)
    assert rig.balance() == Balance(granted=6, charged=6)


async def test_from_unlimited_to_a_plan_the_grant_is_whole(start: Start) -> None:
    rig = start(account(Plan("free")))
    rig.charge(account(Plan("free")), OPTIONS)
    rig.meter.configure(roster(account()))
    assert rig.meter.standing(account()).remaining == 2000


async def test_the_gateways_own_fetches_are_counted_apart(start: Start) -> None:
    rig = start(account())
    rig.meter.settle(rig.reserve(rig.meter.house, LOOKUP), Outcome.validated)
    await rig.ledger.committed()
    assert rig.balance(HOUSE.holder).charged == 1
    assert rig.meter.tally.charged.total() == 0


# Refusals


def spent(plan: Plan) -> Account:
    return account(plan, cap=Rate(2, 60.0))


CASES = [
    pytest.param(Plan("p", 2000, Every.month, ThrottlePolicy(Rate(60, 60.0), 3)), Reason.throttled, 1.0, id="throttle"),
    pytest.param(Plan("p", 2000, Every.month), Reason.force_refresh_capped, 60.0, id="cap"),
    pytest.param(Plan("p", 20, Every.month), Reason.quota_exceeded, 16.5 * 86_400, id="month"),
    pytest.param(Plan("p", 20, Every.day), Reason.quota_exceeded, 12 * 3600.0, id="day"),
    pytest.param(Plan("p", 20, Every.hour), Reason.quota_exceeded, 3600.0, id="hour"),
    pytest.param(Plan("p", 20), Reason.quota_exhausted, None, id="prepaid"),
]


@pytest.mark.parametrize(("plan", "reason", "retry_after"), CASES)
@pytest.mark.parametrize("reuse", [True, False], ids=["reuse", "fetch"])
async def test_a_refusal_says_why_and_takes_nothing(
    start: Start, plan: Plan, reason: Reason, retry_after: float | None, reuse: bool
) -> None:
    who = account(plan, cap=Rate(3 if reason is Reason.throttled else 2, 60.0))
    rig = start(who)
    rig.charge(who, LOOKUP)
    for _ in range(2):
        rig.meter.settle(rig.reserve(who, FULL), Outcome.refreshed)
    if reason in (Reason.quota_exceeded, Reason.quota_exhausted):
        rig.clock.steady_now += 61  # the cap is free again, the balance is not
    before = rig.meter.standing(who), rig.balance(), await committed_size(rig)

    def ask() -> object:
        return rig.charge(who, FULL) if reuse else rig.reserve(who, FULL)

    for _ in range(3):
        problem = refusal(ask)
        assert (problem.reason, problem.retry_after) == (reason, retry_after)
    assert (rig.meter.standing(who), rig.balance(), await committed_size(rig)) == before
    rig.clock.steady_now += 61
    if reason is Reason.throttled or reason is Reason.force_refresh_capped:
        ask()


async def committed_size(rig: Rig) -> int:
    await rig.ledger.committed()
    return rig.ledger._journal.sequence


async def test_a_refusal_for_tokens_leaves_throttle_and_cap_as_they_were(start: Start) -> None:
    plan = Plan("p", 8, Every.month, ThrottlePolicy(Rate(1, 60.0), 1))
    who = account(plan, cap=Rate(1, 60.0))
    rig = start(who)
    assert refusal(lambda: rig.reserve(who, FULL)).reason is Reason.quota_exceeded
    rig.reserve(who, Quote(2, 3, forced=True))
    assert refusal(lambda: rig.reserve(who, LOOKUP)).reason is Reason.throttled


async def test_a_refusal_by_the_cap_leaves_the_throttle_as_it_was(start: Start) -> None:
    plan = Plan("p", 100, Every.month, ThrottlePolicy(Rate(1, 60.0), 2))
    who = account(plan, cap=Rate(1, 60.0))
    rig = start(who)
    rig.reserve(who, FULL)
    assert refusal(lambda: rig.reserve(who, FULL)).reason is Reason.force_refresh_capped
    assert rig.charge(who, LOOKUP).throttle_remaining == 0


async def test_the_cap_is_the_organizations_and_the_throttle_the_keys(start: Start) -> None:
    plan = Plan("p", 2000, Every.month, ThrottlePolicy(Rate(60, 60.0), 60))
    one, two = account(plan, "one", cap=Rate(100, 60.0)), account(plan, "two", cap=Rate(100, 60.0))
    rig = start(one, two)
    for _ in range(50):
        rig.reserve(one, FULL)
        rig.charge(two, FULL)
    assert refusal(lambda: rig.reserve(one, FULL)).reason is Reason.force_refresh_capped
    assert refusal(lambda: rig.reserve(two, FULL)).reason is Reason.force_refresh_capped
    assert rig.meter.standing(one).throttle_remaining == rig.meter.standing(two).throttle_remaining == 10
    rig.charge(one, LOOKUP)


async def test_keys_may_spend_from_one_balance(start: Start) -> None:
    plan = Plan("p", 10, Every.month)
    one, two = account(plan, "one", holder="org:acme"), account(plan, "two", holder="org:acme")
    rig = start(one, two)
    assert rig.charge(one, OPTIONS).remaining == 4
    assert refusal(lambda: rig.charge(two, OPTIONS)).reason is Reason.quota_exceeded
    assert rig.charge(two, LOOKUP).remaining == 3


async def test_an_account_under_anothers_former_name_keeps_its_own(start: Start) -> None:
    """Each look took its balance away and with it the mark of its grant, which was then made again."""
    old, new = account(name="old"), replace(account(name="new"), former="old")
    rig = start(old, new)
    for _ in range(3):
        rig.charge(old, LOOKUP)
        rig.meter.settle(rig.reserve(new, LOOKUP), Outcome.miss)
    assert [(rig.balance(name).granted, rig.balance(name).balance) for name in ("old", "new")] == [(2000, 1997)] * 2


async def test_2000_concurrent_debits_of_1_on_1000(start: Start) -> None:
    who = account(Plan("p", 1000, Every.month))
    rig = start(who)

    async def debit(number: int) -> int | None:
        try:
            if number % 2:
                charge = rig.charge(who, LOOKUP)
                await rig.ledger.committed()
            else:
                reservation = rig.reserve(who, LOOKUP)
                await rig.ledger.committed()
                charge = rig.meter.settle(reservation, Outcome.miss)
                await rig.ledger.committed()
        except Problem:
            return None
        return charge.remaining

    found = [left for left in await asyncio.gather(*map(debit, range(2000))) if left is not None]
    assert sorted(found) == list(range(1000))
    assert rig.balance() == Balance(1000, 1000, 0, 0, 0, rig.balance().term)
    await rig.restart(who)
    assert rig.balance() == Balance(1000, 1000, 0, 0, 0, rig.balance().term)


async def test_accounts_above(start: Start) -> None:
    plan = Plan("p", 100, Every.month)
    accounts = [account(plan, name) for name in ("idle", "half", "eighty", "most", "all")]
    free = account(Plan("free"), "free")
    rig = start(*accounts, free)
    for who, tokens in zip([*accounts, free], [0, 50, 80, 96, 100, 100], strict=True):
        if tokens:
            rig.charge(who, Quote(tokens))
    assert list((await rig.meter.accounts_above((50, 80, 95, 100))).values()) == [4, 3, 2, 1]
    await rig.restart(*accounts, free)
    assert list((await rig.meter.accounts_above((50, 80, 95, 100))).values()) == [4, 3, 2, 1]
    rig.clock.advance(20 * 86_400)
    assert list((await rig.meter.accounts_above((50, 80, 95, 100))).values()) == [0, 0, 0, 0]
