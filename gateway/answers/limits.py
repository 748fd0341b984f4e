"""Token and throttle fields of a metered answer: the seed's, and draft-ietf-httpapi-ratelimit-headers-11's."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil, inf

from gateway.admission.charge import Charge, Limits

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


class TokenForm:
    """The field lines of every charge under `limits`, but for the numbers.

    It is kept as long as the seconds until the next grant stay the same.
    """

    __slots__ = ("_form", "_limited", "_limits", "_since", "_throttled", "_until")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._limited = limits.limited
        self._throttled = limits.throttle_limit is not None
        self._form = b""
        self._since = self._until = 0.0

    @property
    def whole(self) -> bool:
        """Whether it tells of tokens and of a throttle, as most do."""
        return self._limited and self._throttled

    def text(self, now_wall: float) -> bytes:
        """The form itself, the same object as long as it can be. Where it is `whole` it has `%d` for the tokens and the
        seconds, and between them `%b` for what remains (twice), the throttle's room, what remains, and the room again.
        """
        if not self._since <= now_wall < self._until:
            self._write(now_wall)
        return self._form

    def lines(self, tokens: int, remaining: int | None, left: int | None, full: int | None, now_wall: float) -> bytes:
        """The lines of a charge of `tokens` that leaves `remaining`; None is for what the limits do not have.

        `left` is the throttle's room in whole requests, `full` the seconds until it has all; `now_wall` is the wall
        clock in seconds since the epoch.
        """
        form = self.text(now_wall)
        room = b"" if left is None else b"%d" % left
        if not self._limited:
            return form % ((tokens, room, room, full) if self._throttled else tokens)
        rest = b"" if remaining is None else b"%d" % remaining
        if not self._throttled:
            return form % (tokens, rest, rest, rest)
        return form % (tokens, rest, rest, room, rest, room, full)

    def _write(self, now_wall: float) -> None:
        renews_at, seconds = self._limits.renews_at, None
        self._since, self._until = -inf, inf
        if renews_at is not None:
            seconds = max(0, ceil(renews_at - now_wall))
            self._since, self._until = renews_at - seconds, renews_at - seconds + 1 if seconds else inf
        self._form = "".join(_form(self._limits, seconds)).encode("ascii")


@lru_cache(maxsize=1024)
def token_form(limits: Limits) -> TokenForm:
    """The one form for all who are under these limits."""
    return TokenForm(limits)


def token_lines(charge: Charge, now_wall: float) -> bytes:
    """Field lines that say what was charged and what is left; what `charge` lacks is left out.

    `now_wall` is the wall clock in seconds since the epoch.
    """
    left, full = charge.throttle_remaining, charge.throttle_reset
    return token_form(charge.limits).lines(charge.tokens, charge.remaining, left, full, now_wall)


def _form(limits: Limits, seconds: int | None) -> Iterator[str]:
    """The lines, `%d` and `%b` for what `TokenForm.lines` fills in; `seconds` until the next grant, if one comes."""
    throttled = limits.throttle_limit is not None
    yield "X-Tokens-Consumed: %d\r\n"
    if limits.limited:
        yield "X-Tokens-Remaining: %b\r\nX-RateLimit-Tokens-Remaining: %b\r\n"
    if throttled:
        yield "X-RateLimit-Throttle-Remaining: %b\r\n"
    tokens = '"tokens";r=%b' + ("" if seconds is None else f";t={seconds}")
    items = [tokens] * limits.limited + ['"throttle";r=%b;t=%d'] * throttled
    if items:
        yield f"RateLimit: {', '.join(items)}\r\n"
    yield from _standing_lines(limits)


def _standing_lines(limits: Limits) -> Iterator[str]:
    """The lines without a number to fill in."""
    policies = [
        f'"{name}";q={limit}' + (f";w={seconds}" if seconds is not None else "")
        for name, limit, seconds in (
            ("tokens", limits.quota, limits.window),
            ("throttle", limits.throttle_limit, limits.throttle_window),
        )
        if limit is not None
    ]
    if policies:
        yield f"RateLimit-Policy: {', '.join(policies)}\r\n"
    if limits.throttle_limit is not None:
        yield f"X-RateLimit-Throttle-Limit: {limits.throttle_limit}\r\n"
    if limits.renews_at is not None:
        # Rounded up to the second: who comes back then must find the tokens there.
        yield f"X-RateLimit-Reset: {datetime.fromtimestamp(ceil(limits.renews_at), UTC):%Y-%m-%dT%H:%M:%SZ}\r\n"
