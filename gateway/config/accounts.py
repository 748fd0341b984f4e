"""The schema of `plans`, `organizations` and `keys`."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.admission.snapshot import Every
from gateway.config.fields import KeyText, Many, Name, short_for
from gateway.config.section import Section
from gateway.config.units import RateText

MOST_TOKENS = 10**15


class Tokens(Section):
    """What a plan grants."""

    grant: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = None
    """Tokens per period; left out: unlimited, and still counted."""
    every: Every = Every.never
    """When the grant renews, by the calendar of `timezone`; `never` is prepaid."""


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
    throttle: Annotated[Throttle, short_for("rate", {"type": "string"})] | None = None
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


class Key(Section):
    """An account and the API keys that stand for it."""

    id: Name
    """The account's name in usage and receipts."""
    organization: Name | None = None
    """The organization it belongs to; left out: one of its own, named by the id."""
    plan: Name | None = None
    """A plan of its own, instead of the organization's."""
    key: Many[KeyText] = Field(default=(), repr=False)
    """The API keys, plain or as `sha256:` with their digest; empty ones are skipped."""
