"""What an operation may cost, what it did cost, and what the answer says of it."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True, frozen=True)
class Quote:
    """What a request may cost, in tokens: `plain` is base + options, `surcharge` the force refresh's (0 unless forced).

    `lines` are the parts by name, in the price's order: `(("base", 1), ("offers_reviews", 5), ("force_refresh", 3))`.
    """

    plain: int
    surcharge: int = 0
    forced: bool = False
    lines: tuple[tuple[str, int], ...] = ()

    @property
    def total(self) -> int:
        """The most that this request can cost; what a fetch reserves."""
        return self.plain + self.surcharge

    @property
    def base(self) -> int:
        """The price of a plain lookup, which stands first."""
        return self.lines[0][1] if self.lines else self.plain

    def unforced(self) -> "Quote":
        """The same for a lookup: without the surcharge, whose line stands last."""
        return Quote(self.plain, lines=self.lines[:-1]) if self.forced else self


class Limits(NamedTuple):
    """What stays the same from one charge to the next, under one plan in one period; fields as `Charge` has them.

    `limited`: there is a balance, of which charges say what remains.
    """

    limited: bool
    quota: int | None = None
    window: int | None = None
    renews_at: float | None = None
    throttle_limit: int | None = None
    throttle_window: int | None = None


@dataclass(slots=True)
class Charge:
    """What one operation cost and how its account stands as of that charge; the answer's token fields are made of it.

    `tokens` is the charge, `remaining` = granted - lapsed - charged right after it (None: unlimited). `quota` is the
    plan's grant per `window` seconds (None: no grant), `renews_at` the next grant in wall-clock seconds (None: never).
    `throttle_limit` requests per `throttle_window` seconds, `throttle_remaining` whole requests left in the bucket,
    `throttle_reset` seconds until it is full again (all None without a throttle). `operation` is the id of a charge
    that has a receipt, None for plain lookups and for what is free.
    """

    tokens: int
    remaining: int | None = None
    quota: int | None = None
    window: int | None = None
    renews_at: float | None = None
    throttle_limit: int | None = None
    throttle_window: int | None = None
    throttle_remaining: int | None = None
    throttle_reset: int | None = None
    operation: int | None = None

    @property
    def limits(self) -> Limits:
        """The limits that it was made under."""
        throttle = self.throttle_limit, self.throttle_window
        return Limits(self.remaining is not None, self.quota, self.window, self.renews_at, *throttle)
