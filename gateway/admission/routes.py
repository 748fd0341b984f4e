"""Which route takes a request: the first that matches host, path and method (RFC 9110 §15.5.5 and §15.5.6 if none)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from gateway.admission.snapshot import Route
from gateway.admission.target import canonical_path, without_port
from gateway.errors import Problem, Reason


class Mismatch(Enum):
    """What keeps a route from taking a request, the first of them."""

    host = "another host"
    path = "another path"
    method = "another method"


class Matched(NamedTuple):
    """The route that takes a request, and its place in the snapshot.

    `path` is the path of the GET that the request is or, for `refresh` (a POST on the route's refresh pattern), stands
    for; `params` are that path's.
    """

    place: int
    route: Route
    params: dict[str, str]
    path: str
    refresh: bool


@dataclass(slots=True)
class _Node:
    """The routes, in order, that a path beginning with this node's segments may match."""

    routes: list[tuple[int, Route]] = field(default_factory=list)
    children: dict[str, "_Node"] = field(default_factory=dict)

    def below(self, prefix: Iterable[str]) -> "_Node":
        node = self
        for segment in prefix:
            node = node.children.setdefault(segment, _Node())
        return node

    def add(self, place: int, route: Route) -> None:
        if not self.routes or self.routes[-1][0] != place:
            self.routes.append((place, route))
        for child in self.children.values():
            child.add(place, route)


class Router:
    """Finds routes by the literal beginning of their paths, with the outcome of a scan of the whole list in order.

    Raises ValueError for a refresh pattern that lacks a parameter of its route's path.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._root = _Node()
        for route in routes:
            _require_names(route)
            for prefix in _prefixes(route):
                self._root.below(prefix)
        for place, route in enumerate(routes):
            for prefix in _prefixes(route):
                self._root.below(prefix).add(place, route)

    def match(self, method: str, host: str, path: str) -> Matched:
        """The first route that takes this; `host` and `path` are canonical.

        Raises `Problem`: `method_not_allowed` with `Allow` where only other methods match, else `no_route`;
        `ambiguous_target` where a refresh would stand for a path that no GET can have.
        """
        candidates = self._candidates(path)
        for place, route in candidates:
            if route.host == "*" or _is_host(route.host, host):
                matched = _matched(place, route, method, path)
                if matched is not None:
                    return matched
        raise _unmatched([route for _, route in candidates if route.host == "*" or _is_host(route.host, host)], path)

    def match_preflight(self, method: str, host: str, path: str) -> Matched | None:
        """The route that says which pages may send this; None where none does, so that OPTIONS is like any method.

        It is the one that would take the request; for a method that none takes, the first with `cors` for the path.
        """
        asked = [(place, route) for place, route in self._candidates(path) if _is_host(route.host, host)]
        for place, route in asked:
            if (matched := _matched(place, route, method, path)) is not None:
                return matched if route.cors is not None else None
        for place, route in asked:
            if route.cors is not None and (params := route.path.match(path)) is not None:
                return Matched(place, route, params, path, False)
        return None

    def _candidates(self, path: str) -> list[tuple[int, Route]]:
        node = self._root
        for segment in path[1:].split("/"):
            child = node.children.get(segment)
            if child is None:
                break
            node = child
        return node.routes


def mismatch(route: Route, host: str, path: str) -> Mismatch:
    """Why `route` is one of those that do not take what is sent to a canonical `host` and `path`."""
    if not _is_host(route.host, host):
        return Mismatch.host
    patterns = [route.path] if route.refresh is None or route.refresh.post is None else [route.path, route.refresh.post]
    matching = any(pattern.match(path) is not None for pattern in patterns)
    return Mismatch.method if matching else Mismatch.path


def _matched(place: int, route: Route, method: str, path: str) -> Matched | None:
    if method == "POST" and (refreshed := _refreshed(route, path)) is not None:
        return Matched(place, route, refreshed[0], refreshed[1], True)
    if route.methods is not None and method not in route.methods:
        return None
    params = route.path.match(path)
    return None if params is None else Matched(place, route, params, path, False)


def _refreshed(route: Route, path: str) -> tuple[dict[str, str], str] | None:
    """Parameters and path of the GET that a POST on this path refreshes."""
    if route.refresh is None or route.refresh.post is None:
        return None
    params = route.refresh.post.match(path)
    if params is None:
        return None
    stands_for = canonical_path(route.path.fill(params))
    own = route.path.match(stands_for)
    return None if own is None else (own, stands_for)


def _unmatched(routes: Iterable[Route], path: str) -> Problem:
    allowed: set[str] = set()
    for route in routes:
        if route.methods is not None and route.path.match(path) is not None:
            allowed |= route.methods
        if _refreshed(route, path) is not None:
            allowed.add("POST")
    if not allowed:
        return Problem(Reason.no_route)
    return Problem(Reason.method_not_allowed, fields=(("Allow", ", ".join(sorted(allowed))),))


def _is_host(pattern: str, host: str) -> bool:
    """Whether a route's `host` names this one: as it is, without its port, or below `*.` by any number of labels."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) or without_port(host).endswith(pattern[1:])
    return pattern in ("*", host, without_port(host))


def _prefixes(route: Route) -> list[tuple[str, ...]]:
    post = route.refresh.post if route.refresh is not None else None
    return [route.path.prefix] if post is None else [route.path.prefix, post.prefix]


def _require_names(route: Route) -> None:
    if route.refresh is not None and route.refresh.post is not None:
        missing = set(route.path.names) - set(route.refresh.post.names)
        if missing:
            raise ValueError(f"route {route.name}: refresh.post lacks the path's {', '.join(sorted(missing))}")
