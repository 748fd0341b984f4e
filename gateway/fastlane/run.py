"""Hits that are alike, as they were admitted in one turn of the event loop."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.answers.limits import TokenForm
from gateway.fastlane.plan import What
from gateway.fastlane.who import Who
from gateway.messages import Answer


class Client(Protocol):
    """A connection, and who is at its other end. `ends`: its next answer is its last, and has to say so."""

    address: str
    ends: bool

    def send(self, message: bytes) -> None:
        """The one answer that is owed."""

    def serve(self, answering: Coroutine[Any, Any, Answer], *, bodiless: bool) -> None:
        """The answer that is owed is what `answering` brings; without its content where it is to be `bodiless`."""

    def decline(self, data: bytes) -> None:
        """There will be none: let `data` go the full lane."""

    def fail(self) -> None:
        """There will be none, and it is charged: a bug of ours."""


State = tuple[int | None, int | None]
"""A throttle's room in whole requests, and the seconds until it has all; None without a throttle."""


@dataclass(slots=True, eq=False)
class Run:
    """`clients` sent the same head `data`, by which `who` asks for `what`; `id_` is the one that the head gives.

    Each costs `tokens`, which leaves `remaining` after the last (None: unlimited), and after each the throttle in one
    of `states`. `form` is for the limits that it was charged under: they may be others by the time the journal has it.
    `lines` are the token lines where they were made when it was charged.
    """

    clients: Sequence[Client]
    data: bytes
    who: Who
    what: What
    form: TokenForm
    id_: bytes | None
    tokens: int
    remaining: int | None
    states: Sequence[State]
    lines: bytes | None = None

    def remainders(self) -> Sequence[int | None]:
        """What remains after each."""
        number, last = len(self.states), self.remaining
        return [None if last is None else last + self.tokens * after for after in range(number - 1, -1, -1)]
