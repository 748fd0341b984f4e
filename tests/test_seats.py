"""Seats: whose they are under one roster and the next, and that the garbage collector does not walk over them."""

import gc

from support.metering import LOOKUP, PRO, Start, account, roster

from gateway.admission.snapshot import Plan, Rate, ThrottlePolicy


async def test_a_seat_is_taken_anew_under_another_roster_alone(start: Start) -> None:
    who = account()
    rig = start(who)
    seat = rig.meter.seat(who)
    assert rig.meter.seat(who) is seat
    rig.meter.configure(roster(who))
    assert rig.meter.seat(who) is not seat
    assert rig.meter.seat(who).bucket is seat.bucket


async def test_a_throttle_goes_on_over_rosters_that_its_account_did_not_ask_under(start: Start) -> None:
    who, other = account(), account(Plan("other", None))
    rig = start(who)
    rig.charge(who, LOOKUP)
    for _ in range(2):
        rig.meter.configure(roster(other))
        rig.meter.configure(roster(who))
    assert rig.charge(who, LOOKUP).throttle_remaining == 598
    rig.meter.configure(roster(account(Plan("slow", 2000, throttle=ThrottlePolicy(Rate(5, 60.0), 5)))))
    assert rig.charge(who, LOOKUP).throttle_remaining == 4


async def test_accounts_leave_nothing_that_is_looked_at_for_cycles(start: Start) -> None:
    accounts = [account(PRO, name=f"a{number}") for number in range(300)]
    rig = start(*accounts)
    rig.charge(accounts[0], LOOKUP)
    await rig.ledger.booked()
    gc.collect()
    before = len(gc.get_objects())
    for who in accounts:
        rig.charge(who, LOOKUP)
    await rig.ledger.booked()
    gc.collect()
    assert len(gc.get_objects()) - before < len(accounts)
