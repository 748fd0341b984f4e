"""Since when a node goes by what its config says of a name."""

from dataclasses import replace

from support.clock import FakeClock
from support.metering import account, roster

from gateway.till.places import Places

OLD, NEW = account(name="old"), replace(account(name="new"), former="old")
SECOND = 1_000_000


def test_a_name_that_no_config_has_ever_given_up() -> None:
    places = Places(FakeClock())
    places.configure(roster(OLD))
    assert (places.in_use("old"), places.taken_over("old", "new")) == (None, None)


def test_a_name_that_is_given_up_and_in_use_again() -> None:
    clock = FakeClock()
    places = Places(clock)
    for who in (OLD, NEW):
        places.configure(roster(who))
        clock.advance(1)
    assert (places.in_use("old"), places.taken_over("old", "new")) == (None, SECOND)
    assert places.taken_over("old", "another") is None
    places.configure(roster(OLD))
    clock.advance(2)
    assert (places.in_use("old"), places.taken_over("old", "new")) == (2 * SECOND, None)


def test_only_what_a_config_says_of_the_name_counts() -> None:
    clock = FakeClock()
    places = Places(clock)
    for accounts in ([NEW], [NEW, account()], [NEW, account(name="other")]):
        places.configure(roster(*accounts))
        clock.advance(1)
    assert places.taken_over("old", "new") == 3 * SECOND
    places.configure(roster(NEW, OLD))
    clock.advance(1)
    assert (places.in_use("old"), places.taken_over("old", "new")) == (SECOND, None)


def test_another_heir_takes_over_from_now_on() -> None:
    clock = FakeClock()
    places = Places(clock)
    for heir in ("new", "newer"):
        places.configure(roster(replace(account(name=heir), former="old")))
        clock.advance(1)
    assert (places.taken_over("old", "new"), places.taken_over("old", "newer")) == (None, SECOND)


def test_a_name_that_a_made_key_brings_back() -> None:
    clock = FakeClock()
    places = Places(clock)
    places.configure(roster(NEW))
    clock.advance(1)
    places.enroll(OLD)
    clock.advance(2)
    assert (places.in_use("old"), places.taken_over("old", "new")) == (2 * SECOND, None)
