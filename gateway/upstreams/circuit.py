"""The breakers of one upstream, one for each of its URLs: where a request goes, if anywhere, and what came of it."""

from dataclasses import dataclass
from typing import NamedTuple

import structlog

from gateway.admission.breaker import Breaker, State
from gateway.admission.snapshot import UpstreamPolicy
from gateway.errors import Problem, Reason
from gateway.ports import Clock

BEST_FIRST = (State.closed, State.failing, State.half_open, State.open)
"""What speaks best for an upstream comes first: it is as well as the best of its URLs."""


class Pass(NamedTuple):
    """Leave to send one request to the URL at `place`, in its breaker's `turn`."""

    place: int
    turn: int


@dataclass(slots=True, frozen=True)
class UpstreamState:
    """How an upstream is. `wait`: seconds until it may be asked, 0 where it may be now, or a probe is to tell.

    `usable` of its `urls` are closed; `failures` are those in a row, where it fails.
    """

    state: State
    wait: float
    failures: int
    usable: int
    urls: int

    @property
    def up(self) -> bool:
        """Whether requests are sent to it, and not all in vain."""
        return self.state is State.closed


class Circuit:
    """Lets requests through to the first URL whose breaker is closed, or due for a probe; logs each change of state."""

    def __init__(self, policy: UpstreamPolicy, clock: Clock) -> None:
        # Longer than this no probe is without an answer, unless its client still sends it.
        patience = policy.connect_timeout + policy.first_byte_timeout
        self._breakers = [Breaker(policy.breaker, patience) for _ in policy.urls]
        self._told = [State.closed for _ in policy.urls]
        self._name = policy.name
        self._clock = clock
        self._log = structlog.get_logger("gateway.upstreams")

    def state(self) -> UpstreamState:
        """How the upstream is now."""
        states = [breaker.state for breaker in self._breakers]
        return UpstreamState(
            state=min(states, key=BEST_FIRST.index),
            wait=self.wait(),
            failures=min(breaker.failures for breaker in self._breakers),
            usable=states.count(State.closed),
            urls=len(states),
        )

    def admits(self) -> bool:
        """Whether some URL may be asked now."""
        now = self._clock.steady()
        return any(breaker.admits(now) for breaker in self._breakers)

    def wait(self) -> float:
        """Seconds until a URL may be asked; 0 while a probe is under way, which may end at any moment."""
        now = self._clock.steady()
        return min(breaker.wait(now) for breaker in self._breakers)

    def admit(self, *, uploads: bool = False) -> Pass:
        """Leave for one request, whose client is still to send content if `uploads`.

        Raises Problem(upstream_circuit_open) where no URL may be asked now.
        """
        found = self.next(0, uploads=uploads)
        if found is None:
            raise Problem(Reason.upstream_circuit_open, retry_after=self.wait())
        return found

    def next(self, place: int, *, uploads: bool = False) -> Pass | None:
        """Leave for one request at `place` or later, None where there is none."""
        now = self._clock.steady()
        for at in range(place, len(self._breakers)):
            turn = self._breakers[at].admit(now, uploads=uploads)
            if turn is not None:
                self._tell(at)
                return Pass(at, turn)
        return None

    def holds(self, leave: Pass) -> bool:
        """Whether it may still be sent."""
        return self._breakers[leave.place].holds(leave.turn)

    def renewed(self, leave: Pass, *, uploads: bool) -> Pass:
        """The same, after it waited; another where its breaker has changed since. Raises as `admit`."""
        return leave if self.holds(leave) else self.admit(uploads=uploads)

    def answered(self, leave: Pass) -> None:
        """The URL answered."""
        self._breakers[leave.place].succeeded(leave.turn)
        self._tell(leave.place)

    def failed(self, leave: Pass, how: str, at_least: float = 0.0) -> bool:
        """It did not, and wants to be left alone for `at_least` seconds. Whether from now on no URL is asked."""
        self._breakers[leave.place].failed(leave.turn, self._clock.steady(), at_least)
        return self._tell(leave.place, how) and self.state().state in (State.half_open, State.open)

    def gave_up(self, leave: Pass) -> None:
        """Nothing came of it that the URL is to blame for."""
        self._breakers[leave.place].gave_up(leave.turn)

    def _tell(self, place: int, how: str | None = None) -> bool:
        """Log a change of state; whether there was one. A URL is named by its number, as it may hold a secret."""
        breaker = self._breakers[place]
        changed = breaker.state is not self._told[place]
        if changed:
            self._told[place] = breaker.state
            well = breaker.state in (State.closed, State.half_open)
            tell = self._log.info if well else self._log.warning
            tell(
                f"upstream {breaker.state.value}",
                upstream=self._name,
                url=place + 1,
                failures=breaker.failures,
                last=how,
                wait=round(breaker.wait(self._clock.steady()), 3),
            )
        return changed
