"""What the operators' API tells of a stored response: all but its content, by the config in operation."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Literal

from gateway.admission.masking import HIDDEN, masked
from gateway.admission.places import Keyed, Routing
from gateway.admission.snapshot import Snapshot
from gateway.config.section import Section
from gateway.explaining.fields import secret_fields
from gateway.ports import Clock
from gateway.rfc9111.freshness import lifetime
from gateway.rfc9111.reuse import measured
from gateway.rfc9111.stored import Policy, StoredResponse
from gateway.stores.size import size_of


class Stored(Section):
    """One stored response, without its content."""

    target: str
    """As the upstream was asked for it; values of parameters that hold API keys are hidden."""
    upstream: str
    route: str | None = None
    """The route that would answer with it now; null where the config has none any more, as `ttl` then is."""
    share: Literal["everyone", "public", "organization", "key"]
    """Whom it may answer."""
    share_of: str | None = None
    """Which organization's or key's it is."""
    fields: dict[str, str]
    """The request fields that select it, and the values that it is for; credentials are hidden."""
    status: int
    age: float
    """In seconds."""
    ttl: float | None = None
    """Seconds that it stays fresh by the route's present policy, negative once it is stale; null where nothing gives a
    lifetime."""
    stale: bool
    """Whether it is not served as fresh any more, for whatever reason."""
    outdated: bool
    """Whether a refresh or an unsafe method has outdated it."""
    purged: bool
    """Whether it was purged softly since it was fetched or validated."""
    size: int
    """Bytes in memory."""
    tags: tuple[str, ...]


class StoredPage(Section):
    """A page of stored responses, in no order."""

    stored: tuple[Stored, ...]
    next: str | None = None
    """What `after` is to be for the following page; null on the last."""


async def documents(
    found: Iterable[StoredResponse], snapshot: Snapshot, clock: Clock
) -> AsyncIterator[dict[str, object]]:
    """Each as `Stored` has it; others' work goes on between two."""
    routing, secret = await asyncio.to_thread(Routing, snapshot), secret_fields(snapshot)
    for stored in found:
        yield _document(stored, routing, snapshot, secret, clock.steady())
        # Of many routes, finding the one takes a while.
        await asyncio.sleep(0)


def _document(
    stored: StoredResponse, routing: Routing, snapshot: Snapshot, secret: frozenset[str], now: float
) -> dict[str, object]:
    keyed, route = Keyed.of(stored.key), routing.route_of(stored.key)
    policy = None if route is None or route.cache is None else route.cache.policy
    known = policy is not None and lifetime(stored.terms, stored.status, policy) is not None
    age, ttl = measured(stored, policy or Policy(), now)
    share, share_of = _share(keyed.scope)
    return {
        "target": masked(keyed.target, snapshot),
        "upstream": keyed.upstream.rpartition("#")[0],
        "route": None if route is None else route.name,
        "share": share,
        "share_of": share_of,
        "fields": dict(_fields(keyed, stored, secret)),
        "status": stored.status,
        "age": round(age, 3),
        "ttl": round(ttl, 3) if known else None,
        "stale": ttl <= 0 or stored.outdated,
        "outdated": stored.outdated,
        "purged": stored.is_purged,
        "size": size_of(stored),
        "tags": [name for name in map(_name, stored.groups) if name and not name.startswith("/")],
    }


def _share(scope: str) -> tuple[str, str | None]:
    """By the first letter of a cache key's second line; see `prepare.Prepared.scope`."""
    kind, _, name = scope.partition(":")
    kinds = {"": "everyone", "p": "public", "o": "organization", "k": "key"}
    return kinds[kind], name or None


def _fields(keyed: Keyed, stored: StoredResponse, secret: frozenset[str]) -> Iterator[tuple[str, str]]:
    lines = [line.partition(":")[::2] for line in keyed.lines]
    for name, value in (*lines, *stored.selecting):
        yield name, HIDDEN if name in secret else value


def _name(group: str) -> str:
    """The tag or path of a group in all share scopes, empty for one in a single scope."""
    return group.rpartition("\n*\n")[2] if "\n*\n" in group else ""
