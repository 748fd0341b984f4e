"""`defaults.route`: what routes get from it, and where its mistakes are told."""

from pathlib import Path

import pytest
from config.texts import Errors, Read
from config.trees import grown, wrong

API = "upstreams: {api: {url: http://api}, other: {url: http://other}}\n"


KEYS = "access, cache, cors, credentials, forward, price, refresh, rewrite, tokens_in_body, upstream"


@pytest.mark.parametrize(
    ("defaults", "route", "means"),
    [
        ("upstream: api", "", "upstream: api"),
        ("upstream: api", "upstream: other", "upstream: other"),
        ("upstream: api", "upstream: ", "upstream: api"),
        ("cache: 15m, upstream: api", "", "cache: 15m, upstream: api"),
        ("cache: 15m, upstream: api", "cache: 1m", "cache: 1m, upstream: api"),
        ("cache: 15m, upstream: api", "cache: {tags: x}", "cache: {ttl: 15m, tags: x}, upstream: api"),
        (
            "cache: {stale_if_error: 1h}, upstream: api",
            "cache: 1m",
            "cache: {ttl: 1m, stale_if_error: 1h}, upstream: api",
        ),
        ("cache: 15m, upstream: api", "cache: {}", "cache: 15m, upstream: api"),
        ("cache: 15m, upstream: api", "cache: false", "upstream: api"),
        (
            "cache: {vary_on: {query_sort: true, headers: [X]}}, upstream: api",
            "cache: {vary_on: {headers: [Y]}}",
            "cache: {vary_on: {query_sort: true, headers: [Y]}}, upstream: api",
        ),
        ("price: {force_refresh: 3}, upstream: api", "price: 2", "price: {base: 2, force_refresh: 3}, upstream: api"),
        ("cache: 1m, refresh: true, upstream: api", "refresh: false", "cache: 1m, upstream: api"),
        (
            "cache: 1m, refresh: {cooldown: 5s}, upstream: api",
            "refresh: yes",
            "cache: 1m, refresh: {cooldown: 5s}, upstream: api",
        ),
        (
            "cache: 1m, refresh: true, upstream: api",
            "refresh: {post: none}",
            "cache: 1m, refresh: {post: none}, upstream: api",
        ),
        (
            "cors: https://a.example, upstream: api",
            "cors: [https://b.example]",
            "cors: https://b.example, upstream: api",
        ),
        ("cors: https://a.example, upstream: api", "cors: no", "upstream: api"),
        ("forward: X-A, upstream: api", "forward: [X-B]", "forward: [X-B], upstream: api"),
        (
            "cache: {ttl: 1m, share: key, client_directives: price}, refresh: yes, tokens_in_body: on, upstream: api",
            "access: public",
            "access: public, cache: 1m, upstream: api",
        ),
        ("access: public, price: 3, upstream: api", "", "access: public, upstream: api"),
        ("access: public, price: 3, upstream: api", "access: ", "access: public, upstream: api"),
        ("access: public, price: 3, upstream: api", "access: key", "price: 3, upstream: api"),
    ],
)
def test_what_a_route_means(read: Read, defaults: str, route: str, means: str) -> None:
    laid = read(f"{API}defaults: {{route: {{{defaults}}}}}\nroutes: [{{{route}}}]\n")
    assert laid.routes[0].model_dump() == read(f"{API}routes: [{{{means}}}]\n").routes[0].model_dump()


@pytest.mark.parametrize("empty", ["defaults: ", "defaults: {}", "defaults: {route: }", "defaults: {route: {}}"])
def test_nothing_is_laid(read: Read, empty: str) -> None:
    assert read(f"{API}{empty}\nroutes: [{{upstream: api}}]\n").routes[0].upstream == "api"


def test_defaults_may_stand_in_any_file_and_hold_for_all(tmp_path: Path) -> None:
    config = grown(
        tmp_path,
        main=f"include: '[ab].yaml'\n{API}routes: [{{name: m, match: /m}}]",
        a="defaults: {route: {upstream: api, cache: 1m}}",
        b="routes: [{name: b, match: /b, cache: 2m}]",
    ).config
    assert [(route.upstream, route.cache and route.cache.ttl) for route in config.routes] == [("api", 120), ("api", 60)]


@pytest.mark.parametrize(
    ("defaults", "routes", "told"),
    [
        (
            "cache: 15, upstream: api",
            "[{refresh: true}, {}]",
            ["2:27: defaults.route.cache.ttl: must be a duration such as 250ms, 30s, 15m, 1h or 7d"],
        ),
        (
            "upstream: apj",
            "[{}, {}, {upstream: other}]",
            ["2:30: defaults.route.upstream: unknown upstream `apj`, did you mean `api`?"],
        ),
        (
            "upstream: api, cache: {tags: ['{id}', '{x}']}",
            "[{match: '/{x}'}, {match: '/a/{x}'}]",
            ["2:50: defaults.route.cache.tags[0]: the match path has no parameter `id`"],
        ),
        ("{a: b}: c, upstream: api", "[{}]", ["2:20: a key must be plain text"]),
        (
            "matc: /x, upstream: api",
            "[{}]",
            [f"2:20: defaults.route: unknown key `matc`; allowed here: {KEYS}"],
        ),
        (
            "name: x, upstream: api",
            "[{}]",
            ["2:20: defaults.route: `name` is for each route to say, and has no default"],
        ),
        (
            "upstream: api, cache: {ttl: 1m}",
            "[{cache: {tll: 1m}}, {cache: x}, x]",
            [
                "3:19: routes[0].cache: unknown key `tll`, did you mean `ttl`?",
                "3:38: routes[1].cache.ttl: must be a duration such as 250ms, 30s, 15m, 1h or 7d",
                "3:42: routes[2]: must be a mapping of keys to values",
            ],
        ),
    ],
    ids=["value", "reference", "tags", "key", "unknown", "name", "the routes' own"],
)
def test_a_mistake_in_defaults_is_told_once(errors: Errors, defaults: str, routes: str, told: list[str]) -> None:
    assert errors(f"{API}defaults: {{route: {{{defaults}}}}}\nroutes: {routes}\n") == told


@pytest.mark.parametrize("defaults", ["5", "{route: 5}", "!x {}", "{route: !x {}}"])
def test_what_follows_from_lost_defaults_is_not_told(errors: Errors, defaults: str) -> None:
    assert len(errors(f"{API}defaults: {defaults}\nroutes: [{{}}]\n")) == 1


def test_defaults_do_not_multiply_without_bound(errors: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.config.laying.MAX_VALUES", 100)
    text = (
        f"{API}defaults: {{route: {{upstream: api, forward: [{', '.join(['X'] * 30)}]}}}}\nroutes: [{{}}, {{}}, {{}}]\n"
    )
    told = errors(text)
    assert told[0] == "2:12: defaults.route: with them under every route there are more than 100 values"


def test_a_route_that_stands_in_another_file_says_so(tmp_path: Path) -> None:
    main = f"include: a.yaml\n{API}defaults: {{route: {{upstream: api, price: x}}}}\nroutes: [{{}}]\n"
    assert wrong(tmp_path, main=main, a="routes: [{match: /a, price: y}]") == [
        "a.yaml:1:29: routes[0].price.base: must be a whole number",
        "main.yaml:3:42: defaults.route.price.base: must be a whole number",
    ]
