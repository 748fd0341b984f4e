"""The schema of `plans`, `organizations` and `keys`."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.admission.snapshot import Every, Scope
from gateway.config.fields import NOT_EMPTY, KeyText, Many, Name, short_for
from gateway.config.section import Section
from gateway.config.units import RATE_SCHEMA, MomentText, RateText

MOST_TOKENS = 10**15


class Tokens(Section):
    """What a plan grants."""

    grant: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = None
    """Tokens per period; left out: unlimited, and still counted."""
    every: Every = Every.never
    """When the grant renews, by the calendar of `timezone`; `never` is prepaid."""
    carry_over: bool = False
    """Whether what a period leaves stays, and a period without any request is granted as well; left out: it lapses."""


class Throttle(Section):
    """A token bucket for each key."""

    rate: RateText
    """Requests that the bucket gains in a window."""
    burst: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Requests that the bucket holds; left out: the rate's count."""


class Plan(Section):
    """What its keys may spend, and how fast."""

    tokens: Annotated[Tokens, short_for("grant", {"type": "integer"})] = Tokens()
    """The tokens it grants; a number alone is a prepaid grant."""
    throttle: Annotated[Throttle, short_for("rate", RATE_SCHEMA)] | None = None
    """How fast each of its keys may call; a rate alone is enough."""


class Caps(Section):
    """Limits over all keys of an organization."""

    force_refresh: RateText | None = None
    """Admitted force refreshes in any window, collapsed or not."""


class Organization(Section):
    """Who several keys belong to."""

    plan: Name | None = None
    """The plan of its keys; left out: unlimited."""
    balance: Literal["key", "organization"] = "key"
    """Whether each key spends from a balance of its own, or all from one."""
    caps: Caps = Caps()
    """Limits over all its keys."""
    formerly: Name | None = None
    """The name it had: its one balance goes on; left out, a renamed organization begins anew."""


class Key(Section):
    """An account and the API keys that stand for it."""

    id: Name
    """The account's name in usage and receipts."""
    organization: Name | None = None
    """The organization it belongs to; left out: one of its own, named by the id."""
    plan: Name | None = None
    """A plan of its own, instead of the organization's."""
    throttle: Annotated[Throttle, short_for("rate", RATE_SCHEMA)] | None = None
    """A throttle of its own, instead of the plan's; a rate alone is enough."""
    scopes: Annotated[Many[Scope], NOT_EMPTY] = tuple(Scope)
    """What it may ask for: lookups (and what passes through), force refreshes, and background refreshes."""
    expires: MomentText | None = None
    """When its API keys cease to be valid; a date alone means its beginning, in `timezone`."""
    formerly: Name | None = None
    """The id it had: its balance goes on; left out, a renamed account begins anew."""
    key: Many[KeyText] = Field(default=(), repr=False)
    """The API keys, plain or as `sha256:` with their digest, several while they are changed; empty ones are skipped.
    Those that begin with `rk_test_` cost nothing, and get stored responses only."""
