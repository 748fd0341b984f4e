"""Which routes no request can reach: those before them take it all, or its host is not served."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gateway.admission.covering import covers
from gateway.admission.patterns import PathPattern
from gateway.admission.snapshot import Route
from gateway.admission.target import without_port

_POST = frozenset({"POST"})


@dataclass(slots=True, frozen=True)
class Take:
    """What the route at `place` takes: these methods (None: any) on such a path of such a host."""

    place: int
    host: str
    path: PathPattern
    methods: frozenset[str] | None


@dataclass(slots=True)
class Earlier:
    """What routes take, by the whole literal segments that the paths begin with."""

    takes: dict[tuple[str, ...], list[Take]] = field(default_factory=dict)

    def add(self, take: Take) -> None:
        """One more, of a route after the others."""
        self.takes.setdefault(take.path.prefix, []).append(take)

    def instead(self, take: Take) -> tuple[int, ...]:
        """The places of routes that together take all of it; empty where something of it is left."""
        left, places = take.methods, list[int]()
        for other in self._covering(take):
            if other.methods is None:
                return (other.place,)
            if left is not None and left & other.methods:
                left, places = left - other.methods, [*places, other.place]
                if not left:
                    return tuple(places)
        return ()

    def _covering(self, take: Take) -> Iterator[Take]:
        """A pattern that covers another begins with no more literal segments, and with the same."""
        prefix = take.path.prefix
        found = [other for length in range(len(prefix) + 1) for other in self.takes.get(prefix[:length], ())]
        for other in sorted(found, key=lambda other: other.place):
            if covers_host(other.host, take.host) and covers(other.path, take.path):
                yield other


def takes(place: int, route: Route) -> list[Take]:
    """What a route takes as it is, and for a refresh by POST."""
    own = [Take(place, route.host, route.path, route.methods)]
    post = route.refresh.post if route.refresh is not None else None
    return own if post is None else [*own, Take(place, route.host, post, _POST)]


def unreachable(routes: Sequence[Route]) -> Iterator[tuple[int, tuple[int, ...], bool]]:
    """For each such route: its place, those of routes that take it all, and whether its POST for a refresh is left."""
    earlier = Earlier()
    for place, route in enumerate(routes):
        own, *refresh = takes(place, route)
        if instead := earlier.instead(own):
            yield place, instead, not all(map(earlier.instead, refresh))
        for take in (own, *refresh):
            earlier.add(take)


def covers_host(pattern: str, other: str) -> bool:
    """Whether a route's `host` takes every host that another's does."""
    if pattern == "*" or pattern in (other, without_port(other)):
        return True
    return pattern.startswith("*.") and (other.endswith(pattern[1:]) or without_port(other).endswith(pattern[1:]))


def is_served(host: str, hosts: frozenset[str]) -> bool:
    """Whether a route's `host` can be that of a request, where only `hosts` are served (all where it is empty)."""
    served = not hosts or host == "*" or host in hosts or without_port(host) in hosts
    return served or any(covers_host(host, served) for served in hosts)
