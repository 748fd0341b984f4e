"""What the origin says of reuse, what a route adds to that, and when an exchange took place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Times(NamedTuple):
    """When an exchange began and its response was received, in steady seconds, and what the wall clock said then.

    Dates of the origin are held against `wall`: the steady clock may have begun with a wall clock that was wrong.
    """

    began: float
    received: float
    wall: float


@dataclass(slots=True, frozen=True)
class Terms:
    """What the origin says of reuse, distilled from its fields once; durations in seconds.

    `lifetime` is the explicit freshness lifetime (§4.2.1: a targeted field's, s-maxage, max-age, Expires), None where
    there is none; `heuristic` the one that Last-Modified allows to assume (§4.2.2), None where nothing does.
    `immutable`: it does not change while it is fresh (RFC 8246). `date` is when it was made, in seconds since the
    epoch: Date, else when it was received.
    """

    lifetime: float | None = None
    heuristic: float | None = None
    no_cache: bool = False
    must_revalidate: bool = False
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    immutable: bool = False
    date: float = 0.0


@dataclass(slots=True, frozen=True)
class Policy:
    """What a route's `cache` adds to the origin's terms; durations in seconds.

    `ttl` None: the origin's fields alone decide. `override_origin`: `ttl` wins over the origin's fields, no-store and
    private included. `stale_if_error` None: the route does not say. A lifetime that the route gives is shortened by up
    to the share `ttl_jitter` of it.
    """

    ttl: float | None = None
    ttl_by_status: Mapping[int, float] = field(default_factory=dict)
    override_origin: bool = False
    stale_while_revalidate: float = 0.0
    stale_if_error: float | None = None
    ttl_jitter: float = 0.0

    @property
    def pure(self) -> bool:
        """Whether nothing but the origin's fields gives a lifetime: RFC 9111 and no more."""
        return self.ttl is None and not self.ttl_by_status and not self.override_origin
