"""Fetches from begin to end for tests of the cache, and a clock that stands still."""

from stores.samples import sample

from gateway.cache import Cache
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.in_flight import Fetching

KEY = "api /v1/products/1"
OTHER = "api /v1/products/1?include_offers=true"
GROUPS = ("everyone api /v1/products/1",)


class StillClock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def steady(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def uptime(self) -> tuple[str, float]:
        return "boot", self.now


def brought(
    fetching: Fetching,
    key: str = KEY,
    *,
    forced: bool = False,
    named: tuple[str, ...] = (),
    selecting: tuple[tuple[str, str], ...] = (),
) -> StoredResponse:
    """What `fetching` got from the upstream, in the groups that it names besides."""
    groups = (*fetching.groups, *named)
    return sample(key, began=fetching.began, groups=groups, forced=forced, selecting=selecting)


def fetch(cache: Cache, key: str = KEY, groups: tuple[str, ...] = GROUPS) -> StoredResponse:
    """A fetch from begin to end."""
    fetching = cache.begin(groups)
    stored = brought(fetching, key)
    assert cache.store(fetching, stored)
    cache.end(fetching)
    return stored


def deliver(cache: Cache, fetching: Fetching, key: str = KEY) -> StoredResponse:
    """The rest of a force refresh that has begun."""
    stored = brought(fetching, key, forced=True)
    assert cache.store(fetching, stored)
    cache.outdate(fetching, key)
    cache.end(fetching)
    return stored


def refresh(cache: Cache, key: str = KEY, groups: tuple[str, ...] = GROUPS) -> StoredResponse:
    """A force refresh from begin to end."""
    return deliver(cache, cache.begin(groups), key)


def outdated(cache: Cache, *responses: StoredResponse) -> list[bool]:
    """Which of `responses` a reader of the cache finds outdated."""
    for stored in responses:
        cache.peek(stored.key)
    return [stored.outdated for stored in responses]
