"""How an account stands, as an explanation shows it."""

from math import ceil

from gateway.admission.snapshot import Account
from gateway.admission.standing import Standing
from gateway.explaining.explanation import Limits, Room
from gateway.keys.listing import instant


def limits(account: Account, standing: Standing) -> Limits:
    """The next grant is rounded up to the second: who comes back then must find the tokens there."""
    renews = standing.limits.renews_at
    return Limits(
        reserved=standing.reserved,
        balance=standing.balance,
        granted=standing.granted,
        renews=None if renews is None else instant(ceil(renews)),
        throttle=_throttle(standing),
        force_refresh_cap=_cap(account, standing),
    )


def _throttle(standing: Standing) -> Room | None:
    told = standing.limits
    if told.throttle_limit is None or told.throttle_remaining is None or told.throttle_window is None:
        return None
    return Room(told.throttle_remaining, told.throttle_limit, told.throttle_window)


def _cap(account: Account, standing: Standing) -> Room | None:
    cap = account.force_refresh_cap
    if cap is None or standing.cap_remaining is None:
        return None
    return Room(standing.cap_remaining, cap.count, round(cap.seconds))
