"""What admitting one account at the till takes: whose balance, the throttle, the cap, and the period its plan is in."""

import orjson

from gateway.admission.charge import Charge, Limits
from gateway.admission.snapshot import Account, Rate, Route
from gateway.errors import Problem, Reason
from gateway.fleet import names
from gateway.fleet.call import Reply, Status, unavailable
from gateway.ledger import records
from gateway.ledger.periods import PREPAID, Period
from gateway.till import packed
from gateway.till.holder import Holder
from gateway.till.measure import UNTHROTTLED, Measure
from gateway.till.tab import Tab
from gateway.untracked import untracked

# Seconds that a force refresh is kept beyond the cap's window: wall clocks may be set meanwhile.
_FORCED_KEPT = 7200.0


class Place:
    """An account at the till. It is up to date until `until` (wall-clock seconds), while its holder's term is `term`.

    `limits` are another object as soon as they are others. `roster` is for `Places`. `throttle` is what an item says.
    """

    __slots__ = (
        "account",
        "cap",
        "holder",
        "limits",
        "measure",
        "minute",
        "period",
        "roster",
        "tabs",
        "term",
        "throttle",
        "unlimited",
        "until",
    )

    def __init__(self, account: Account, holder: Holder, cap: Rate | None, roster: int) -> None:
        self.account = account
        self.holder = holder
        self.cap = cap
        self.roster = roster
        self.measure = None if account.plan.throttle is None else Measure(account.plan.throttle)
        self.throttle = self._throttle()
        self.unlimited = account.plan.grant is None
        self.period = PREPAID
        self.until = float("-inf")
        self.term: records.Term | None = None
        self.limits = self._limits()
        self.minute = -1
        self.tabs: dict[tuple[str, str, int, str], Tab] = {}

    @property
    def left(self) -> bool:
        """Whether the account sits somewhere else by now, or nowhere: it has changed, or its keys have."""
        return self.roster < 0

    def current(self, wall: float) -> bool:
        """Whether it is up to date at `wall` seconds: then `limits` are right, and `tab` may be asked for."""
        return wall < self.until and self.term is self.holder.term

    def renewed(self, period: Period) -> None:
        """Says that the balance is believed to be up to date in `period`."""
        self.period = period
        self.until = float("inf") if period.end is None else period.end
        self.term = self.holder.term
        limits = self._limits()
        if limits != self.limits:
            self.limits = limits

    def tab(self, route: Route, tokens: int, outcome: str, wall: float) -> Tab:
        """The one tab of all equal plain charges in the minute of `wall`."""
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
        tab = self.tabs[key] = Tab(record, self)
        return tab

    def forced(self, wall: float) -> bytes:
        """The organization's cap as an item says it, around the record of one more force refresh."""
        if self.cap is None:
            return packed.UNCAPPED
        organization, seconds = self.account.organization, self.cap.seconds
        record = organization, wall, wall + seconds + _FORCED_KEPT, records.FLEET_CLOCK
        before = f'["forced",1,{orjson.dumps(record).decode()[:-1]},'
        shard, window = names.shard(organization), round(seconds * 1_000_000)
        return packed.cap(names.prefix(shard), names.forced(shard, organization), self.cap.count, window, before, "]]")

    def charge(self, tokens: int, remaining: int, level: int, operation: int | None = None) -> Charge:
        """A charge of `tokens` just made, and how the account stands after it; `level` is its throttle's."""
        self.holder.left = remaining
        return self.told(tokens, remaining, level, operation)

    def told(self, tokens: int, remaining: int, level: int, operation: int | None = None) -> Charge:
        """The same for what may not have been made yet."""
        left, full = UNTHROTTLED if self.measure is None else self.measure.state(level)
        _, quota, window, renews_at, limit, seconds = self.limits
        known = None if self.unlimited else remaining
        return Charge(tokens, known, quota, window, renews_at, limit, seconds, left, full, operation)

    def refusal(self, reply: Reply, wall: float) -> Problem:
        """Why an item was refused that has this reply."""
        match Status(reply[0]):
            case Status.throttled if self.measure is not None:
                return Problem(Reason.throttled, retry_after=self.measure.wait(reply[1]))
            case Status.capped:
                return Problem(Reason.force_refresh_capped, retry_after=reply[1] / 1_000_000)
            case Status.short:
                return self.used_up(wall)
            case _:
                return unavailable()

    def used_up(self, wall: float) -> Problem:
        """For want of tokens."""
        if self.period.end is None:
            return Problem(Reason.quota_exhausted)
        return Problem(Reason.quota_exceeded, retry_after=self.period.end - wall)

    def _throttle(self) -> bytes:
        if self.measure is None:
            return b""
        shard = names.shard(self.account.organization)
        return names.throttle(shard, self.measure.policy, self.account.id).encode()

    def _limits(self) -> Limits:
        quota = window = renews_at = limit = seconds = None
        if not self.unlimited:
            quota, window, renews_at = self.holder.term.given, self.period.seconds, self.period.end
        if self.account.plan.throttle is not None:
            rate = self.account.plan.throttle.rate
            limit, seconds = rate.count, round(rate.seconds)
        return untracked(Limits(not self.unlimited, quota, window, renews_at, limit, seconds))
