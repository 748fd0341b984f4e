"""Places: where a URL's responses are stored, held against the cache keys and groups that preparing makes."""

from typing import Any

import pytest
from admission.snapshots import make_request, make_route, make_snapshot, prepare, public_route, seed_route
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.patterns import PathPattern
from gateway.admission.places import Keyed, Place, Reach, Routing, places, reach, regions, tag_groups
from gateway.admission.prepare import Preparer
from gateway.admission.routes import Router
from gateway.admission.snapshot import CachePolicy, Route, Share
from gateway.errors import Problem

UP = make_snapshot().upstreams["api"].identity
SHOP = seed_route(name="shop", path="/shop/{rest:.*}", strip_prefix="/shop", refresh=None)


def rest(name: str, path: str = "/{rest:.*}", **changes: Any) -> Route:
    return make_route(path, **{"name": name, "cache": CachePolicy()} | changes)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/products/1",
        "/v1/products/1?include_offers=1&x=2",
        "/v1/products/%7e1",
        "/v1/products/1?force_refresh=1&x",
        "http://gw.example/v1/products/1?",
    ],
)
def test_a_url_is_at_the_place_that_its_request_has(target: str) -> None:
    prepared = prepare(seed_route(), make_request(target))
    upstream, _, keyed, *_ = prepared.key.split("\n")
    [place] = places(make_snapshot(seed_route()), target)
    assert place[:2] == (upstream, keyed)
    assert place.group in prepared.memberships()


def test_a_prefix_taken_off_is_not_in_the_place() -> None:
    assert places(make_snapshot(SHOP), "/shop/a?b") == (Place(UP, "/a?b", "api\n*\n/a"),)


@pytest.mark.parametrize(
    ("routes", "url", "count"),
    [
        pytest.param([make_route()], "/v1/products/1", 0, id="not-cached"),
        pytest.param([seed_route()], "/elsewhere", 0, id="no-route"),
        pytest.param([make_route(), rest("later")], "/v1/products/1", 0, id="taken-by-one-without-a-cache"),
        pytest.param([seed_route(), rest("later", strip_prefix="/v1")], "/v1/products/1", 2, id="some-methods-go-on"),
        pytest.param([rest("a", host="a.example"), rest("b", strip_prefix="/v1")], "/v1/x", 2, id="whatever-host-both"),
        pytest.param(
            [rest("a", host="a.example"), rest("b", strip_prefix="/v1")], "http://a.example/v1/x", 1, id="that-host"
        ),
        pytest.param(
            [rest("a", host="a.example"), rest("b", strip_prefix="/v1")], "http://b.example/v1/x", 1, id="the-other"
        ),
        pytest.param([seed_route(), rest("same")], "/v1/products/1", 1, id="one-place-once"),
    ],
)
def test_a_url_has_a_place_for_each_route_that_may_take_it(routes: list[Route], url: str, count: int) -> None:
    assert len(places(make_snapshot(*routes), url)) == count


@pytest.mark.parametrize("url", ["/a/../b", "nothing", "/a#b", "http://a b/"])
@pytest.mark.parametrize("find", [places, regions])
def test_what_no_request_can_ask_for_is_refused(find: Any, url: str) -> None:
    with pytest.raises(Problem):
        find(make_snapshot(seed_route()), url)


@pytest.mark.parametrize(
    ("route", "prefix", "begins"),
    [
        (seed_route(), "/", "/v1/products"),
        (seed_route(), "/v1/prod", "/v1/products"),
        (seed_route(), "/v1/products/12", "/v1/products/12"),
        (seed_route(), "/v1/products/12?a", "/v1/products/12?a"),
        (seed_route(), "http://gw.example/v1", "/v1/products"),
        (seed_route(), "/v2", None),
        (seed_route(), "/v1?a", None),
        (seed_route(host="other.example"), "http://gw.example/v1", None),
        (make_route(), "/", None),
        (SHOP, "/", "/"),
        (SHOP, "/sh", "/"),
        (SHOP, "/shop", "/"),
        (SHOP, "/shop/a", "/a"),
        (rest("any", strip_prefix="/shop"), "/s", "/"),
        (rest("any", strip_prefix="/shop"), "/shopping", "/shopping"),
    ],
)
def test_a_prefix_is_a_region_of_each_route_that_it_may_concern(route: Route, prefix: str, begins: str | None) -> None:
    assert [tuple(region) for region in regions(make_snapshot(route), prefix)] == ([(UP, begins)] if begins else [])


def test_a_tag_is_a_group_of_each_upstream() -> None:
    assert tag_groups(make_snapshot(), "product:1") == ("api\n*\nproduct:1",)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("up\no:acme\n/a?b\naccept:x\n206", ("up", "o:acme", "/a?b", ("accept:x", "206"))),
        ("up\n\n/a", ("up", "", "/a", ())),
        ("odd", ("odd", "", "", ())),
    ],
)
def test_a_key_has_parts(key: str, expected: tuple[object, ...]) -> None:
    assert Keyed.of(key) == expected


SHARED = {share: rest("r", cache=CachePolicy(share=share)) for share in Share}


@pytest.mark.parametrize("route", [*SHARED.values(), public_route(cache=CachePolicy()), SHOP])
def test_a_route_serves_what_its_requests_are_stored_under(route: Route) -> None:
    asked = {"open": "/public/a", "shop": "/shop/a"}.get(route.name, "/a")
    assert reach(make_snapshot(route), route.name).serves(prepare(route, make_request(asked)).key)


@pytest.mark.parametrize(
    ("route", "key", "serves"),
    [
        (SHARED[Share.everyone], f"{UP}\np:\n/a", False),
        (SHARED[Share.everyone], f"{UP}\n\n/a?b\nhost:x", True),
        (SHARED[Share.everyone], "other#1\n\n/a", False),
        (SHARED[Share.organization], f"{UP}\nk:ci\n/a", False),
        (SHARED[Share.organization], f"{UP}\no:anyone\n/a", True),
        (public_route(cache=CachePolicy(), send_credentials=True), f"{UP}\n\n/public/a", True),
        (seed_route(), f"{UP}\n\n/v1/products", False),
        (SHOP, f"{UP}\n\n/", True),
        (SHOP, f"{UP}\n\n/shop/a", True),
        (rest("r", "/shop", strip_prefix="/shop"), f"{UP}\n\n/", True),
        (rest("r", "/shop", strip_prefix="/shop"), f"{UP}\n\n/shop", False),
        (rest("r", strip_prefix="/shop"), f"{UP}\n\n/other", True),
    ],
)
def test_a_route_serves_by_upstream_scope_and_path(route: Route, key: str, serves: bool) -> None:
    assert reach(make_snapshot(route), route.name).serves(key) is serves


def test_what_routes_before_it_take_is_not_a_routes_own() -> None:
    before = [
        seed_route(methods=None),
        rest("host", "/hosted/{x}", host="a.example"),
        rest("get", "/got/{x}", methods=frozenset({"GET"})),
    ]
    later = reach(make_snapshot(*before, rest("later")), "later")
    taken = {path: later.serves(f"{UP}\n\n{path}") for path in ("/v1/products/1", "/hosted/1", "/got/1", "/other")}
    assert taken == {"/v1/products/1": False, "/hosted/1": True, "/got/1": True, "/other": True}


@pytest.mark.parametrize("host", ["a.example", "*.example"])
def test_a_route_of_all_hosts_takes_from_one_of_fewer(host: str) -> None:
    snapshot = make_snapshot(rest("all", "/a/{x}", host="*.example"), rest("later", host=host))
    later = reach(snapshot, "later")
    assert [later.serves(f"{UP}\n\n{path}") for path in ("/a/1", "/b")] == [False, True]


def test_a_route_without_get_goes_by_another_of_its_methods() -> None:
    snapshot = make_snapshot(rest("all", "/a/{x}"), rest("later", methods=frozenset({"POST"})))
    assert reach(snapshot, "later").method == "POST"
    assert not reach(snapshot, "later").serves(f"{UP}\n\n/a/1")


def test_what_no_request_can_ask_for_is_nobodys() -> None:
    """As where a route's methods are none that its host could be asked with."""
    odd = Reach(UP, "", "", PathPattern.parse("/{rest:.*}"), "x", "GET", 1, Router([make_route()]))
    assert not odd.serves(f"{UP}\n\n/other")


@pytest.mark.parametrize("name", ["none", "product"])
def test_a_route_that_is_not_there_or_stores_nothing_has_no_reach(name: str) -> None:
    with pytest.raises(KeyError):
        reach(make_snapshot(make_route()), name)


def test_the_first_route_with_a_cache_that_serves_a_key_is_its_route() -> None:
    snapshot = make_snapshot(make_route(), seed_route(name="seed"), rest("later"))
    routing, preparer = Routing(snapshot), Preparer(make_snapshot(seed_route(name="seed"), rest("later")))
    for target, name in (("/v1/products/1", "seed"), ("/x", "later")):
        found = routing.route_of(preparer.prepare(make_request(target)).key)
        assert found is not None
        assert found.name == name
    assert routing.route_of("gone#1\n\n/x") is None


@pytest.mark.parametrize(
    ("key", "ways"),
    [
        (f"{UP}\n\n/a?b", [("*", "/shop/a"), ("*", "/a"), ("a.example", "/a")]),
        (f"{UP}\n\n/", [("*", "/shop/"), ("*", "/shop"), ("*", "/"), ("a.example", "/")]),
        (f"{UP}\n\n/shop/a", [("*", "/shop/shop/a"), ("*", "/shop/a"), ("a.example", "/shop/a")]),
        (f"{UP}\np:\n/a", [("*", "/a")]),
        (f"{UP}\nk:ci\n/a", []),
        ("gone#1\n\n/a", []),
    ],
)
def test_the_ways_to_a_key_are_few_however_many_routes_there_are(key: str, ways: list[tuple[str, str]]) -> None:
    many = [rest(f"r{number}", f"/r{number}/{{x}}") for number in range(100)]
    others = [rest("host", host="a.example"), public_route(cache=CachePolicy())]
    routing = Routing(make_snapshot(make_route(), SHOP, *many, *others))
    found = list(dict.fromkeys([(route.host, path) for route, path in routing.ways(key)]))
    assert found == ways
    assert len(list(routing.ways(key))) <= len(ways) + 1


PATHS = ["/{rest:.*}", "/a/{x}", "/a/{rest:.*}", "/a/b", "/a/{x}/c", "/{x}", "/a/b/{rest:.*}"]
ROUTES = st.fixed_dictionaries(
    {
        "path": st.sampled_from(PATHS),
        "strip_prefix": st.sampled_from(["", "/a"]),
        "share": st.sampled_from(Share),
        "public": st.booleans(),
    }
)


def routed(number: int, path: str, strip_prefix: str, share: Share, public: bool) -> Route:
    changes: dict[str, Any] = {"cache": CachePolicy(share=share), "name": f"r{number}"}
    if public:
        return public_route(path, **changes | {"cache": CachePolicy()})
    return make_route(path, **changes, strip_prefix=strip_prefix)


@given(
    st.lists(ROUTES, min_size=1, max_size=6),
    st.sampled_from(["", "p:", "o:acme", "k:ci", "p:odd", "x"]),
    st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/c", "/b", "/a/x/c", "/b?a=1"]),
)
def test_the_route_of_a_key_is_what_a_scan_of_all_finds(many: list[dict[str, Any]], scope: str, target: str) -> None:
    routes = [routed(number, **one) for number, one in enumerate(many)]
    snapshot, key = make_snapshot(*routes), f"{UP}\n{scope}\n{target}"
    # Each by itself, as `reach` leaves out what earlier routes take.
    serving = [route for route in routes if reach(make_snapshot(route), route.name).serves(key)]
    assert Routing(snapshot).route_of(key) == (serving[0] if serving else None)
