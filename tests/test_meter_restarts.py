import pytest
from support.metering import FULL, Start, account, fails, full_disk, refusal

from gateway.admission.charge import Charge
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Every, Plan, Rate, ThrottlePolicy
from gateway.errors import Reason
from gateway.ledger.accounts import Balance
from gateway.reservation import State


async def test_the_caps_window_survives_a_restart(start: Start) -> None:
    who = account(cap=Rate(3, 60.0))
    rig = start(who)
    for _ in range(3):
        rig.reserve(who, FULL)
        rig.clock.advance(10)
    await rig.restart(who)
    assert refusal(lambda: rig.reserve(who, FULL)).retry_after == 30
    rig.clock.advance(31)
    rig.reserve(who, FULL)
    assert refusal(lambda: rig.reserve(who, FULL)).reason is Reason.force_refresh_capped


async def test_a_restart_with_the_clock_set_back_forgets_no_force_refresh(start: Start) -> None:
    who = account(cap=Rate(1, 60.0))
    rig = start(who)
    rig.reserve(who, FULL)
    rig.clock.advance(-3600)
    await rig.restart(who)
    assert refusal(lambda: rig.reserve(who, FULL)).retry_after == 60


@pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["forward", "back"])
async def test_the_caps_window_survives_a_restart_and_a_clock_that_was_set(start: Start, jump: float) -> None:
    who = account(cap=Rate(1, 60.0))
    rig = start(who)
    rig.reserve(who, FULL)
    await rig.ledger.committed()
    rig.clock.wall_now += jump
    rig.clock.advance(20)
    await rig.restart(who)
    assert refusal(lambda: rig.reserve(who, FULL)).retry_after == 40
    rig.clock.advance(41)
    rig.reserve(who, FULL)


@pytest.mark.parametrize("boot", ["another", ""])
async def test_after_another_boot_the_wall_clock_tells_how_long_ago(start: Start, boot: str) -> None:
    who = account(cap=Rate(1, 60.0))
    rig = start(who)
    rig.clock.boot = boot and "boot"
    rig.reserve(who, FULL)
    await rig.ledger.committed()
    rig.clock.boot = boot
    rig.clock.steady_now -= 1000  # the machine's uptime begins anew
    rig.clock.wall_now += 20
    await rig.restart(who)
    assert refusal(lambda: rig.reserve(who, FULL)).retry_after == 40


async def test_what_was_reserved_returns_at_a_restart(start: Start) -> None:
    rig = start(account())
    rig.reserve(account(), FULL)
    await rig.ledger.committed()
    await rig.restart(account())
    assert rig.balance() == Balance(2000, 0, 0, 0, 2000, rig.balance().term)


async def test_a_failed_admission_gives_everything_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("p", 9, Every.month, ThrottlePolicy(Rate(1, 3600.0), 1))
    who = account(plan, cap=Rate(1, 3600.0))
    rig = start(who)
    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        reservation = rig.reserve(who, FULL)
        await fails(rig)
        assert reservation.state is State.void
        assert rig.balance() == Balance()
        rig.charge(who, FULL)
        await fails(rig)
    charge = rig.meter.settle(rig.reserve(who, FULL), Outcome.refreshed)
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
    reservation = rig.reserve(account(), FULL)
    if end == "refund":
        rig.meter.settle(reservation, Outcome.refreshed)
    await rig.ledger.committed()
    before = rig.balance().charged, rig.balance().reserved, reservation.state, reservation.tokens

    def act() -> Charge:
        match end:
            case "settle":
                return rig.meter.settle(reservation, Outcome.refreshed)
            case "release":
                return rig.meter.release(reservation, "failed")
            case _:
                return rig.meter.refund(reservation, Outcome.truncated)

    with monkeypatch.context() as broken:
        broken.setattr("os.write", full_disk)
        act()
        await fails(rig)
    assert (rig.balance().charged, rig.balance().reserved, reservation.state, reservation.tokens) == before
    assert act().remaining == (1991 if end == "settle" else 2000)
    await rig.ledger.committed()
