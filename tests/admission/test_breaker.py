"""The breaker's states, turn by turn, and against a model of its rules for whatever happens in whatever order."""

from copy import copy
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from gateway.admission.breaker import Breaker, State
from gateway.admission.snapshot import BreakerPolicy

NOW = 1_768_478_400.0
PAUSE, PATIENCE = 10.0, 33.0


def breaker(after: int = 3) -> Breaker:
    return Breaker(BreakerPolicy(after, PAUSE), PATIENCE)


def admitted(tried: Breaker, now: float = NOW) -> int:
    turn = tried.admit(now)
    assert turn is not None
    return turn


def opened(at_least: float = 0.0) -> Breaker:
    tried = breaker()
    for _ in range(3):
        tried.failed(admitted(tried), NOW, at_least)
    assert tried.state is State.open
    return tried


def probing() -> tuple[Breaker, int]:
    tried = opened()
    return tried, admitted(tried, NOW + PAUSE)


def test_it_opens_with_the_last_of_so_many_failures_in_a_row() -> None:
    tried = breaker()
    tried.failed(admitted(tried), NOW)
    tried.failed(admitted(tried), NOW)
    tried.succeeded(admitted(tried))
    for _ in range(2):
        tried.failed(admitted(tried), NOW)
        assert (tried.state, tried.wait(NOW)) == (State.closed, 0.0)
    tried.failed(admitted(tried), NOW)
    assert (tried.state, tried.failures, tried.wait(NOW)) == (State.open, 3, PAUSE)


def test_nothing_is_sent_before_the_pause_is_over_and_one_request_after() -> None:
    tried = opened()
    assert tried.admit(NOW + PAUSE - 0.001) is None
    assert tried.admit(NOW + PAUSE) is not None
    assert (tried.state, tried.wait(NOW + PAUSE)) == (State.half_open, 0.0)
    assert tried.admit(NOW + PAUSE) is None


def test_a_probe_whose_client_is_still_sending_holds_the_next_one_off_for_a_second() -> None:
    """One client that stalled kept a well upstream shut for everyone, for as long as an upstream may take."""
    tried = opened()
    turn = tried.admit(NOW + PAUSE, uploads=True)
    assert turn is not None
    assert tried.admit(NOW + PAUSE + 0.9) is None
    assert admitted(tried, NOW + PAUSE + 1.0) == turn
    tried.succeeded(turn)
    assert tried.state is State.closed


def test_it_tells_whether_it_would_admit_and_that_alone() -> None:
    tried = breaker()
    assert tried.admits(NOW)
    tried = opened()
    assert not tried.admits(NOW + PAUSE - 0.001)
    assert tried.admits(NOW + PAUSE)
    assert tried.state is State.open
    tried, _ = probing()
    assert not tried.admits(NOW + PAUSE + PATIENCE - 0.001)
    assert tried.admits(NOW + PAUSE + PATIENCE)


def test_a_probes_success_closes() -> None:
    tried, probe = probing()
    tried.succeeded(probe)
    assert (tried.state, tried.failures, tried.wait(NOW)) == (State.closed, 0, 0.0)
    assert tried.admit(NOW) is not None


def test_a_probes_failure_opens_for_the_same_time_again() -> None:
    tried, probe = probing()
    tried.failed(probe, NOW + 12)
    assert (tried.state, tried.failures, tried.wait(NOW + 12)) == (State.open, 4, PAUSE)


def test_a_probe_that_was_given_up_makes_room_for_the_next_at_once() -> None:
    tried, probe = probing()
    tried.gave_up(probe)
    assert tried.state is State.half_open
    assert tried.admit(NOW + PAUSE) is not None
    assert tried.admit(NOW + PAUSE) is None


def test_a_probe_of_which_nothing_is_heard_holds_the_next_off_for_so_long_only() -> None:
    tried, first = probing()
    assert tried.admit(NOW + PAUSE + PATIENCE - 0.001) is None
    second = tried.admit(NOW + PAUSE + PATIENCE)
    assert second is not None
    # Either of them may still tell.
    tried.succeeded(first)
    assert tried.state is State.closed


@pytest.mark.parametrize(
    ("wish", "pause"),
    [(0.0, PAUSE), (PAUSE / 2, PAUSE), (60.0, 60.0), (300.0, 300.0), (86400.0, 300.0)],
    ids=["none", "shorter", "longer", "longest", "too long"],
)
def test_the_servers_own_wish_lengthens_the_pause_within_bounds(wish: float, pause: float) -> None:
    assert opened(wish).wait(NOW) == pause


def test_what_was_sent_before_it_opened_tells_nothing_any_more() -> None:
    tried = breaker()
    turn = admitted(tried)
    for _ in range(3):
        tried.failed(turn, NOW)
    tried.failed(turn, NOW + 5)
    tried.succeeded(turn)
    tried.gave_up(turn)
    assert not tried.holds(turn)
    assert (tried.state, tried.failures, tried.wait(NOW + 5)) == (State.open, 3, PAUSE - 5)


def test_what_was_sent_before_it_opened_tells_nothing_after_it_closed() -> None:
    tried = breaker()
    turn = admitted(tried)
    for _ in range(3):
        tried.failed(turn, NOW)
    tried.succeeded(admitted(tried, NOW + PAUSE))
    for _ in range(3):
        tried.failed(turn, NOW + 30)
    assert (tried.state, tried.failures) == (State.closed, 0)


def test_what_is_admitted_while_closed_may_be_sent_until_it_opens() -> None:
    tried = breaker()
    turn = admitted(tried)
    tried.gave_up(turn)
    tried.failed(turn, NOW)
    assert tried.holds(turn)


def test_without_a_policy_it_refuses_nothing_and_tells() -> None:
    tried = Breaker(None, PATIENCE)
    for count in range(1, 8):
        tried.failed(admitted(tried), NOW)
        assert tried.state is (State.failing if count >= 5 else State.closed)
    assert (tried.failures, tried.wait(NOW)) == (7, 0.0)
    tried.succeeded(admitted(tried))
    assert (tried.state, tried.failures) == (State.closed, 0)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 6))
def test_one_after_the_other_it_opens_exactly_after_so_many_failures(ends: list[bool], after: int) -> None:
    tried, row = breaker(after), 0
    for succeeds in ends:
        turn = admitted(tried)
        if succeeds:
            tried.succeeded(turn)
        else:
            tried.failed(turn, NOW)
        row = 0 if succeeds else row + 1
        assert (tried.state is State.open) == (row >= after)
        if row >= after:
            return


class Rules(RuleBasedStateMachine):
    """Requests that begin, end and are lost in any order, while time passes."""

    out = Bundle("out")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.tried = breaker()
        self.probes: list[float] = []
        self.opened = 0.0

    @rule(seconds=st.sampled_from([0.0, 0.5, PAUSE, PATIENCE]))
    def passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=out)
    def begins(self) -> object:
        before = self.tried.state
        turn = self.tried.admit(self.now)
        if turn is None:
            assert before in (State.open, State.half_open)
            return multiple()
        assert self.tried.holds(turn)
        if before is not State.closed:
            assert self.tried.state is State.half_open
            self.probes.append(self.now)
        return turn

    @rule(turn=consumes(out))
    def succeeds(self, turn: int) -> None:
        held, before = self.tried.holds(turn), self.tried.state
        self.tried.succeeded(turn)
        assert self.tried.state is (State.closed if held else before)
        if held:
            self.probes.clear()

    @rule(turn=consumes(out))
    def fails(self, turn: int) -> None:
        held, before = self.tried.holds(turn), self.tried.state
        self.tried.failed(turn, self.now)
        if held and before is State.half_open:
            assert self.tried.state is State.open
        if self.tried.state is State.open and before is not State.open:
            self.opened = self.now
            self.probes.clear()

    @rule(turn=consumes(out))
    def is_given_up(self, turn: int) -> None:
        held, before = self.tried.holds(turn), self.tried.state
        self.tried.gave_up(turn)
        assert self.tried.state is before
        if held and before is State.half_open:
            self.probes.clear()

    @invariant()
    def opens_no_longer_than_it_says(self) -> None:
        if self.tried.state is State.open:
            assert self.tried.wait(self.now) == max(0.0, self.opened + PAUSE - self.now)

    @invariant()
    def is_never_stuck(self) -> None:
        assert copy(self.tried).admit(self.now + PAUSE + PATIENCE) is not None

    @invariant()
    def one_probe_is_out_at_once(self) -> None:
        assert all(later - earlier >= PATIENCE for earlier, later in pairwise(self.probes))


TestRules = Rules.TestCase
