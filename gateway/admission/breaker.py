"""Whether a server is asked at all, after it failed again and again: a circuit breaker as pure state.

    closed ──── `after` failures in a row ────> open
    open ────── `pause` seconds, then the next request ────> half-open, that request being its probe
    half-open ─ the probe succeeds ───────────> closed
    half-open ─ the probe fails ──────────────> open

Every change of state begins a new turn. How an exchange of an earlier turn ended says nothing of the present one.
"""

from enum import Enum
from typing import assert_never

from gateway.admission.snapshot import BreakerPolicy

_LONGEST = 300.0
"""Seconds: what a server's own wish lengthens a pause to at most."""

_UPLOAD = 1.0
"""Seconds that a probe with content holds the next one off at most: its client alone says how long that takes."""

_MANY = 5
"""So many failures in a row say that a server is down, where no policy says how many do."""


class State(Enum):
    """Of a breaker; `failing` is what would be open, were there a policy that keeps requests away."""

    closed = "closed"
    failing = "failing"
    half_open = "half-open"
    open = "open"


class Breaker:
    """One server's. Without a policy it refuses nothing, and only tells that the server fails.

    Times are steady seconds; `failures` counts those in a row. `patience`: seconds after which a probe of which
    nothing was heard holds the next one off no longer.
    """

    __slots__ = ("_patience", "_policy", "_turn", "_until", "failures", "state")

    def __init__(self, policy: BreakerPolicy | None, patience: float) -> None:
        self.state = State.closed
        self.failures = 0
        self._policy = policy
        self._patience = patience
        self._turn = 0
        # When the next probe may be sent.
        self._until = 0.0

    def admits(self, now: float) -> bool:
        """Whether a request may be sent, which where the server is left alone would be the probe."""
        match self.state:
            case State.closed | State.failing:
                return True
            case State.half_open | State.open:
                return now >= self._until
            case _:
                assert_never(self.state)

    def admit(self, now: float, *, uploads: bool = False) -> int | None:
        """The turn in which a request may be sent, None for not now. Where the server is left alone it is the probe.

        `uploads`: its client is still to send content.
        """
        match self.state:
            case State.closed | State.failing:
                return self._turn
            case State.half_open | State.open:
                return self._probe(now, uploads) if now >= self._until else None
            case _:
                assert_never(self.state)

    def holds(self, turn: int) -> bool:
        """Whether what was admitted in `turn` may still be sent."""
        return turn == self._turn

    def wait(self, now: float) -> float:
        """Seconds until a probe may be sent; 0 while one is under way, as it may end at any moment."""
        return max(0.0, self._until - now) if self.state is State.open else 0.0

    def succeeded(self, turn: int) -> None:
        """What was admitted in `turn` got an answer."""
        if turn == self._turn:
            self.failures = 0
            if self.state is not State.closed:
                self._change(State.closed, 0.0)

    def failed(self, turn: int, now: float, at_least: float = 0.0) -> None:
        """What was admitted in `turn` got none; the server wants to be left alone for `at_least` seconds."""
        if turn != self._turn:
            return
        self.failures += 1
        if self._policy is None:
            if self.failures == _MANY:
                self._change(State.failing, 0.0)
        elif self.state is State.half_open or self.failures >= self._policy.after:
            self._change(State.open, now + max(self._policy.pause, min(at_least, _LONGEST)))

    def gave_up(self, turn: int) -> None:
        """What was admitted in `turn` was not sent, or ended for a reason that is not the server's."""
        if turn == self._turn:
            # The next one may be the probe instead.
            self._until = 0.0

    def _probe(self, now: float, uploads: bool) -> int:
        if self.state is State.open:
            self._change(State.half_open, 0.0)
        self._until = now + (min(self._patience, _UPLOAD) if uploads else self._patience)
        return self._turn

    def _change(self, state: State, until: float) -> None:
        self.state = state
        self._until = until
        self._turn += 1
