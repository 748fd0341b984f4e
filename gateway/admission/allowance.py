"""What an upstream's own limits leave for background calls: a state machine that hears every answer.

A refusal (429, or 503 with Retry-After) pauses them. A rate limit of which as little is left as the foreground is to
have for itself stops them until it begins anew. Nothing that an upstream says does either for more than an hour.
"""

from dataclasses import dataclass

from gateway.admission.ratelimits import rate_limits, tells
from gateway.messages import Fields
from gateway.rfc9111.dates import retry_after

_LONGEST = 3600.0
"""Seconds for which background calls are stopped at most by one answer."""

_SHORTEST = 1.0
"""Seconds for which a limit that is used up stops them at least: it ends within whole seconds, or in the past."""

_UNKNOWN = 60.0
"""Seconds for which a limit holds that does not say how long it does."""

_FIRST, _LAST = 1.0, 300.0
"""Seconds: the pauses after refusals in a row, each twice as long as the one before."""

_SHARE = 5
"""One in so many of a limit's calls is kept for the foreground."""


@dataclass(slots=True, frozen=True)
class _Limit:
    """Holds until `ends` (steady seconds): `spare` calls may then be under way in the background, `fresh` after it."""

    spare: int
    fresh: int | None
    ends: float

    def wait(self, now: float, under_way: int) -> float:
        if now < self.ends:
            return self.ends - now if under_way >= self.spare else 0.0
        # What is left is not known before one of those under way is answered; the first finds out.
        return _SHORTEST if under_way and self.fresh is not None and under_way >= self.fresh else 0.0


class Allowance:
    """Of one upstream. Times are steady seconds, but `wall`."""

    __slots__ = ("_heard", "_limits", "_refusals", "_unread", "_until")

    def __init__(self) -> None:
        # Before this nothing may be sent.
        self._until = 0.0
        # In a row, those during a pause left out.
        self._refusals = 0
        self._limits: tuple[_Limit, ...] = ()
        # The last answer's fields are read when it is asked what they say: most often nobody does.
        self._unread: Fields | None = None
        self._heard = 0.0

    def hear(self, status: int, fields: Fields, now: float) -> None:
        """An answer has come, to a call of the foreground or the background."""
        if status in (429, 503):
            self._refused(status, fields, now)
        elif self._refusals and now >= self._until:
            self._refusals = 0
        if tells(fields):
            self._unread, self._heard = fields, now

    def wait(self, now: float, wall: float, under_way: int) -> float:
        """Seconds until one more background call may be sent, 0 for now, while `under_way` of them are not answered.

        It may be sooner, where one of those ends.
        """
        if self._unread is not None:
            self._read(self._unread, wall - (now - self._heard))
            self._unread = None
        # After a pause one finds out whether it has ended.
        alone = _SHORTEST if self._refusals and under_way else 0.0
        waits = [limit.wait(now, under_way) for limit in self._limits]
        return max(alone, self._until - now, *waits)

    def _refused(self, status: int, fields: Fields, now: float) -> None:
        wish = retry_after(fields)
        if status == 503 and wish is None:
            # It is not well; its breaker hears of that.
            return
        if now >= self._until:
            # Those that come meanwhile were sent before the pause, or in the foreground.
            self._refusals += 1
        pause = min(_FIRST * 2.0 ** min(self._refusals - 1, 30), _LAST)
        self._until = max(self._until, now + min(max(wish or 0.0, pause), _LONGEST))

    def _read(self, fields: Fields, wall: float) -> None:
        self._limits = tuple(
            [
                _Limit(
                    spare=limit.remaining - _kept(limit.total),
                    fresh=None if limit.total is None else limit.total - _kept(limit.total),
                    ends=self._heard + _bounded(limit.seconds),
                )
                for limit in rate_limits(fields, wall)
            ]
        )


def _kept(total: int | None) -> int:
    return max(1, (total or 0) // _SHARE)


def _bounded(seconds: float | None) -> float:
    return _UNKNOWN if seconds is None else min(max(seconds, _SHORTEST), _LONGEST)
