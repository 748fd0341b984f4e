"""What every meter does, whoever keeps the balances: one process in its memory, or a fleet in Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
from admission.snapshots import ROUTE
from support.clock import FakeClock
from support.fleet import Node, sound
from support.metering import FREE, FULL, LOOKUP, OPTIONS, PRO, account, roster

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.admission.standing import Standing
from gateway.errors import Problem, Reason
from gateway.journalled import Journalled
from gateway.ledger.balance import Balance
from gateway.ledger.ledger import Ledger
from gateway.meter import HOUSE, Meter
from gateway.metering import Metering
from gateway.reservation import Reservation


class Kept(Protocol):
    """A ledger, and its meter."""

    clock: FakeClock
    meter: Metering

    async def balance(self, holder: str) -> Balance: ...
    async def close(self) -> None: ...


class Embedded:
    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.clock = clock
        self._ledger = Ledger.open(folder, "process", clock)
        self.meter: Metering = Journalled(Meter(self._ledger, clock), self._ledger)

    async def balance(self, holder: str) -> Balance:
        return self._ledger.accounts.balance(holder)

    async def close(self) -> None:
        assert await self._ledger.drift() == 0
        await self._ledger.close()


class Fleet:
    def __init__(self, node: Node) -> None:
        self.clock = node.clock
        self.meter: Metering = node.meter
        self._node = node

    async def balance(self, holder: str) -> Balance:
        return await self._node.balance(holder)

    async def close(self) -> None:
        await sound(self._node.connection)
        await self._node.close()


class Rig:
    def __init__(self, kept: Kept) -> None:
        self.clock, self.meter, self.balance = kept.clock, kept.meter, kept.balance

    def configure(self, *accounts: Account) -> None:
        self.meter.configure(roster(*accounts))

    def charge(self, who: Account, quote: Quote, outcome: Outcome = Outcome.hit) -> Awaitable[Charge]:
        return self.meter.charge(who, ROUTE, quote, outcome)

    def reserve(self, who: Account, quote: Quote) -> Awaitable[Reservation]:
        return self.meter.reserve(who, ROUTE, quote, "a-request")

    async def fetch(self, who: Account, quote: Quote, outcome: Outcome) -> Charge:
        return await self.meter.settle(await self.reserve(who, quote), outcome)


async def refused(asked: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await asked
    return caught.value


@pytest.fixture(params=["embedded", "redis"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """A ledger of its own, whose end proves that nothing has drifted."""
    clock = FakeClock()
    kept: Kept
    if request.param == "embedded":
        kept = Embedded(tmp_path, clock)
    else:
        kept = Fleet(await Node.open(request.getfixturevalue("redis_url"), clock))
    yield Rig(kept)
    await kept.close()


SMALL = Plan("small", 20, Every.month)
TEN = Plan("ten", 10, Every.month)


async def test_the_seeds_arithmetic(rig: Rig) -> None:
    rig.configure(account())
    assert (await rig.charge(account(), LOOKUP)).remaining == 1999
    assert (await rig.charge(account(), OPTIONS)).remaining == 1993
    charge = await rig.fetch(account(), FULL, Outcome.refreshed)
    assert (charge.tokens, charge.remaining) == (9, 1984)
    assert rig.meter.tally.charged == {
        ("product", "lookup"): 3,
        ("product", "options"): 10,
        ("product", "force_refresh"): 3,
    }


async def test_every_member_of_a_charge(rig: Rig) -> None:
    rig.configure(account())
    charge = await rig.fetch(account(), FULL, Outcome.refreshed)
    assert charge.operation is not None
    assert charge == Charge(
        tokens=9,
        remaining=1991,
        quota=2000,
        window=31 * 86_400,
        renews_at=datetime(2026, 2, 1, tzinfo=UTC).timestamp(),
        throttle_limit=600,
        throttle_window=60,
        throttle_remaining=599,
        throttle_reset=1,
        operation=charge.operation,
    )


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        pytest.param(Plan("free"), Charge(1), id="unlimited, no throttle"),
        pytest.param(Plan("prepaid", 50), Charge(1, remaining=49, quota=50), id="prepaid"),
    ],
)
async def test_what_a_plan_lacks_is_none(rig: Rig, plan: Plan, expected: Charge) -> None:
    rig.configure(account(plan))
    assert await rig.charge(account(plan), LOOKUP) == expected


async def test_an_uncharged_reuse_costs_nothing_and_counts(rig: Rig) -> None:
    rig.configure(account())
    charge = await rig.charge(account(), LOOKUP, Outcome.uncharged)
    assert (charge.tokens, charge.remaining, charge.throttle_remaining) == (0, 2000, 599)


async def test_what_is_reserved_still_remains_and_cannot_be_spent(rig: Rig) -> None:
    rig.configure(account(TEN))
    reservation = await rig.reserve(account(TEN), FULL)
    assert (await rig.charge(account(TEN), LOOKUP)).remaining == 9
    assert (await refused(rig.charge(account(TEN), LOOKUP))).reason is Reason.quota_exceeded
    assert (await rig.meter.release(reservation, "failed")).remaining == 9
    balance = await rig.balance("ci")
    assert balance == Balance(10, 1, 0, 0, 9, balance.term)


async def test_less_than_reserved_is_charged_and_the_rest_returns(rig: Rig) -> None:
    rig.configure(account())
    charge = await rig.fetch(account(), FULL, Outcome.stale_if_error)
    assert (charge.tokens, charge.remaining) == (6, 1994)
    assert rig.meter.tally.released == {"product": 3}


async def test_a_refund_reverses_the_charge(rig: Rig) -> None:
    rig.configure(account())
    reservation = await rig.reserve(account(), FULL)
    assert (await rig.meter.settle(reservation, Outcome.refreshed)).remaining == 1991
    assert (await rig.meter.refund(reservation, Outcome.truncated)).remaining == 2000
    assert (await rig.balance("ci")).charged == 0


@pytest.mark.parametrize("plan", [PRO, Plan("free")], ids=lambda plan: plan.name)
async def test_an_operation_ends_once(rig: Rig, plan: Plan) -> None:
    rig.configure(account(plan))
    reservation = await rig.reserve(account(plan), FREE)
    with pytest.raises(RuntimeError, match="reserved, not settled"):
        await rig.meter.refund(reservation, Outcome.truncated)
    await rig.meter.settle(reservation, Outcome.uncharged)
    with pytest.raises(RuntimeError, match="settled, not reserved"):
        await rig.meter.settle(reservation, Outcome.uncharged)
    with pytest.raises(RuntimeError, match="settled, not reserved"):
        await rig.meter.release(reservation, "failed")
    await rig.meter.refund(reservation, Outcome.truncated)
    with pytest.raises(RuntimeError, match="ended, not settled"):
        await rig.meter.refund(reservation, Outcome.truncated)


async def test_unlimited_is_counted_and_adds_up(rig: Rig) -> None:
    free = account(Plan("free"))
    rig.configure(free)
    await rig.charge(free, OPTIONS)
    reservation = await rig.reserve(free, FULL)
    assert await rig.balance("ci") == Balance(granted=15, charged=6, reserved=9)
    await rig.meter.settle(reservation, Outcome.stale_if_error)
    assert await rig.balance("ci") == Balance(granted=12, charged=12)
    await rig.meter.refund(reservation, Outcome.truncated)
    assert await rig.balance("ci") == Balance(granted=6, charged=6)


async def test_from_unlimited_to_a_plan_the_grant_is_whole(rig: Rig) -> None:
    rig.configure(account(Plan("free")))
    await rig.charge(account(Plan("free")), OPTIONS)
    rig.configure(account())
    assert (await rig.meter.standing(account())).remaining == 2000


async def test_the_gateways_own_fetches_are_counted_apart(rig: Rig) -> None:
    rig.configure(account())
    await rig.fetch(rig.meter.house, LOOKUP, Outcome.validated)
    assert (await rig.balance(HOUSE.holder)).charged == 1
    assert rig.meter.tally.charged.total() == 0


# Refusals

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
    rig: Rig, plan: Plan, reason: Reason, retry_after: float | None, reuse: bool
) -> None:
    who = account(plan, cap=Rate(3 if reason is Reason.throttled else 2, 60.0))
    rig.configure(who)
    await rig.charge(who, LOOKUP)
    for _ in range(2):
        await rig.fetch(who, FULL, Outcome.refreshed)
    if reason in (Reason.quota_exceeded, Reason.quota_exhausted):
        rig.clock.steady_now += 61  # the cap is free again, the balance is not
    before = await rig.meter.standing(who), await rig.balance("ci")

    def ask() -> Awaitable[object]:
        return rig.charge(who, FULL) if reuse else rig.reserve(who, FULL)

    told = await rig.meter.refusal(who, FULL.total, forced=True)
    assert told is not None
    assert (told.reason, told.retry_after) == (reason, retry_after)
    for _ in range(3):
        problem = await refused(ask())
        assert (problem.reason, problem.retry_after) == (reason, retry_after)
    assert (await rig.meter.standing(who), await rig.balance("ci")) == before
    rig.clock.steady_now += 61
    if reason is Reason.throttled or reason is Reason.force_refresh_capped:
        await ask()


async def test_a_plain_charge_is_refused_for_its_own_reason(rig: Rig) -> None:
    throttled = account(Plan("t", 20, Every.month, ThrottlePolicy(Rate(1, 60.0), 1)), "throttled")
    short = account(Plan("s", 1, Every.hour), "short")
    rig.configure(throttled, short)
    for who, reason, retry_after in ((throttled, Reason.throttled, 60), (short, Reason.quota_exceeded, 3600)):
        await rig.charge(who, LOOKUP)
        problem = await refused(rig.charge(who, LOOKUP))
        assert (problem.reason, problem.retry_after) == (reason, retry_after)


async def test_a_refusal_for_tokens_leaves_throttle_and_cap_as_they_were(rig: Rig) -> None:
    who = account(Plan("p", 8, Every.month, ThrottlePolicy(Rate(1, 60.0), 1)), cap=Rate(1, 60.0))
    rig.configure(who)
    assert (await refused(rig.reserve(who, FULL))).reason is Reason.quota_exceeded
    await rig.reserve(who, Quote(2, 3, forced=True))
    assert (await refused(rig.reserve(who, LOOKUP))).reason is Reason.throttled


async def test_a_refusal_by_the_cap_leaves_the_throttle_as_it_was(rig: Rig) -> None:
    who = account(Plan("p", 100, Every.month, ThrottlePolicy(Rate(1, 60.0), 2)), cap=Rate(1, 60.0))
    rig.configure(who)
    await rig.reserve(who, FULL)
    assert (await refused(rig.reserve(who, FULL))).reason is Reason.force_refresh_capped
    assert (await rig.charge(who, LOOKUP)).throttle_remaining == 0


async def test_a_forced_reuse_at_its_base_counts_against_the_cap(rig: Rig) -> None:
    who, forced = account(cap=Rate(1, 60.0)), Quote(1, 0, forced=True, lines=(("base", 1), ("force_refresh", 0)))
    rig.configure(who)
    assert (await rig.charge(who, forced)).operation is None
    assert (await refused(rig.charge(who, forced))).reason is Reason.force_refresh_capped


async def test_the_cap_is_the_organizations_and_the_throttle_the_keys(rig: Rig) -> None:
    plan = Plan("p", 2000, Every.month, ThrottlePolicy(Rate(60, 60.0), 60))
    one, two = account(plan, "one", cap=Rate(10, 60.0)), account(plan, "two", cap=Rate(10, 60.0))
    rig.configure(one, two)
    for _ in range(5):
        await rig.reserve(one, FULL)
        await rig.charge(two, FULL)
    assert (await refused(rig.reserve(one, FULL))).reason is Reason.force_refresh_capped
    assert (await refused(rig.reserve(two, FULL))).reason is Reason.force_refresh_capped
    standings = [await rig.meter.standing(who) for who in (one, two)]
    assert [standing.throttle_remaining for standing in standings] == [55, 55]
    await rig.charge(one, LOOKUP)


async def test_keys_may_spend_from_one_balance(rig: Rig) -> None:
    one, two = account(TEN, "one", holder="org:acme"), account(TEN, "two", holder="org:acme")
    rig.configure(one, two)
    assert (await rig.charge(one, OPTIONS)).remaining == 4
    assert (await refused(rig.charge(two, OPTIONS))).reason is Reason.quota_exceeded
    assert (await rig.charge(two, LOOKUP)).remaining == 3


async def test_concurrent_debits_are_exact(rig: Rig) -> None:
    who = account(Plan("p", 100, Every.month))
    rig.configure(who)

    async def debit(number: int) -> int | None:
        try:
            if number % 2:
                return (await rig.charge(who, LOOKUP)).remaining
            return (await rig.fetch(who, LOOKUP, Outcome.miss)).remaining
        except Problem:
            return None

    found = [left for left in await asyncio.gather(*map(debit, range(200))) if left is not None]
    assert sorted(found) == list(range(100))
    balance = await rig.balance("ci")
    assert balance == Balance(100, 100, 0, 0, 0, balance.term)


async def test_the_throttle_refills_by_its_rate(rig: Rig) -> None:
    who = account(Plan("p", throttle=ThrottlePolicy(Rate(1, 10.0), 2)))
    rig.configure(who)
    await rig.charge(who, LOOKUP)
    await rig.charge(who, LOOKUP)
    assert (await refused(rig.charge(who, LOOKUP))).retry_after == 10
    rig.clock.advance(9.75)
    assert (await refused(rig.charge(who, LOOKUP))).retry_after == 0.25
    rig.clock.advance(0.25)
    assert (await rig.charge(who, LOOKUP)).throttle_remaining == 0
    assert (await refused(rig.charge(who, LOOKUP))).reason is Reason.throttled


async def test_both_ends_of_the_caps_window_count(rig: Rig) -> None:
    who = account(cap=Rate(2, 60.0))
    rig.configure(who)
    await rig.reserve(who, FULL)
    rig.clock.advance(30)
    await rig.reserve(who, FULL)
    rig.clock.advance(30)
    assert (await refused(rig.reserve(who, FULL))).retry_after == 0
    rig.clock.advance(0.25)
    await rig.reserve(who, FULL)
    assert (await refused(rig.reserve(who, FULL))).retry_after == 29.75


# Periods and settings


async def test_a_new_period_grants_anew_and_the_rest_lapses(rig: Rig) -> None:
    rig.configure(account())
    await rig.charge(account(), OPTIONS)
    old = await rig.reserve(account(), FULL)
    rig.clock.advance(17 * 86_400)
    assert (await rig.charge(account(), LOOKUP)).tokens == 1
    balance = await rig.balance("ci")
    assert balance == Balance(4000, 7, 9, 1985, 1999, balance.term)
    settled = await rig.meter.settle(old, Outcome.stale_if_error)
    assert (settled.remaining, settled.window) == (1999, 28 * 86_400)
    assert (await rig.balance("ci")).lapsed == 1985 + 3
    await rig.meter.refund(old, Outcome.truncated)
    assert await rig.balance("ci") == Balance(4000, 7, 0, 1994, 1999, balance.term)


async def test_with_carry_over_nothing_lapses_and_unseen_periods_are_granted(rig: Rig) -> None:
    who = account(Plan("p", 20, Every.month, carry_over=True))
    rig.configure(who)
    await rig.charge(who, LOOKUP)
    rig.clock.advance(61 * 86_400)
    assert (await rig.meter.standing(who)).remaining == 59


@pytest.mark.parametrize("every", [Every.month, Every.day, Every.hour])
async def test_a_clock_set_back_does_not_grant_twice(rig: Rig, every: Every) -> None:
    who = account(Plan("p", 10, every))
    rig.configure(who)
    for _ in range(3):
        await rig.charge(who, OPTIONS)
        rig.clock.wall_now -= 40 * 86_400
        assert (await rig.meter.standing(who)).remaining == 4
        rig.clock.wall_now += 40 * 86_400
        assert (await rig.meter.standing(who)).remaining == 4
        rig.clock.advance(31 * 86_400)


@pytest.mark.parametrize(
    ("before", "after", "now", "next_month"),
    [
        pytest.param(2000, 3000, 2994, 3000, id="raised at once"),
        pytest.param(2000, 500, 1994, 500, id="lowered at the next period"),
        pytest.param(2000, 2000, 1994, 2000, id="the same"),
    ],
)
async def test_a_changed_plan(rig: Rig, before: int, after: int, now: int, next_month: int) -> None:
    old, new = account(Plan("p", before, Every.month)), account(Plan("p", after, Every.month))
    rig.configure(old)
    await rig.charge(old, OPTIONS)
    for changed in (new, old, new):  # to and fro, a raise is granted once
        rig.configure(changed)
        await rig.meter.standing(changed)
    assert (await rig.meter.standing(new)).remaining == now
    rig.clock.advance(17 * 86_400)
    standing = await rig.meter.standing(new)
    assert (standing.remaining, standing.quota) == (next_month, next_month)


async def test_a_reload_keeps_throttles_unless_their_own_setting_changed(rig: Rig) -> None:
    rig.configure(account())
    await rig.charge(account(), LOOKUP)
    other_grant = account(Plan("pro", 5000, Every.month, PRO.throttle))
    rig.configure(other_grant)
    assert (await rig.meter.standing(other_grant)).throttle_remaining == 599
    other_throttle = account(Plan("pro", 5000, Every.month, ThrottlePolicy(Rate(60, 60.0), 10)))
    rig.configure(other_throttle)
    assert (await rig.meter.standing(other_throttle)).throttle_remaining == 10
    rig.configure(account(Plan("pro")))
    assert (await rig.meter.standing(other_throttle)).throttle_remaining is None


async def test_a_changed_cap_counts_what_the_former_one_admitted(rig: Rig) -> None:
    rig.configure(account(cap=Rate(10, 60.0)))
    for _ in range(5):
        await rig.reserve(account(), FULL)
    tight = account(cap=Rate(6, 60.0))
    rig.configure(tight)
    await rig.reserve(tight, FULL)
    assert (await refused(rig.reserve(tight, FULL))).reason is Reason.force_refresh_capped
    rig.configure(account(cap=None))
    await rig.reserve(tight, FULL)


async def test_a_request_of_a_former_config_is_admitted_by_the_present_one(rig: Rig) -> None:
    old = account(Plan("p", 5000, Every.month), cap=Rate(10, 60.0))
    rig.configure(account(TEN, cap=Rate(1, 60.0)))
    assert (await rig.charge(old, FULL)).remaining == 4
    assert (await refused(rig.charge(old, FULL))).reason is Reason.force_refresh_capped
    assert (await refused(rig.charge(old, OPTIONS))).reason is Reason.quota_exceeded


async def test_an_operation_outlives_its_account(rig: Rig) -> None:
    rig.configure(account())
    reservation = await rig.reserve(account(), FULL)
    rig.configure()
    assert (await rig.meter.settle(reservation, Outcome.refreshed)).remaining == 1991


# Renamed accounts

OLD = account(SMALL, "old")
NEW = replace(account(SMALL, "new"), former="old")


async def test_an_account_under_anothers_former_name_keeps_its_own(rig: Rig) -> None:
    old, new = account(name="old"), replace(account(name="new"), former="old")
    rig.configure(old, new)
    for _ in range(3):
        await rig.charge(old, LOOKUP)
        await rig.fetch(new, LOOKUP, Outcome.miss)
    found = [await rig.balance(name) for name in ("old", "new")]
    assert [(one.granted, one.balance) for one in found] == [(2000, 1997)] * 2


async def test_a_renamed_account_keeps_its_balance_and_is_granted_nothing_twice(rig: Rig) -> None:
    rig.configure(OLD)
    await rig.charge(OLD, OPTIONS)
    rig.configure(NEW)
    assert (await rig.charge(NEW, LOOKUP)).remaining == 13
    rig.configure(OLD, NEW)
    assert (await rig.charge(OLD, LOOKUP)).remaining == 19  # whoever takes the name begins anew


@pytest.mark.parametrize("end", ["settle", "release", "refund"])
async def test_an_operation_under_the_former_name_brings_no_second_grant(rig: Rig, end: str) -> None:
    rig.configure(OLD)
    reservation = await rig.reserve(OLD, FULL)
    if end == "refund":
        await rig.meter.settle(reservation, Outcome.refreshed)
    rig.configure(NEW)
    assert (await rig.meter.standing(NEW)).remaining == 11
    match end:
        case "settle":
            await rig.meter.settle(reservation, Outcome.stale_if_error)
        case "release":
            await rig.meter.release(reservation, "upstream_refused")
        case _:
            await rig.meter.refund(reservation, Outcome.truncated)
    left = {"settle": 14, "release": 20, "refund": 20}[end]
    assert (await rig.meter.standing(NEW)).remaining == left
    assert (await rig.balance("old"), (await rig.balance("new")).balance) == (Balance(), left)


async def test_a_retired_name_that_is_still_used_spends_from_its_heir(rig: Rig) -> None:
    rig.configure(OLD)
    await rig.charge(OLD, LOOKUP)
    rig.configure(NEW)
    assert (await rig.charge(OLD, LOOKUP)).remaining == (await rig.meter.standing(NEW)).remaining == 18


# Besides operations


@pytest.mark.parametrize(("tokens", "left"), [(500, 519), (-19, 0), (0, 19)])
async def test_a_correction_changes_what_was_granted(rig: Rig, tokens: int, left: int) -> None:
    rig.configure(account(SMALL))
    await rig.charge(account(SMALL), LOOKUP)
    assert await rig.meter.correct(account(SMALL), tokens, "billed twice") == (19, left)
    balance = await rig.balance("ci")
    assert (balance.balance, balance.granted, balance.charged) == (left, 20 + tokens, 1)


@pytest.mark.parametrize(
    ("plan", "tokens", "words"),
    [
        pytest.param(SMALL, -21, "has 20 tokens to spend, so 21 cannot be taken back", id="more than there is"),
        pytest.param(SMALL, -(2**60), "has 20 tokens to spend, so", id="more than there ever was"),
        pytest.param(Plan("free"), 5, "is unlimited", id="unlimited"),
        pytest.param(SMALL, 2**56, "more tokens than can be counted", id="past all counting"),
    ],
)
async def test_a_correction_that_cannot_be(rig: Rig, plan: Plan, tokens: int, words: str) -> None:
    rig.configure(account(plan))
    with pytest.raises(ValueError, match=words):
        await rig.meter.correct(account(plan), tokens, "a try")
    assert (await rig.meter.standing(account(plan))).remaining == plan.grant


async def test_how_a_balance_stands(rig: Rig) -> None:
    who = account(PRO, cap=Rate(3, 60.0))
    free = account(Plan("free"), "free", organization="free")
    rig.configure(who, free)
    await rig.charge(who, OPTIONS)
    await rig.reserve(who, FULL)
    standing = await rig.meter.balance(who)
    assert standing == Standing(1985, 9, 6, 2000, 2, standing.limits)
    assert (standing.limits.remaining, standing.limits.throttle_remaining) == (1994, 598)
    assert await rig.meter.balance(free) == Standing(None, 0, 0, None, None, await rig.meter.standing(free))


async def test_a_repetition_takes_room_in_the_throttle_and_no_tokens(rig: Rig) -> None:
    who = account(replace(SMALL, throttle=ThrottlePolicy(Rate(1, 60.0), 1)))
    rig.configure(who)
    repeated = await rig.meter.repeat(who)
    assert (repeated.tokens, repeated.remaining, repeated.throttle_remaining) == (0, 20, 0)
    assert (await refused(rig.meter.repeat(who))).reason is Reason.throttled


async def test_an_account_that_changes_while_it_runs(rig: Rig) -> None:
    rig.configure(account(PRO))
    await rig.charge(account(PRO), LOOKUP)
    raised = account(replace(PRO, grant=3000))
    rig.meter.enroll(raised)
    assert (await rig.charge(account(PRO), LOOKUP)).remaining == 2998
    assert (await rig.meter.standing(raised)).throttle_remaining == 598
    made = account(SMALL, "made", organization="late", cap=Rate(1, 60.0))
    rig.meter.enroll(made)
    await rig.reserve(made, FULL)
    assert (await refused(rig.reserve(made, FULL))).reason is Reason.force_refresh_capped


async def test_what_calls_cost_moves_no_balance(rig: Rig) -> None:
    rig.configure(account())
    await rig.meter.spend({(account(), "product", "api", 3): 2})
    assert await rig.balance("ci") == Balance()


async def test_nothing_is_verified_in_vain(rig: Rig) -> None:
    await rig.meter.verify()


async def test_who_has_used_how_much(rig: Rig) -> None:
    plan = Plan("p", 100, Every.month)
    accounts = [account(plan, name) for name in ("idle", "half", "eighty", "most", "all")]
    free = account(Plan("free"), "free")
    rig.configure(*accounts, free)
    for who, tokens in zip([*accounts, free], [0, 50, 80, 96, 100, 100], strict=True):
        if tokens:
            await rig.charge(who, Quote(tokens))
    assert await rig.meter.accounts_above((50, 80, 95, 100)) == {50: 4, 80: 3, 95: 2, 100: 1}
    near = await rig.meter.nearest(2)
    assert [(one.account.id, one.used, one.standing.balance) for one in near] == [("all", 1.0, 0), ("most", 0.96, 4)]
    rig.clock.advance(20 * 86_400)
    assert await rig.meter.accounts_above((50, 80, 95, 100)) == {50: 0, 80: 0, 95: 0, 100: 0}
    assert await rig.meter.nearest(2) == []
