"""What admitting one account reads, in one place: throttle, cap, balance, and the period its plan is in."""

from collections.abc import Sequence

from gateway.admission.charge import Charge, Limits
from gateway.admission.snapshot import Account, Route
from gateway.admission.throttle import SlidingWindow, TokenBucket
from gateway.errors import Problem, Reason
from gateway.ledger import records
from gateway.ledger.accounts import Balance
from gateway.ledger.periods import PREPAID, Period
from gateway.ledger.tab import Tab
from gateway.untracked import untracked

_NO_THROTTLE: tuple[int | None, int | None] = None, None


class Seat:
    """An account at the meter. It is up to date until `until` (wall-clock seconds), while its balance keeps `term`.

    `limits` are another object as soon as they are others. `roster` is for `Seats`.
    """

    __slots__ = (
        "account",
        "balance",
        "bucket",
        "limits",
        "minute",
        "period",
        "roster",
        "tabs",
        "term",
        "unlimited",
        "until",
        "window",
    )

    def __init__(
        self, account: Account, balance: Balance, bucket: TokenBucket | None, window: SlidingWindow | None
    ) -> None:
        self.account = account
        self.balance = balance
        self.bucket = bucket
        self.window = window
        self.roster = 0
        self.unlimited = account.plan.grant is None
        self.period = PREPAID
        self.until = float("-inf")
        self.term: records.Term | None = None
        self.limits = self._limits()
        self.minute = -1
        self.tabs: dict[tuple[str, str, int, str], Tab] = {}

    def renewed(self, period: Period) -> None:
        """Says that the balance is up to date in `period`."""
        self.period = period
        self.until = float("inf") if period.end is None else period.end
        self.term = self.balance.term
        limits = self._limits()
        if limits != self.limits:
            self.limits = limits

    def current(self, wall: float) -> bool:
        """Whether it is up to date at `wall` seconds: then `limits` are right, and `pay` may be asked."""
        return wall < self.until and self.term is self.balance.term

    def pay(self, tab: Tab, now: float, wall: float, most: int) -> Sequence[tuple[int | None, int | None]]:
        """Takes room in the throttle for up to `most` charges of `tab`, as long as there are tokens for them.

        The throttle's room and the seconds until it has all, as in `Charge`, after each for which it was taken: for
        none where the seat is not up to date. Taking the tokens is the ledger's. What is refused, `admit` says why.
        """
        balance, tokens = self.balance, tab.tokens
        if wall >= self.until or self.term is not balance.term:
            return ()
        if not self.unlimited and balance.balance < most * tokens:
            most = balance.balance // tokens
        bucket = self.bucket
        return [_NO_THROTTLE] * most if bucket is None else bucket.spend(now, most)

    def admit(self, tokens: int, forced: bool, wall: float, now: float) -> SlidingWindow | None:
        """Takes room in the throttle and, if `forced`, in the cap, whose window is returned; looks for the tokens.

        All or none: raises Problem throttled, force_refresh_capped, quota_exceeded or quota_exhausted, and then took
        nothing. Taking the tokens is the ledger's.
        """
        window = self.window if forced else None
        self.throttle(now)
        if window is not None and not window.admit(now):
            self.give_back(None)
            raise Problem(Reason.force_refresh_capped, retry_after=window.wait(now))
        if not self.unlimited and self.balance.balance < tokens:
            self.give_back(window)
            raise self._used_up(wall)
        return window

    def throttle(self, now: float) -> None:
        """Takes room in the throttle. Raises Problem throttled."""
        if self.bucket is not None and not self.bucket.take(now):
            raise Problem(Reason.throttled, retry_after=self.bucket.wait(now))

    def tab(self, route: Route, tokens: int, outcome: str, wall: float) -> Tab:
        """The one tab of all equal plain charges in the minute of `wall`, so that a group counts instead of listing."""
        minute = int(wall // 60)
        if minute != self.minute:
            self.minute = minute
            self.tabs.clear()
        key = route.name, route.upstream, tokens, outcome
        return self.tabs.get(key) or self._opened(key, minute)

    def _opened(self, key: tuple[str, str, int, str], minute: int) -> Tab:
        account, (route, upstream, tokens, outcome) = self.account, key
        who = account.id, account.holder, account.organization
        record = untracked(records.Charge(*who, route, upstream, tokens, minute, outcome, self.unlimited))
        tab = self.tabs[key] = untracked(Tab(record, self.balance, self.bucket))
        untracked(self.tabs)
        return tab

    def reserve(
        self, number: int, route: Route, lines: records.Lines, tokens: int, request: str, wall: float
    ) -> records.Reserve:
        """The record of operation `number`, which sets `tokens` aside for a quote of these `lines`."""
        account = self.account
        return records.Reserve(
            number,
            account.id,
            account.holder,
            account.organization,
            route.name,
            route.upstream,
            None if self.unlimited else self.balance.term.period,
            tokens,
            lines,
            request,
            wall,
        )

    def standing(self, tokens: int, now: float, operation: int | None = None) -> Charge:
        """A charge of `tokens` just made, and how the account stands after it; `operation` is one with a receipt."""
        remaining = None if self.unlimited else self.balance.remaining
        left, full = (None, None) if self.bucket is None else self.bucket.state(now)
        _, quota, window, renews_at, limit, seconds = self.limits
        return Charge(tokens, remaining, quota, window, renews_at, limit, seconds, left, full, operation)

    def _limits(self) -> Limits:
        quota = window = renews_at = limit = seconds = None
        if not self.unlimited:
            quota, window, renews_at = self.balance.term.given, self.period.seconds, self.period.end
        if self.bucket is not None:
            rate = self.bucket.policy.rate
            limit, seconds = rate.count, round(rate.seconds)
        return untracked(Limits(not self.unlimited, quota, window, renews_at, limit, seconds))

    def give_back(self, window: SlidingWindow | None) -> None:
        """Undoes an `admit` that returned `window`."""
        if window is not None:
            window.undo()
        if self.bucket is not None:
            self.bucket.give_back()

    def _used_up(self, wall: float) -> Problem:
        if self.period.end is None:
            return Problem(Reason.quota_exhausted)
        return Problem(Reason.quota_exceeded, retry_after=self.period.end - wall)
