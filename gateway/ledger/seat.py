"""What admitting one account reads, in one place: throttle, cap, balance, and the period its plan is in."""

from gateway.admission.charge import Charge
from gateway.admission.snapshot import Account, Route
from gateway.admission.throttle import SlidingWindow, TokenBucket
from gateway.errors import Problem, Reason
from gateway.ledger import records
from gateway.ledger.accounts import Balance
from gateway.ledger.periods import PREPAID, Period


class Seat:
    """An account at the meter. It is up to date until `until` (wall-clock seconds), while its balance keeps `term`."""

    __slots__ = ("account", "balance", "bucket", "charges", "minute", "period", "term", "unlimited", "until", "window")

    def __init__(
        self, account: Account, balance: Balance, bucket: TokenBucket | None, window: SlidingWindow | None
    ) -> None:
        self.account = account
        self.balance = balance
        self.bucket = bucket
        self.window = window
        self.unlimited = account.plan.grant is None
        self.period = PREPAID
        self.until = float("-inf")
        self.term: records.Term | None = None
        self.minute = -1
        self.charges: dict[tuple[str, str, int, str], records.Charge] = {}

    def renewed(self, period: Period) -> None:
        """Says that the balance is up to date in `period`."""
        self.period = period
        self.until = float("inf") if period.end is None else period.end
        self.term = self.balance.term

    def admit(self, tokens: int, forced: bool, wall: float, now: float) -> SlidingWindow | None:
        """Takes room in the throttle and, if `forced`, in the cap, whose window is returned; looks for the tokens.

        All or none: raises Problem throttled, force_refresh_capped, quota_exceeded or quota_exhausted, and then took
        nothing. Taking the tokens is the ledger's.
        """
        window = self.window if forced else None
        self.throttle(now)
        if window is not None and not window.admit(now):
            self._give_back()
            raise Problem(Reason.force_refresh_capped, retry_after=window.wait(now))
        if not self.unlimited and self.balance.balance < tokens:
            if window is not None:
                window.undo()
            self._give_back()
            raise self._used_up(wall)
        return window

    def throttle(self, now: float) -> None:
        """Takes room in the throttle. Raises Problem throttled."""
        if self.bucket is not None and not self.bucket.take(now):
            raise Problem(Reason.throttled, retry_after=self.bucket.wait(now))

    def charge(self, route: Route, tokens: int, outcome: str, wall: float) -> records.Charge:
        """The one record for all equal plain lookups of this minute, so that a group counts instead of listing them."""
        minute = int(wall // 60)
        if minute != self.minute:
            self.minute = minute
            self.charges.clear()
        record = self.charges.get((route.name, route.upstream, tokens, outcome))
        if record is None:
            account = self.account
            record = records.Charge(
                *(account.id, account.holder, account.organization, route.name, route.upstream),
                *(tokens, minute, outcome, self.unlimited),
            )
            self.charges[route.name, route.upstream, tokens, outcome] = record
        return record

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
        remaining = quota = window = renews_at = limit = seconds = left = full = None
        if not self.unlimited:
            remaining, quota = self.balance.remaining, self.balance.term.given
            window, renews_at = self.period.seconds, self.period.end
        if self.bucket is not None:
            rate = self.bucket.policy.rate
            limit, seconds = rate.count, round(rate.seconds)
            left, full = self.bucket.state(now)
        return Charge(tokens, remaining, quota, window, renews_at, limit, seconds, left, full, operation)

    def _give_back(self) -> None:
        if self.bucket is not None:
            self.bucket.give_back()

    def _used_up(self, wall: float) -> Problem:
        if self.period.end is None:
            return Problem(Reason.quota_exhausted)
        return Problem(Reason.quota_exceeded, retry_after=self.period.end - wall)
