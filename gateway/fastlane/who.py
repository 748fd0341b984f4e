"""Who asks, as some field lines that were read before say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.admission.charge import Limits
from gateway.answers.limits import token_form

if TYPE_CHECKING:
    from gateway.admission.snapshot import Account, Route
    from gateway.answers.limits import TokenForm
    from gateway.fastlane.plan import Plan
    from gateway.messages import Fields


class Tab(Protocol):
    """Equal plain charges of one account in one UTC `minute`, of `tokens` each."""

    minute: int
    tokens: int


class Seat(Protocol):
    """Where an account is charged; `limits` are another object as soon as they are others."""

    limits: Limits

    def tab(self, route: Route, tokens: int, outcome: str, wall: float) -> Tab:
        """The one of such charges in the minute of `wall`."""

    def current(self, wall: float) -> bool:
        """Whether it is up to date at `wall` (wall-clock seconds)."""


class Who:
    """An account and the field `lines` that its requests carry, with its key; nobody's where `account` is None.

    The same request line means the same to all with the same `mark`. `seat` is where the account is charged. `tab` is
    the last one that was, which is good for hits by `plan`, in its minute; `form` is for the seat's `limits`.
    """

    __slots__ = ("account", "expires", "fields", "form", "limits", "lines", "mark", "plan", "seat", "tab")

    def __init__(self, lines: bytes, mark: bytes, fields: Fields, account: Account | None, seat: Seat | None) -> None:
        self.lines = lines
        self.mark = mark
        self.fields = fields
        self.account = account
        self.expires = float("inf") if account is None or account.expires is None else account.expires
        self.seat = seat
        self.tab: Tab | None = None
        self.plan: Plan | None = None
        self.limits = None if seat is None else seat.limits
        self.form: TokenForm = token_form(Limits(limited=False) if seat is None else seat.limits)
