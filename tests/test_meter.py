import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.clock import FakeClock

from gateway.admission.charge import Charge, Quote
from gateway.admission.snapshot import Account, Every, Plan, Rate, Snapshot, ThrottlePolicy
from gateway.errors import Problem, Reason
from gateway.ledger.accounts import Balance
from gateway.ledger.ledger import Ledger
from gateway.meter import HOUSE, Meter, State

LOOKUP = Quote(1, lines=(("base", 1),))
OPTIONS = Quote(6, lines=(("base", 1), ("offers_reviews", 5)))
FULL = Quote(6, 3, forced=True, lines=(("base", 1), ("offers_reviews", 5), ("force_refresh", 3)))
FREE = Quote(0, lines=(("base", 0),))
PRO = Plan("pro", 2000, Every.month, ThrottlePolicy(Rate(600, 60.0), 600))


def account(
    plan: Plan = PRO, name: str = "ci", organization: str = "acme", holder: str | None = None, cap: Rate | None = None
) -> Account:
    return Account(name, organization, plan, holder or name, cap)


def snapshot(*accounts: Account, timezone: str = "UTC") -> Snapshot:
    return Snapshot((), {}, {entry.id.encode(): entry for entry in accounts}, timezone=timezone)


class Rig:
    """A meter on a ledger of its own; `CI` is an account on the plan `pro`."""

    def __init__(self, folder: Path, *accounts: Account) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.ledger = Ledger.open(folder, "process", self.clock)
        self.meter = Meter(self.ledger, self.clock)
        self.meter.configure(snapshot(*accounts))

    def balance(self, holder: str = "ci") -> Balance:
        return self.ledger.accounts.balance(holder)

    async def restart(self, *accounts: Account) -> None:
        await self.ledger.close()
        clock = self.clock
        self.ledger = Ledger.open(self.folder, "process", clock)
        self.meter = Meter(self.ledger, clock)
        self.meter.configure(snapshot(*accounts))


Start = Callable[..., Rig]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    rigs = list[Rig]()

    def begin(*accounts: Account) -> Rig:
        rigs.append(Rig(tmp_path / str(len(rigs)), *accounts))
        return rigs[-1]

    yield begin
    for rig in rigs:
        assert rig.ledger.drift() == 0
        await rig.ledger.close()


def refusal(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


async def test_the_seeds_arithmetic(start: Start) -> None:
    rig = start(account())
    assert rig.meter.charge(account(), "product", LOOKUP, True).remaining == 1999
    assert rig.meter.charge(account(), "product", OPTIONS, True).remaining == 1993
    charge = rig.meter.settle(rig.meter.reserve(account(), "product", FULL), 9, "refresh")
    assert (charge.tokens, charge.remaining) == (9, 1984)
    await rig.ledger.committed()
    assert rig.meter.tally.charged == {
        ("product", "lookup"): 3,
        ("product", "options"): 10,
        ("product", "force_refresh"): 3,
    }


async def test_every_member_of_a_charge(start: Start) -> None:
    rig = start(account())
    assert rig.meter.settle(rig.meter.reserve(account(), "product", FULL), 9, "refresh") == Charge(
        tokens=9,
        remaining=1991,
        quota=2000,
        window=31 * 86_400,
        renews_at=datetime(2026, 2, 1, tzinfo=UTC).timestamp(),
        throttle_limit=600,
        throttle_window=60,
        throttle_remaining=599,
        throttle_reset=1,
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
    assert rig.meter.charge(account(plan), "product", LOOKUP, True) == expected


async def test_an_uncharged_reuse_costs_nothing_and_counts(start: Start) -> None:
    rig = start(account())
    charge = rig.meter.charge(account(), "product", LOOKUP, False)
    assert (charge.tokens, charge.remaining, charge.throttle_remaining) == (0, 2000, 599)


async def test_what_is_reserved_still_remains_and_cannot_be_spent(start: Start) -> None:
    plan = Plan("small", 10, Every.month)
    rig = start(account(plan))
    reservation = rig.meter.reserve(account(plan), "product", FULL)
    assert rig.meter.charge(account(plan), "product", LOOKUP, True).remaining == 9
    assert refusal(lambda: rig.meter.charge(account(plan), "product", LOOKUP, True)).reason is Reason.quota_exceeded
    assert rig.meter.release(reservation, "failed").remaining == 9
    assert rig.balance() == Balance(10, 1, 0, 0, 9, rig.balance().term)


async def test_less_than_reserved_is_charged_and_the_rest_returns(start: Start) -> None:
    rig = start(account())
    charge = rig.meter.settle(rig.meter.reserve(account(), "product", FULL), 6, "stale")
    assert (charge.tokens, charge.remaining) == (6, 1994)
    await rig.ledger.committed()
    assert rig.meter.tally.released == {"product": 3}


async def test_a_refund_reverses_the_charge(start: Start) -> None:
    rig = start(account())
    reservation = rig.meter.reserve(account(), "product", FULL)
    assert rig.meter.settle(reservation, 9, "pass").remaining == 1991
    assert rig.meter.refund(reservation, "broken").remaining == 2000
    assert rig.balance().charged == 0


@pytest.mark.parametrize("plan", [PRO, Plan("free")], ids=lambda plan: plan.name)
async def test_an_operation_ends_once(start: Start, plan: Plan) -> None:
    rig = start(account(plan))
    reservation = rig.meter.reserve(account(plan), "product", FREE)
    with pytest.raises(RuntimeError, match="reserved, not settled"):
        rig.meter.refund(reservation, "broken")
    with pytest.raises(ValueError, match="reserved 0 tokens, not 1"):
        rig.meter.settle(reservation, 1, "miss")
    rig.meter.settle(reservation, 0, "miss")
    with pytest.raises(RuntimeError, match="settled, not reserved"):
        rig.meter.settle(reservation, 0, "miss")
    with pytest.raises(RuntimeError, match="settled, not reserved"):
        rig.meter.release(reservation, "failed")
    rig.meter.refund(reservation, "broken")
    with pytest.raises(RuntimeError, match="ended, not settled"):
        rig.meter.refund(reservation, "broken")


async def test_unlimited_is_counted_and_adds_up(start: Start) -> None:
    plan = Plan("free")
    rig = start(account(plan))
    rig.meter.charge(account(plan), "product", OPTIONS, True)
    reservation = rig.meter.reserve(account(plan), "product", FULL)
    assert rig.balance() == Balance(granted=15, charged=6, reserved=9)
    rig.meter.settle(reservation, 6, "stale")
    assert rig.balance() == Balance(granted=12, charged=12)
    rig.meter.refund(reservation, "broken")
    assert rig.balance() == Balance(granted=6, charged=6)


async def test_from_unlimited_to_a_plan_the_grant_is_whole(start: Start) -> None:
    rig = start(account(Plan("free")))
    rig.meter.charge(account(Plan("free")), "product", OPTIONS, True)
    rig.meter.configure(snapshot(account()))
    assert rig.meter.standing(account()).remaining == 2000


async def test_the_gateways_own_fetches_are_counted_apart(start: Start) -> None:
    rig = start(account())
    rig.meter.settle(rig.meter.reserve(rig.meter.house, "product", LOOKUP), 1, "revalidated")
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
    rig.meter.charge(who, "product", LOOKUP, True)
    for _ in range(2):
        rig.meter.settle(rig.meter.reserve(who, "product", FULL), 9, "refresh")
    if reason in (Reason.quota_exceeded, Reason.quota_exhausted):
        rig.clock.steady_now += 61  # the cap is free again, the balance is not
    before = rig.meter.standing(who), rig.balance(), await committed_size(rig)

    def ask() -> object:
        return rig.meter.charge(who, "product", FULL, True) if reuse else rig.meter.reserve(who, "product", FULL)

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
    assert refusal(lambda: rig.meter.reserve(who, "product", FULL)).reason is Reason.quota_exceeded
    rig.meter.reserve(who, "product", Quote(2, 3, forced=True))
    assert refusal(lambda: rig.meter.reserve(who, "product", LOOKUP)).reason is Reason.throttled


async def test_a_refusal_by_the_cap_leaves_the_throttle_as_it_was(start: Start) -> None:
    plan = Plan("p", 100, Every.month, ThrottlePolicy(Rate(1, 60.0), 2))
    who = account(plan, cap=Rate(1, 60.0))
    rig = start(who)
    rig.meter.reserve(who, "product", FULL)
    assert refusal(lambda: rig.meter.reserve(who, "product", FULL)).reason is Reason.force_refresh_capped
    assert rig.meter.charge(who, "product", LOOKUP, True).throttle_remaining == 0


async def test_the_cap_is_the_organizations_and_the_throttle_the_keys(start: Start) -> None:
    plan = Plan("p", 2000, Every.month, ThrottlePolicy(Rate(60, 60.0), 60))
    one, two = account(plan, "one", cap=Rate(100, 60.0)), account(plan, "two", cap=Rate(100, 60.0))
    rig = start(one, two)
    for _ in range(50):
        rig.meter.reserve(one, "product", FULL)
        rig.meter.charge(two, "product", FULL, True)
    assert refusal(lambda: rig.meter.reserve(one, "product", FULL)).reason is Reason.force_refresh_capped
    assert refusal(lambda: rig.meter.reserve(two, "product", FULL)).reason is Reason.force_refresh_capped
    assert rig.meter.standing(one).throttle_remaining == rig.meter.standing(two).throttle_remaining == 10
    rig.meter.charge(one, "product", LOOKUP, True)


async def test_keys_may_spend_from_one_balance(start: Start) -> None:
    plan = Plan("p", 10, Every.month)
    one, two = account(plan, "one", holder="org:acme"), account(plan, "two", holder="org:acme")
    rig = start(one, two)
    assert rig.meter.charge(one, "product", OPTIONS, True).remaining == 4
    assert refusal(lambda: rig.meter.charge(two, "product", OPTIONS, True)).reason is Reason.quota_exceeded
    assert rig.meter.charge(two, "product", LOOKUP, True).remaining == 3


async def test_2000_concurrent_debits_of_1_on_1000(start: Start) -> None:
    who = account(Plan("p", 1000, Every.month))
    rig = start(who)

    async def debit(number: int) -> int | None:
        try:
            if number % 2:
                charge = rig.meter.charge(who, "product", LOOKUP, True)
                await rig.ledger.committed()
            else:
                reservation = rig.meter.reserve(who, "product", LOOKUP)
                await rig.ledger.committed()
                charge = rig.meter.settle(reservation, 1, "miss")
                await rig.ledger.committed()
        except Problem:
            return None
        return charge.remaining

    found = [left for left in await asyncio.gather(*map(debit, range(2000))) if left is not None]
    assert sorted(found) == list(range(1000))
    assert rig.balance() == Balance(1000, 1000, 0, 0, 0, rig.balance().term)
    await rig.restart(who)
    assert rig.balance() == Balance(1000, 1000, 0, 0, 0, rig.balance().term)


# Periods and reloads


async def test_a_new_period_grants_anew_and_the_rest_lapses(start: Start) -> None:
    rig = start(account())
    rig.meter.charge(account(), "product", OPTIONS, True)
    old = rig.meter.reserve(account(), "product", FULL)
    rig.clock.advance(17 * 86_400)
    assert rig.meter.charge(account(), "product", LOOKUP, True).tokens == 1
    assert rig.balance() == Balance(4000, 7, 9, 1985, 1999, rig.balance().term)
    settled = rig.meter.settle(old, 6, "stale")
    assert (settled.remaining, settled.window) == (1999, 28 * 86_400)
    assert rig.balance().lapsed == 1985 + 3
    rig.meter.refund(old, "broken")
    assert rig.balance() == Balance(4000, 7, 0, 1994, 1999, rig.balance().term)


@pytest.mark.parametrize("every", [Every.month, Every.day, Every.hour])
async def test_a_clock_set_back_does_not_grant_twice(start: Start, every: Every) -> None:
    who = account(Plan("p", 10, every))
    rig = start(who)
    for _ in range(3):
        rig.meter.charge(who, "product", OPTIONS, True)
        rig.clock.wall_now -= 40 * 86_400
        assert rig.meter.standing(who).remaining == 4
        rig.clock.wall_now += 40 * 86_400
        assert rig.meter.standing(who).remaining == 4
        rig.clock.advance(31 * 86_400)


async def test_a_restart_grants_nothing_again(start: Start) -> None:
    rig = start(account())
    rig.meter.charge(account(), "product", OPTIONS, True)
    await rig.restart(account())
    assert rig.meter.standing(account()).remaining == 1994


@pytest.mark.parametrize(
    ("before", "after", "now", "next_month"),
    [
        pytest.param(2000, 3000, 2994, 3000, id="raised at once"),
        pytest.param(2000, 500, 1994, 500, id="lowered at the next period"),
        pytest.param(2000, 2000, 1994, 2000, id="the same"),
    ],
)
async def test_a_changed_plan(start: Start, before: int, after: int, now: int, next_month: int) -> None:
    old, new = account(Plan("p", before, Every.month)), account(Plan("p", after, Every.month))
    rig = start(old)
    rig.meter.charge(old, "product", OPTIONS, True)
    for changed in (new, old, new):  # to and fro, a raise is granted once
        rig.meter.configure(snapshot(changed))
        rig.meter.standing(changed)
    assert rig.meter.standing(new).remaining == now
    rig.clock.advance(17 * 86_400)
    standing = rig.meter.standing(new)
    assert (standing.remaining, standing.quota) == (next_month, next_month)


async def test_a_reload_keeps_throttles_unless_their_own_setting_changed(start: Start) -> None:
    rig = start(account())
    rig.meter.charge(account(), "product", LOOKUP, True)
    other_grant = account(Plan("pro", 5000, Every.month, PRO.throttle))
    rig.meter.configure(snapshot(other_grant))
    assert rig.meter.standing(other_grant).throttle_remaining == 599
    other_throttle = account(Plan("pro", 5000, Every.month, ThrottlePolicy(Rate(60, 60.0), 10)))
    rig.meter.configure(snapshot(other_throttle))
    assert rig.meter.standing(other_throttle).throttle_remaining == 10
    rig.meter.configure(snapshot(account(Plan("pro"))))
    assert rig.meter.standing(other_throttle).throttle_remaining is None


async def test_a_changed_cap_counts_what_the_former_one_admitted(start: Start) -> None:
    rig = start(account(cap=Rate(10, 60.0)))
    for _ in range(5):
        rig.meter.reserve(account(), "product", FULL)
    tight = account(cap=Rate(6, 60.0))
    rig.meter.configure(snapshot(tight))
    rig.meter.reserve(tight, "product", FULL)
    assert refusal(lambda: rig.meter.reserve(tight, "product", FULL)).reason is Reason.force_refresh_capped
    rig.meter.configure(snapshot(account(cap=None)))
    rig.meter.reserve(tight, "product", FULL)


async def test_a_request_of_a_former_config_is_admitted_by_the_present_one(start: Start) -> None:
    old = account(Plan("p", 5000, Every.month), cap=Rate(10, 60.0))
    rig = start(old)
    new = account(Plan("p", 10, Every.month), cap=Rate(1, 60.0))
    rig.meter.configure(snapshot(new))
    assert rig.meter.charge(old, "product", FULL, True).remaining == 4
    assert refusal(lambda: rig.meter.charge(old, "product", FULL, True)).reason is Reason.force_refresh_capped
    assert refusal(lambda: rig.meter.charge(old, "product", OPTIONS, True)).reason is Reason.quota_exceeded


async def test_an_operation_outlives_its_account(start: Start) -> None:
    rig = start(account())
    reservation = rig.meter.reserve(account(), "product", FULL)
    rig.meter.configure(snapshot())
    assert rig.meter.settle(reservation, 9, "refresh").remaining == 1991


# Restart and failure


async def test_the_caps_window_survives_a_restart(start: Start) -> None:
    who = account(cap=Rate(3, 60.0))
    rig = start(who)
    for _ in range(3):
        rig.meter.reserve(who, "product", FULL)
        rig.clock.advance(10)
    await rig.restart(who)
    assert refusal(lambda: rig.meter.reserve(who, "product", FULL)).retry_after == 30
    rig.clock.advance(31)
    rig.meter.reserve(who, "product", FULL)
    assert refusal(lambda: rig.meter.reserve(who, "product", FULL)).reason is Reason.force_refresh_capped


async def test_a_restart_with_the_clock_set_back_forgets_no_force_refresh(start: Start) -> None:
    who = account(cap=Rate(1, 60.0))
    rig = start(who)
    rig.meter.reserve(who, "product", FULL)
    rig.clock.advance(-3600)
    await rig.restart(who)
    assert refusal(lambda: rig.meter.reserve(who, "product", FULL)).retry_after == 60


async def test_what_was_reserved_returns_at_a_restart(start: Start) -> None:
    rig = start(account())
    rig.meter.reserve(account(), "product", FULL)
    await rig.ledger.committed()
    await rig.restart(account())
    assert rig.balance() == Balance(2000, 0, 0, 0, 2000, rig.balance().term)


def full_disk(file: int, data: bytes) -> int:
    raise OSError(28, os.strerror(28))


async def fails(rig: Rig) -> None:
    with pytest.raises(Problem) as caught:
        await rig.ledger.committed()
    assert (caught.value.reason, caught.value.retry_after) == (Reason.ledger_unavailable, 1)


async def test_a_failed_admission_gives_everything_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("p", 9, Every.month, ThrottlePolicy(Rate(1, 3600.0), 1))
    who = account(plan, cap=Rate(1, 3600.0))
    rig = start(who)
    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        reservation = rig.meter.reserve(who, "product", FULL)
        await fails(rig)
        assert reservation.state is State.void
        assert rig.balance() == Balance()
        rig.meter.charge(who, "product", FULL, True)
        await fails(rig)
    charge = rig.meter.settle(rig.meter.reserve(who, "product", FULL), 9, "refresh")
    await rig.ledger.committed()
    assert charge.remaining == 0
    assert rig.meter.tally.charged.total() == 9
    with pytest.raises(RuntimeError, match="void"):
        rig.meter.release(reservation, "failed")


@pytest.mark.parametrize("end", ["settle", "release", "refund"])
async def test_an_end_that_is_not_written_can_be_given_again(
    start: Start, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    rig = start(account())
    reservation = rig.meter.reserve(account(), "product", FULL)
    if end == "refund":
        rig.meter.settle(reservation, 9, "pass")
    await rig.ledger.committed()
    before = rig.balance().charged, rig.balance().reserved, reservation.state, reservation.tokens

    def act() -> Charge:
        match end:
            case "settle":
                return rig.meter.settle(reservation, 9, "miss")
            case "release":
                return rig.meter.release(reservation, "failed")
            case _:
                return rig.meter.refund(reservation, "broken")

    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        act()
        await fails(rig)
    assert (rig.balance().charged, rig.balance().reserved, reservation.state, reservation.tokens) == before
    assert act().remaining == (1991 if end == "settle" else 2000)
    await rig.ledger.committed()


# Gauges


async def test_accounts_above(start: Start) -> None:
    plan = Plan("p", 100, Every.month)
    accounts = [account(plan, name) for name in ("idle", "half", "eighty", "most", "all")]
    free = account(Plan("free"), "free")
    rig = start(*accounts, free)
    for who, tokens in zip([*accounts, free], [0, 50, 80, 96, 100, 100], strict=True):
        if tokens:
            rig.meter.charge(who, "product", Quote(tokens), True)
    assert [rig.meter.accounts_above(percent) for percent in (50, 80, 95, 100)] == [4, 3, 2, 1]
    await rig.restart(*accounts, free)
    assert [rig.meter.accounts_above(percent) for percent in (50, 80, 95, 100)] == [4, 3, 2, 1]
    rig.clock.advance(20 * 86_400)
    assert [rig.meter.accounts_above(percent) for percent in (50, 80, 95, 100)] == [0, 0, 0, 0]
