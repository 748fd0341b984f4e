from dataclasses import replace

import pytest
from support.metering import FULL, LOOKUP, OPTIONS, PRO, Start, account, fails, full_disk, refusal, roster

from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Reason
from gateway.ledger.accounts import Balance


async def test_a_new_period_grants_anew_and_the_rest_lapses(start: Start) -> None:
    rig = start(account())
    rig.charge(account(), OPTIONS)
    old = rig.reserve(account(), FULL)
    rig.clock.advance(17 * 86_400)
    assert rig.charge(account(), LOOKUP).tokens == 1
    assert rig.balance() == Balance(4000, 7, 9, 1985, 1999, rig.balance().term)
    settled = rig.meter.settle(old, Outcome.stale_if_error)
    assert (settled.remaining, settled.window) == (1999, 28 * 86_400)
    assert rig.balance().lapsed == 1985 + 3
    rig.meter.refund(old, Outcome.truncated)
    assert rig.balance() == Balance(4000, 7, 0, 1994, 1999, rig.balance().term)


@pytest.mark.parametrize("every", [Every.month, Every.day, Every.hour])
async def test_a_clock_set_back_does_not_grant_twice(start: Start, every: Every) -> None:
    who = account(Plan("p", 10, every))
    rig = start(who)
    for _ in range(3):
        rig.charge(who, OPTIONS)
        rig.clock.wall_now -= 40 * 86_400
        assert rig.meter.standing(who).remaining == 4
        rig.clock.wall_now += 40 * 86_400
        assert rig.meter.standing(who).remaining == 4
        rig.clock.advance(31 * 86_400)


async def test_a_restart_grants_nothing_again(start: Start) -> None:
    rig = start(account())
    rig.charge(account(), OPTIONS)
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
    rig.charge(old, OPTIONS)
    for changed in (new, old, new):  # to and fro, a raise is granted once
        rig.meter.configure(roster(changed))
        rig.meter.standing(changed)
    assert rig.meter.standing(new).remaining == now
    rig.clock.advance(17 * 86_400)
    standing = rig.meter.standing(new)
    assert (standing.remaining, standing.quota) == (next_month, next_month)


async def test_a_reload_keeps_throttles_unless_their_own_setting_changed(start: Start) -> None:
    rig = start(account())
    rig.charge(account(), LOOKUP)
    other_grant = account(Plan("pro", 5000, Every.month, PRO.throttle))
    rig.meter.configure(roster(other_grant))
    assert rig.meter.standing(other_grant).throttle_remaining == 599
    other_throttle = account(Plan("pro", 5000, Every.month, ThrottlePolicy(Rate(60, 60.0), 10)))
    rig.meter.configure(roster(other_throttle))
    assert rig.meter.standing(other_throttle).throttle_remaining == 10
    rig.meter.configure(roster(account(Plan("pro"))))
    assert rig.meter.standing(other_throttle).throttle_remaining is None


async def test_a_changed_cap_counts_what_the_former_one_admitted(start: Start) -> None:
    rig = start(account(cap=Rate(10, 60.0)))
    for _ in range(5):
        rig.reserve(account(), FULL)
    tight = account(cap=Rate(6, 60.0))
    rig.meter.configure(roster(tight))
    rig.reserve(tight, FULL)
    assert refusal(lambda: rig.reserve(tight, FULL)).reason is Reason.force_refresh_capped
    rig.meter.configure(roster(account(cap=None)))
    rig.reserve(tight, FULL)


async def test_a_request_of_a_former_config_is_admitted_by_the_present_one(start: Start) -> None:
    old = account(Plan("p", 5000, Every.month), cap=Rate(10, 60.0))
    rig = start(old)
    new = account(Plan("p", 10, Every.month), cap=Rate(1, 60.0))
    rig.meter.configure(roster(new))
    assert rig.charge(old, FULL).remaining == 4
    assert refusal(lambda: rig.charge(old, FULL)).reason is Reason.force_refresh_capped
    assert refusal(lambda: rig.charge(old, OPTIONS)).reason is Reason.quota_exceeded


async def test_an_operation_outlives_its_account(start: Start) -> None:
    rig = start(account())
    reservation = rig.reserve(account(), FULL)
    rig.meter.configure(roster())
    assert rig.meter.settle(reservation, Outcome.refreshed).remaining == 1991


# Renamed accounts

SMALL = Plan("small", 20, Every.month)
OLD = account(SMALL, "old")
NEW = replace(account(SMALL, "new"), former="old")


async def test_a_renamed_account_keeps_its_balance_and_is_granted_nothing_twice(start: Start) -> None:
    rig = start(OLD)
    rig.charge(OLD, OPTIONS)
    rig.meter.configure(roster(NEW))
    assert rig.charge(NEW, LOOKUP).remaining == 13
    rig.meter.configure(roster(OLD, NEW))
    assert rig.charge(OLD, LOOKUP).remaining == 19  # whoever takes the name begins anew


@pytest.mark.parametrize("end", ["settle", "release", "refund"])
async def test_an_operation_under_the_former_name_brings_no_second_grant(start: Start, end: str) -> None:
    """Its end granted the former holder a whole period's tokens, which the new one then took over."""
    rig = start(OLD)
    reservation = rig.reserve(OLD, FULL)
    if end == "refund":
        rig.meter.settle(reservation, Outcome.refreshed)
    rig.meter.configure(roster(NEW))
    assert rig.meter.standing(NEW).remaining == 11
    match end:
        case "settle":
            rig.meter.settle(reservation, Outcome.stale_if_error)
        case "release":
            rig.meter.release(reservation, "upstream_refused")
        case _:
            rig.meter.refund(reservation, Outcome.truncated)
    left = {"settle": 14, "release": 20, "refund": 20}[end]
    assert rig.meter.standing(NEW).remaining == left
    assert (rig.balance("old"), rig.balance("new").balance) == (Balance(), left)


async def test_a_retired_name_that_is_still_used_spends_from_its_heir(start: Start) -> None:
    rig = start(OLD)
    rig.charge(OLD, LOOKUP)
    rig.meter.configure(roster(NEW))
    assert rig.charge(OLD, LOOKUP).remaining == rig.meter.standing(NEW).remaining == 18


async def test_a_cap_that_changed_meanwhile_gives_back_what_the_journal_did_not_take(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = start(account(cap=Rate(1, 60.0)))
    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        rig.reserve(account(), FULL)
        rig.meter.configure(roster(account(cap=Rate(2, 60.0))))
        await fails(rig)
    for _ in range(2):
        rig.reserve(account(), FULL)
