"""Token and throttle fields of a metered answer: the seed's, and draft-ietf-httpapi-ratelimit-headers-11's."""

from datetime import UTC, datetime
from functools import lru_cache
from math import ceil

from gateway.admission.charge import Charge

TOKEN_FIELDS = frozenset(
    {
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-reset",
        "x-ratelimit-throttle-limit",
        "x-ratelimit-throttle-remaining",
        "x-ratelimit-tokens-remaining",
        "x-tokens-consumed",
        "x-tokens-remaining",
    }
)
"""Lower-case names of all fields that `token_lines` may write."""


def token_lines(charge: Charge, now_wall: float) -> bytes:
    """Field lines that say what was charged and what is left; what `charge` lacks is left out.

    `now_wall` is the wall clock in seconds since the epoch.
    """
    parts = [f"X-Tokens-Consumed: {charge.tokens}\r\n"]
    remaining = charge.remaining
    if remaining is not None:
        parts.append(f"X-Tokens-Remaining: {remaining}\r\nX-RateLimit-Tokens-Remaining: {remaining}\r\n")
    if charge.throttle_remaining is not None:
        parts.append(f"X-RateLimit-Throttle-Remaining: {charge.throttle_remaining}\r\n")
    if limits := _limits(charge, now_wall):
        parts.append(f"RateLimit: {limits}\r\n")
    parts.append(_standing_lines(charge.quota, charge.window, charge.throttle_limit, charge.throttle_window))
    if charge.renews_at is not None:
        parts.append(_reset_line(charge.renews_at))
    return "".join(parts).encode("ascii")


def _limits(charge: Charge, now_wall: float) -> str:
    """The RateLimit field's items, one for each policy that `_standing_lines` declares; empty for none."""
    tokens = throttle = ""
    if charge.quota is not None and charge.remaining is not None:
        tokens = f'"tokens";r={charge.remaining}'
        if charge.renews_at is not None:
            tokens += f";t={max(0, ceil(charge.renews_at - now_wall))}"
    if charge.throttle_limit is not None and charge.throttle_remaining is not None:
        throttle = f'"throttle";r={charge.throttle_remaining}'
        if charge.throttle_reset is not None:
            throttle += f";t={charge.throttle_reset}"
    return f"{tokens}, {throttle}" if tokens and throttle else tokens or throttle


@lru_cache(maxsize=1024)
def _standing_lines(
    quota: int | None, window: int | None, throttle_limit: int | None, throttle_window: int | None
) -> str:
    """The lines that stay the same from one answer to the next under one plan."""
    policies = [
        f'"{name}";q={limit}' + (f";w={seconds}" if seconds is not None else "")
        for name, limit, seconds in (("tokens", quota, window), ("throttle", throttle_limit, throttle_window))
        if limit is not None
    ]
    lines = f"RateLimit-Policy: {', '.join(policies)}\r\n" if policies else ""
    if throttle_limit is not None:
        lines += f"X-RateLimit-Throttle-Limit: {throttle_limit}\r\n"
    return lines


@lru_cache(maxsize=1024)
def _reset_line(renews_at: float) -> str:
    """Rounded up to the second: who comes back then must find the tokens there."""
    moment = datetime.fromtimestamp(ceil(renews_at), UTC)
    return f"X-RateLimit-Reset: {moment:%Y-%m-%dT%H:%M:%SZ}\r\n"
