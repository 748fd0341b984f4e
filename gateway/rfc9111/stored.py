"""A stored response (RFC 9111 §3), and the policy a route adds to what the origin says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.messages import Splice


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


@dataclass(slots=True, eq=False)
class StoredResponse:
    """One stored response; times are steady seconds since the epoch (`ports.Clock.steady`).

    `head` is its field section as bytes ready to be sent: `Name: value\\r\\n` lines of the end-to-end fields, without
    Content-Length and Age, which the answer adds, as it adds the gateway's own Cache-Status and Via. `selecting` holds
    the selecting header fields (§4.1): lower-case field name and normalised value of the request it answered, sorted
    by name, "" where the field was absent. `began` and `received` are RFC 9111's request_time and response_time,
    `initial_age` its corrected_initial_age (§4.2.3). `groups` are all that it belongs to: each may be outdated as a
    whole, by a refresh or an unsafe method, and `outdated` says that one was, `invalid` that an unsafe method did it
    (§4.4). `forced`: a force refresh fetched it. `purged` is when an operator last declared it stale, 0 for never; what
    was fetched or validated since then is not. `hits` counts its reuses while it is fresh, as far as a route asks, and
    is negative once it was fetched ahead.
    """

    key: str
    status: int
    reason: str
    head: bytes
    body: bytes
    terms: Terms
    selecting: tuple[tuple[str, str], ...]
    etag: str | None
    last_modified: str | None
    began: float
    received: float
    initial_age: float
    groups: tuple[str, ...] = ()
    forced: bool = False
    outdated: bool = False
    invalid: bool = False
    splice: Splice | None = None
    purged: float = 0.0
    hits: int = 0

    @property
    def is_purged(self) -> bool:
        """Whether it is stale since `purged`, if it was not before."""
        return self.purged > self.began
