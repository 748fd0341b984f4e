"""What the meter does for an account besides its operations: corrections, standing, repetitions, new settings."""

from dataclasses import replace

import pytest
from support.metering import FULL, LOOKUP, OPTIONS, PRO, Start, account, fails, full_disk, refusal

from gateway.admission.snapshot import Every, Plan, Rate, ThrottlePolicy
from gateway.admission.standing import Standing
from gateway.errors import Reason

SMALL = Plan("small", 20, Every.month)


@pytest.mark.parametrize(("tokens", "left"), [(500, 519), (-19, 0), (0, 19)])
async def test_a_correction_changes_what_was_granted(start: Start, tokens: int, left: int) -> None:
    rig = start(account(SMALL))
    rig.charge(account(SMALL), LOOKUP)
    assert rig.meter.correct(account(SMALL), tokens, "billed twice") == (19, left)
    await rig.ledger.committed()
    assert (rig.balance().balance, rig.balance().granted, rig.balance().charged) == (left, 20 + tokens, 1)
    await rig.restart(account(SMALL))
    assert rig.meter.standing(account(SMALL)).remaining == left


@pytest.mark.parametrize(
    ("plan", "tokens", "words"),
    [
        pytest.param(SMALL, -21, "has 20 tokens to spend, so 21 cannot be taken back", id="more than there is"),
        pytest.param(Plan("free"), 5, "is unlimited", id="unlimited"),
        pytest.param(SMALL, 2**56, "more tokens than can be counted", id="past all counting"),
    ],
)
async def test_a_correction_that_cannot_be(start: Start, plan: Plan, tokens: int, words: str) -> None:
    rig = start(account(plan))
    with pytest.raises(ValueError, match=words):
        rig.meter.correct(account(plan), tokens, "a try")
    assert rig.meter.standing(account(plan)).remaining == plan.grant


async def test_a_seat_is_up_to_date_and_another_one_once_its_account_has_changed(start: Start) -> None:
    rig = start(account(SMALL))
    seat = rig.meter.seat(account(SMALL))
    assert seat.current(rig.clock.wall())
    assert (seat.balance.balance, rig.meter.seat(account(SMALL))) == (20, seat)
    rig.clock.advance(40 * 86_400)
    assert not seat.current(rig.clock.wall())
    assert rig.meter.seat(account(SMALL)) is seat
    assert seat.current(rig.clock.wall())
    rig.meter.enroll(account(PRO))
    assert not seat.current(rig.clock.wall())
    assert rig.meter.seat(account(PRO)) is not seat


async def test_what_is_reserved_cannot_be_taken_back(start: Start) -> None:
    rig = start(account(SMALL))
    reservation = rig.reserve(account(SMALL), FULL)
    with pytest.raises(ValueError, match="has 11 tokens"):
        rig.meter.correct(account(SMALL), -12, "too much")
    rig.meter.release(reservation, "upstream_refused")
    assert rig.meter.correct(account(SMALL), -12, "now there is") == (20, 8)


async def test_a_correction_the_journal_does_not_take_is_none(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = start(account(SMALL))
    rig.meter.standing(account(SMALL))
    await rig.ledger.committed()
    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        rig.meter.correct(account(SMALL), 5, "goodwill")
        await fails(rig)
    assert rig.balance().balance == 20


async def test_how_a_balance_stands(start: Start) -> None:
    who = account(PRO, cap=Rate(3, 60.0))
    rig = start(who)
    rig.charge(who, OPTIONS)
    rig.reserve(who, FULL)
    standing = rig.meter.balance(who)
    assert standing == Standing(1985, 9, 6, 2000, 2, standing.limits)
    assert (standing.limits.remaining, standing.limits.throttle_remaining) == (1994, 598)
    free = account(Plan("free"), "free", organization="free")
    assert rig.meter.balance(free) == Standing(None, 0, 0, None, None, rig.meter.standing(free))


async def test_a_repetition_takes_room_in_the_throttle_and_no_tokens(start: Start) -> None:
    who = account(replace(SMALL, throttle=ThrottlePolicy(Rate(1, 60.0), 1)))
    rig = start(who)
    repeated = rig.meter.repeat(who)
    assert (repeated.tokens, repeated.remaining, repeated.throttle_remaining) == (0, 20, 0)
    assert refusal(lambda: rig.meter.repeat(who)).reason is Reason.throttled


async def test_an_account_that_changes_while_it_runs(start: Start) -> None:
    rig = start(account(PRO))
    rig.charge(account(PRO), LOOKUP)
    raised = account(replace(PRO, grant=3000))
    rig.meter.enroll(raised)
    assert rig.charge(account(PRO), LOOKUP).remaining == 2998
    assert rig.meter.standing(raised).throttle_remaining == 598
    made = account(SMALL, "made", organization="late", cap=Rate(1, 60.0))
    rig.meter.enroll(made)
    rig.reserve(made, FULL)
    assert refusal(lambda: rig.reserve(made, FULL)).reason is Reason.force_refresh_capped
