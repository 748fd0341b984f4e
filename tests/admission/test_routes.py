"""Routing: first match wins, a refresh is the GET it stands for, and the index finds what a plain scan finds."""

from collections.abc import Sequence
from typing import Any

import pytest
from admission.snapshots import make_route, seed_route
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.cors import Cors
from gateway.admission.patterns import PathPattern
from gateway.admission.routes import Mismatch, Router, mismatch
from gateway.admission.snapshot import RefreshPolicy, Route
from gateway.errors import Problem, Reason

GET = frozenset({"GET", "HEAD"})


def refreshing(path: str, post: str, **changes: Any) -> Route:
    return make_route(path, refresh=RefreshPolicy(post=PathPattern.parse(post)), **changes)


def refusal(routes: Sequence[Route], method: str, host: str, path: str) -> Problem:
    with pytest.raises(Problem) as caught:
        Router(routes).match(method, host, path)
    return caught.value


def test_first_match_wins() -> None:
    routes = [make_route("/a/{x}", name="one"), make_route("/a/b", name="two"), make_route("/{x:.*}", name="three")]
    router = Router(routes)
    assert router.match("GET", "h", "/a/b")[:3] == (0, routes[0], {"x": "b"})
    assert router.match("GET", "h", "/a").route.name == "three"


def test_a_general_route_before_a_particular_one() -> None:
    router = Router([make_route("/{x:.*}", name="all"), make_route("/a/b", name="never")])
    assert router.match("GET", "h", "/a/b").route.name == "all"


def test_other_methods_go_on_to_later_routes() -> None:
    router = Router([make_route("/a", methods=GET, name="read"), make_route("/a", name="write")])
    assert router.match("GET", "h", "/a").route.name == "read"
    assert router.match("PUT", "h", "/a").route.name == "write"


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("*", "any:1", True),
        ("a.example", "a.example", True),
        ("a.example", "a.example:8080", True),
        ("a.example:8080", "a.example:8080", True),
        ("a.example:8080", "a.example", False),
        ("a.example", "b.a.example", False),
        ("*.example", "a.example", True),
        ("*.example", "b.a.example:8080", True),
        ("*.example:8080", "a.example:8080", True),
        ("*.example:8080", "a.example:9090", False),
        ("*.example", "example", False),
        ("*.example", "badexample", False),
    ],
)
def test_host(pattern: str, host: str, matches: bool) -> None:
    routes = [make_route("/a", host=pattern, name="hosted"), make_route("/{x:.*}", name="rest")]
    assert (Router(routes).match("GET", host, "/a").route.name == "hosted") is matches


def test_a_refresh_stands_for_its_get() -> None:
    matched = Router([seed_route()]).match("POST", "h", "/v1/products/7/refresh")
    assert (matched.refresh, matched.path, matched.params) == (True, "/v1/products/7", {"id": "7"})


def test_a_refresh_is_tried_before_the_routes_own_path() -> None:
    router = Router([refreshing("/{path:.*}", "/{path:.*}/refresh")])
    assert router.match("POST", "h", "/a/b/refresh")[2:] == ({"path": "a/b"}, "/a/b", True)
    assert router.match("POST", "h", "/refresh")[2:] == ({"path": ""}, "/", True)
    assert router.match("GET", "h", "/a/b/refresh")[2:] == ({"path": "a/b/refresh"}, "/a/b/refresh", False)
    assert router.match("POST", "h", "/a/b")[2:] == ({"path": "a/b"}, "/a/b", False)


def test_a_refresh_elsewhere_than_below_its_get() -> None:
    router = Router([make_route("/renew/{x}", methods=GET), refreshing("/a/{x}", "/renew/{x}")])
    assert router.match("POST", "h", "/renew/7")[2:] == ({"x": "7"}, "/a/7", True)


def test_a_refresh_of_no_path_of_the_route_is_none() -> None:
    routes = [refreshing("/a/{x}", "/renew/{x:.*}")]
    assert Router(routes).match("POST", "h", "/renew/7").path == "/a/7"
    assert refusal(routes, "POST", "h", "/renew/7/8").reason is Reason.no_route


def test_a_refresh_cannot_stand_for_a_path_that_no_get_can_have() -> None:
    assert refusal([refreshing("/{x}", "/renew-{x}")], "POST", "h", "/renew-..").reason is Reason.ambiguous_target


def test_a_refresh_needs_every_parameter_of_the_path() -> None:
    with pytest.raises(ValueError, match=r"product: refresh.post lacks the path's y$"):
        Router([refreshing("/{x}/{y}", "/renew/{x}")])


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/products/7", "GET, HEAD"),
        ("GET", "/v1/products/7/refresh", "POST"),
        ("DELETE", "/both/refresh", "GET, HEAD, POST"),
        ("DELETE", "/plain", "PATCH"),
    ],
)
def test_another_method_is_named(method: str, path: str, allow: str) -> None:
    routes = [
        seed_route(),
        make_route("/both/{x}", methods=GET),
        refreshing("/both", "/both/refresh", methods=GET),
        make_route("/plain", methods=frozenset({"PATCH"}), refresh=RefreshPolicy()),
        make_route("/plain", methods=GET, host="elsewhere"),
    ]
    problem = refusal(routes, method, "h", path)
    assert problem.reason is Reason.method_not_allowed
    assert problem.fields == (("Allow", allow),)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/products/7/8", "/v1/products/7/refresh/x"])
def test_no_route(path: str) -> None:
    assert refusal([seed_route(), make_route("/v1", host="elsewhere")], "GET", "h", path).reason is Reason.no_route


CORS = Cors(frozenset({"*"}))


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/products/7", "product"),
        ("POST", "/v1/products/7/refresh", "product"),
        ("DELETE", "/v1/products/7", "product"),
        ("GET", "/plain", None),
        ("PUT", "/plain", "pages"),
        ("GET", "/v1", None),
        ("GET", "/v1/products/7/8", None),
    ],
    ids=["GET", "refresh", "a method that no route takes", "another route's", "a later route's", "no host's", "none"],
)
def test_the_route_of_a_preflight(method: str, path: str, name: str | None) -> None:
    routes = [
        seed_route(cors=CORS),
        make_route("/plain", methods=GET, name="plain"),
        make_route("/plain", methods=frozenset({"PUT"}), name="pages", cors=CORS),
        make_route("/v1", host="elsewhere", cors=CORS),
    ]
    matched = Router(routes).match_preflight(method, "h", path)
    assert (None if matched is None else matched.route.name) == name


PATHS = ["/", "/a", "/a/b", "/a/{x}", "/{x}", "/{x}/b", "/a/{x:.*}", "/{x:.*}", "/{x:.*}/b", "/a-{x}", "/a/b/{x:.*}/a"]
POSTS = [path for path in PATHS if "x" in path]
ROUTES = st.builds(
    make_route,
    st.sampled_from(PATHS),
    host=st.sampled_from(["*", "h", "*.h"]),
    methods=st.sampled_from([None, GET, frozenset({"POST"})]),
    refresh=st.none() | st.sampled_from(POSTS).map(lambda post: RefreshPolicy(post=PathPattern.parse(post))),
)
SEGMENTS = st.lists(st.sampled_from(["a", "b", "a-b", "c"]), max_size=4)


def scan(routes: Sequence[Route], method: str, host: str, path: str) -> tuple[int, str, bool] | str | None:
    """What matches, by the definition: place, path of the GET and whether it is refreshed; else `Allow`, else None."""
    allowed: set[str] = set()
    for place, route in enumerate(routes):
        if route.host not in ("*", host) and not (route.host[0] == "*" and host.endswith(route.host[1:])):
            continue
        post = route.refresh.post.match(path) if route.refresh is not None and route.refresh.post is not None else None
        if post is not None and route.path.match(route.path.fill(post)) is not None:
            if method == "POST":
                return place, route.path.fill(post), True
            allowed.add("POST")
        if route.path.match(path) is not None:
            if route.methods is None or method in route.methods:
                return place, path, False
            allowed |= route.methods
    return ", ".join(sorted(allowed)) or None


MISMATCHES = {
    "host before path": (make_route("/a", host="h"), "other", "/b", Mismatch.host),
    "path": (make_route("/a"), "h", "/b", Mismatch.path),
    "neither path nor refresh": (seed_route(), "h", "/v1", Mismatch.path),
    "method": (seed_route(), "h", "/v1/products/7", Mismatch.method),
    "a refresh by another method": (seed_route(), "h", "/v1/products/7/refresh", Mismatch.method),
    "refresh by query alone": (
        seed_route(refresh=RefreshPolicy(("now",))),
        "h",
        "/v1/products/7/refresh",
        Mismatch.path,
    ),
}


@pytest.mark.parametrize(("route", "host", "path", "why"), MISMATCHES.values(), ids=MISMATCHES)
def test_why_a_route_does_not_take_it(route: Route, host: str, path: str, why: Mismatch) -> None:
    assert mismatch(route, host, path) is why


@given(
    st.lists(ROUTES, max_size=6),
    st.sampled_from(["GET", "POST", "PUT"]),
    st.sampled_from(["h", "a.h", "o"]),
    SEGMENTS,
)
def test_finds_what_a_plain_scan_finds(routes: list[Route], method: str, host: str, segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    found: tuple[int, str, bool] | str | None
    try:
        matched = Router(routes).match(method, host, path)
        found = matched.place, matched.path, matched.refresh
    except Problem as problem:
        found = dict(problem.fields).get("Allow")
    assert found == scan(routes, method, host, path)
