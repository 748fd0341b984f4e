"""Where answers to a client's URLs are stored, and which route serves what is stored: keys hold neither URL nor route.

Everything goes by the config that is in operation, whatever stored the response.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple, Self, assert_never

from gateway.admission.patterns import PathPattern
from gateway.admission.prepared import group
from gateway.admission.provision import Intent, provision
from gateway.admission.routes import Mismatch, Router, mismatch
from gateway.admission.snapshot import Route, Share, Snapshot
from gateway.admission.target import Target, authority, canonical, origin_form
from gateway.errors import Problem


class Place(NamedTuple):
    """First line and target of the cache keys, in all share scopes; `group` is that of everything on the same path."""

    upstream: str
    target: str
    group: str


class Region(NamedTuple):
    """First line of the cache keys, and what their targets begin with."""

    upstream: str
    prefix: str


class Keyed(NamedTuple):
    """A cache key's parts: the upstream's identity, the share scope, the upstream's target, `name:value` lines."""

    upstream: str
    scope: str
    target: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, key: str) -> Self:
        """The parts of `key`; those that it lacks are empty."""
        upstream, scope, target, *lines = key.split("\n") if key.count("\n") > 1 else (key, "", "")
        return cls(upstream, scope, target, tuple(lines))


@dataclass(slots=True, frozen=True)
class Reach:
    """Which stored responses one route would answer with: by upstream, share scope and the client's path.

    `scope` is what the key's second line begins with, `strip` what `rewrite.strip_prefix` takes off. `router` knows the
    `earlier` routes, of whose paths it never gets any, and itself behind them; None where there are none.
    """

    upstream: str
    scope: str
    strip: str
    path: PathPattern
    host: str = ""
    method: str = ""
    earlier: int = 0
    router: Router | None = field(default=None, compare=False, repr=False)

    def serves(self, key: str) -> bool:
        """Whether the route would answer with what is stored under `key`."""
        return key.startswith(self._beginning) and self.takes(Keyed.of(key).target.partition("?")[0])

    def takes(self, path: str) -> bool:
        """Whether a client's path that the route takes is the upstream's `path`."""
        return any(self._takes(asked) for asked in self.asked(path))

    def asked(self, path: str) -> Iterator[str]:
        """The clients' paths that become `path` on their way to the upstream, whether or not the route takes them."""
        if self.strip:
            yield self.strip + path
        if self.strip and path == "/":
            yield self.strip
        if not self.strip or not f"{path}/".startswith(f"{self.strip}/"):
            yield path

    @property
    def _beginning(self) -> str:
        # Everyone and the public are one scope each, organizations and keys one for each of them.
        return f"{self.upstream}\n{self.scope}" + ("\n" if self.scope in ("", "p:") else "")

    def _takes(self, asked: str) -> bool:
        if self.path.match(asked) is None:
            return False
        try:
            return self.router is None or self.router.match(self.method, self.host, asked).place == self.earlier
        except Problem:
            return False


@dataclass(slots=True)
class _Alike:
    """Routes of one upstream, scope and `strip`, in the config's order, by the literal beginning of their paths."""

    routes: dict[tuple[str, ...], list[tuple[int, Route]]] = field(default_factory=dict)
    depths: set[int] = field(default_factory=set)

    def add(self, place: int, route: Route) -> None:
        self.routes.setdefault(route.path.prefix, []).append((place, route))
        self.depths.add(len(route.path.prefix))

    def takers(self, asked: str) -> Iterator[tuple[int, Route]]:
        """Those that take a client's path, the first of each beginning."""
        segments = tuple(asked[1:].split("/"))
        for depth in self.depths:
            for one in self.routes.get(segments[:depth], ()):
                if one[1].path.match(asked) is not None:
                    yield one
                    break


class Routing:
    """Finds the route that answers with what is stored under a cache key; many routes take no longer than few."""

    def __init__(self, snapshot: Snapshot) -> None:
        # What becomes of hosts and paths on their way is the same for most routes, however many there are.
        self._apart: dict[tuple[str, str], dict[tuple[str, str], tuple[Route, Reach]]] = {}
        self._alike: dict[tuple[str, str], dict[str, tuple[Reach, _Alike]]] = {}
        for place, route in enumerate(snapshot.routes):
            if route.cache is not None:
                self._add(place, route, _reach(snapshot, route))

    def _add(self, place: int, route: Route, reach: Reach) -> None:
        scope = reach.upstream, reach.scope
        self._apart.setdefault(scope, {}).setdefault((route.host, reach.strip), (route, reach))
        _, alike = self._alike.setdefault(scope, {}).setdefault(reach.strip, (reach, _Alike()))
        alike.add(place, route)

    def route_of(self, key: str) -> Route | None:
        """The first route that may, None where the config has none any more."""
        keyed = Keyed.of(key)
        path = keyed.target.partition("?")[0]
        reaches = self._alike.get((keyed.upstream, _kind(keyed.scope)), {}).values()
        asked = [(alike, at) for reach, alike in reaches for at in reach.asked(path)]
        takers = (taker for alike, at in asked for taker in alike.takers(at))
        first = min(takers, key=itemgetter(0), default=None)
        return None if first is None else first[1]

    def ways(self, key: str) -> Iterator[tuple[Route, str]]:
        """Clients' paths that may be what is stored under `key`, each with a route whose hosts it may be asked at.

        One of them is, where any route serves the key, though perhaps another route takes it.
        """
        keyed = Keyed.of(key)
        path = keyed.target.partition("?")[0]
        for route, reach in self._apart.get((keyed.upstream, _kind(keyed.scope)), {}).values():
            yield from [(route, asked) for asked in reach.asked(path)]


def places(snapshot: Snapshot, url: str) -> tuple[Place, ...]:
    """Where what GETs of `url` get is stored: an absolute URL, or a target for whatever host.

    None where no route with a cache takes it. Raises `Problem` as a request for it would: 400.
    """
    host, target = _read(url)
    found = [_place(snapshot, route, target) for route in _takers(snapshot, host, target.path)]
    return tuple(dict.fromkeys(found))


def regions(snapshot: Snapshot, prefix: str) -> tuple[Region, ...]:
    """Where what GETs of URLs that begin with `prefix` get is stored, as `places`.

    A prefix is held against targets in canonical form as text: `/v1/pro` is one of `/v1/products`.
    """
    host, target = _read(prefix)
    found = [_region(snapshot, route, target) for route in _cached(snapshot, host)]
    return tuple(dict.fromkeys([region for region in found if region is not None]))


def tag_groups(snapshot: Snapshot, tag: str) -> tuple[str, ...]:
    """The groups of what carries `tag`, whatever its upstream and share scope."""
    return tuple([group(upstream, tag) for upstream in snapshot.upstreams])


def reach(snapshot: Snapshot, name: str) -> Reach:
    """What the route `name` answers with. Raises KeyError where there is none, or it has no cache."""
    found = {route.name: at for at, route in enumerate(snapshot.routes) if route.cache is not None}
    at = found[name]
    route = snapshot.routes[at]
    earlier = [other for other in snapshot.routes[:at] if _takes_all_of(other, route)]
    return _reach(snapshot, route, earlier)


def _read(url: str) -> tuple[str | None, Target]:
    """The host, None for whatever it is, and the target."""
    raw, named, scheme = origin_form("GET", url)
    return None if named is None else authority(named, scheme), canonical(raw)


def _cached(snapshot: Snapshot, host: str | None) -> Iterator[Route]:
    for route in snapshot.routes:
        if route.cache is not None and _is_at(route, host):
            yield route


def _takers(snapshot: Snapshot, host: str | None, path: str) -> Iterator[Route]:
    """The routes with a cache that take some request for the path."""
    earlier: list[Route] = []
    for route in snapshot.routes:
        if not _is_at(route, host) or route.path.match(path) is None:
            continue
        if not any(_takes_all_of(other, route, one_host=host is not None) for other in earlier):
            earlier.append(route)
            if route.cache is not None:
                yield route


def _is_at(route: Route, host: str | None) -> bool:
    return host is None or mismatch(route, host, "/") is not Mismatch.host


def _takes_all_of(earlier: Route, later: Route, *, one_host: bool = False) -> bool:
    """Whether `earlier` takes every method of `later`, at each of its hosts or at the one in question."""
    below = earlier.host.startswith("*.") and later.host.endswith(earlier.host[1:])
    hosts = one_host or earlier.host in ("*", later.host) or below
    methods = earlier.methods is None or (later.methods is not None and later.methods <= earlier.methods)
    return hosts and methods


def _place(snapshot: Snapshot, route: Route, target: Target) -> Place:
    provided = provision(route, snapshot)
    path = provided.below(target.path)
    _, keyed = provided.targets(path, target.query, Intent.lookup)
    return Place(provided.upstream, keyed, group(route.upstream, path))


def _region(snapshot: Snapshot, route: Route, prefix: Target) -> Region | None:
    """Where the route's responses lie whose clients' URLs begin so, None where none can."""
    literal = "/" + "/".join(route.path.prefix)
    if literal.startswith(prefix.path) and not prefix.query:
        begins = literal
    elif prefix.path.startswith(literal):
        begins = prefix.path
    else:
        return None
    if route.strip_prefix:
        provided = provision(route, snapshot)
        begins = "/" if provided.strip_prefix.startswith(begins) else provided.below(begins)
    return Region(snapshot.upstreams[route.upstream].identity, Target(begins, prefix.query).render())


def _reach(snapshot: Snapshot, route: Route, earlier: list[Route] | None = None) -> Reach:
    return Reach(
        upstream=snapshot.upstreams[route.upstream].identity,
        scope=_scope(route),
        strip=provision(route, snapshot).strip_prefix if route.strip_prefix else "",
        path=route.path,
        host=route.host.replace("*", "x"),
        method=_method(route),
        earlier=len(earlier or ()),
        router=Router([*earlier, route]) if earlier else None,
    )


def _kind(scope: str) -> str:
    """What of a key's second line tells which routes it is for: that, but for whose it is."""
    return scope[:2] if scope.startswith(("o:", "k:")) else scope


def _scope(route: Route) -> str:
    """What the second line of its cache keys begins with; see `prepare.Prepared.scope`."""
    if route.public:
        return "" if route.send_credentials else "p:"
    share = Share.everyone if route.cache is None else route.cache.share
    match share:
        case Share.everyone:
            return ""
        case Share.organization:
            return "o:"
        case Share.key:
            return "k:"
        case _:
            assert_never(share)


def _method(route: Route) -> str:
    return "GET" if route.methods is None or "GET" in route.methods else min(route.methods)
