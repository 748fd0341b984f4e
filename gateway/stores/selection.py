"""Which stored responses a purge or a survey is about: one URL's, those below a prefix, a tag's, a route's, or all.

URLs and routes are the clients'; `of_…` find by the config in operation where their responses are stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.admission.patterns import PathPattern
from gateway.admission.places import Keyed, Place, Reach, Region, places, reach, regions, tag_groups
from gateway.admission.snapshot import Snapshot
from gateway.rfc9111.stored import StoredResponse

Written = tuple[str, ...]
"""A selection as other processes read it: what it goes by, and its parameters."""


@dataclass(slots=True, frozen=True)
class Exactly:
    """What is stored at `places`, every variant in every share scope."""

    places: tuple[Place, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """What it takes is in one of these, and others are too."""
        return tuple(dict.fromkeys([place.group for place in self.places]))

    def takes(self, stored: StoredResponse) -> bool:
        """Whether `stored` is one of them."""
        keyed = Keyed.of(stored.key)
        return any(place.upstream == keyed.upstream and place.target == keyed.target for place in self.places)

    @property
    def written(self) -> Written:
        """As `read_any` reads it."""
        return ("url", *[part for place in self.places for part in place])


@dataclass(slots=True, frozen=True)
class Tagged:
    """What belongs to one of `groups`."""

    groups: tuple[str, ...]

    def takes(self, stored: StoredResponse) -> bool:
        """Whether `stored` is one of them."""
        return not set(self.groups).isdisjoint(stored.groups)

    @property
    def written(self) -> Written:
        """As `read_any` reads it."""
        return ("groups", *self.groups)


@dataclass(slots=True, frozen=True)
class Below:
    """What is stored in one of `regions`."""

    regions: tuple[Region, ...]

    def takes(self, stored: StoredResponse) -> bool:
        """Whether `stored` is one of them."""
        upstream, _, target, _ = Keyed.of(stored.key)
        return any(upstream == region.upstream and target.startswith(region.prefix) for region in self.regions)

    def may_take(self, groups: Iterable[str]) -> bool:
        """Whether it may take what a fetch brings that belongs to `groups`."""
        beginnings = [region.prefix.partition("?")[0] for region in self.regions]
        return any(path.startswith(beginning) for path in _paths(groups) for beginning in beginnings)

    @property
    def written(self) -> Written:
        """As `read` reads it."""
        return ("prefix", *[part for region in self.regions for part in region])


@dataclass(slots=True, frozen=True)
class Served:
    """What a route would answer with."""

    reach: Reach

    def takes(self, stored: StoredResponse) -> bool:
        """Whether `stored` is one of them."""
        return self.reach.serves(stored.key)

    def may_take(self, groups: Iterable[str]) -> bool:
        """Whether it may take what a fetch brings that belongs to `groups`."""
        return any(map(self.reach.takes, _paths(groups)))

    @property
    def written(self) -> Written:
        """As `read` reads it: with what routes before it take, which is too much and never too little."""
        return ("route", self.reach.upstream, self.reach.scope, self.reach.strip, self.reach.path.text)


@dataclass(slots=True, frozen=True)
class Everything:
    """All there is."""

    def takes(self, stored: StoredResponse) -> bool:  # noqa: ARG002 - as the others
        """Whether `stored` is one of them: always."""
        return True

    def may_take(self, groups: Iterable[str]) -> bool:  # noqa: ARG002 - as the others
        """Whether it may take what a fetch brings: always."""
        return True

    @property
    def written(self) -> Written:
        """As `read` reads it."""
        return ("everything",)


Narrow = Exactly | Tagged
"""Selections that lie within groups."""

Broad = Below | Served | Everything
"""Selections that no groups tell."""

Selection = Narrow | Broad


def of_url(snapshot: Snapshot, url: str) -> Exactly:
    """What GETs of `url` get: an absolute URL, or a target for whatever host. Raises `Problem` (400)."""
    return Exactly(places(snapshot, url))


def of_prefix(snapshot: Snapshot, prefix: str) -> Below:
    """What GETs of URLs that begin with `prefix` get, as text in canonical form. Raises `Problem` (400)."""
    return Below(regions(snapshot, prefix))


def of_tag(snapshot: Snapshot, tag: str) -> Tagged:
    """What carries a tag, the route's or one that the response named (RFC 9875)."""
    return Tagged(tag_groups(snapshot, tag))


def of_route(snapshot: Snapshot, name: str) -> Served:
    """What the route `name` would answer with now. Raises KeyError where there is none, or it has no cache."""
    return Served(reach(snapshot, name))


def read_any(written: Written) -> Selection:
    """The selection that was `written`. Raises ValueError for what none wrote."""
    match written:
        case ("url", *parts):
            return Exactly(tuple([Place(*three) for three in zip(parts[::3], parts[1::3], parts[2::3], strict=True)]))
        case ("groups", *groups):
            return Tagged(tuple(groups))
        case _:
            return read(written)


def read(written: Written) -> Broad:
    """The broad selection that was `written`. Raises ValueError for what none wrote."""
    match written:
        case ("everything",):
            return Everything()
        case ("prefix", *parts):
            return Below(tuple([Region(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]))
        case ("route", upstream, scope, strip, path):
            return Served(Reach(upstream, scope, strip, PathPattern.parse(path)))
        case _:
            raise ValueError(f"no selection: {written!r}")


def _paths(groups: Iterable[str]) -> list[str]:
    """The upstream's paths among the names of groups: each stored response is in its own path's, in all scopes."""
    names = [group.rpartition("\n*\n")[2] for group in groups]
    return [name for name in names if name.startswith("/")]
