"""What another config changes for routes, in sentences."""

import pytest
from config.texts import Read

from gateway.config.differences import differences

API = "upstreams: {api: {url: http://api}}\n"
NEW_REQUESTS = "for requests that begin from now on"
OTHER_KEYS = f"{NEW_REQUESTS}: what is stored under the former cache keys is fetched anew"
STORED = "acts at once, on what is stored as well"
ORDER = "elsewhere in the order, of which the first match wins"


def of_route(settings: str) -> str:
    return f"{API}routes: [{{name: a, {settings}}}]\n"


def of_routes(*names: str) -> str:
    return f"{API}routes: [{', '.join(f'{{name: {name}, match: /{name}}}' for name in names)}]\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (of_route("price: 1"), of_route("price: 2"), f"price.base 1 → 2, {NEW_REQUESTS}"),
        (
            of_route("price: {options: [{name: o, tokens: 5, when: {query_any: x}}]}"),
            of_route("price: {options: [{name: o, tokens: 6, when: {query_any: [x, y]}}]}"),
            f"price.options.o.tokens 5 → 6, {NEW_REQUESTS}|price.options.o.when.query_any x → x, y, {NEW_REQUESTS}",
        ),
        (
            of_route("price: 1"),
            of_route("price: {options: [{name: o, tokens: 5, when: {query_any: x}}]}"),
            (
                f"price.options.o.tokens left out → 5, {NEW_REQUESTS}|"
                f"price.options.o.when.query_any left out → x, {NEW_REQUESTS}"
            ),
        ),
        (of_route("cache: 15m"), of_route("cache: 600s"), f"cache.ttl 15m → 10m, {STORED}"),
        (
            of_route("cache: {ttl_by_status: {200: 1h, 404: 60s}}"),
            of_route("cache: {ttl_by_status: {200: 1h, 404: 30s, 410: 1h}}"),
            f"cache.ttl_by_status.404 1m → 30s, {STORED}|cache.ttl_by_status.410 left out → 1h, {STORED}",
        ),
        (of_route("cache: {}"), of_route("cache: {share: key}"), f"cache.share left out → key, {OTHER_KEYS}"),
        (of_route("forward: X-A"), of_route("forward: X-B"), f"forward X-A → X-B, {OTHER_KEYS}"),
        (of_route(""), of_route("cache: 15m"), f"cache left out → set, {NEW_REQUESTS}"),
        (
            of_route("cache: {}"),
            of_route("cache: {tags: all}"),
            "cache.tags none → all, for what is stored from now on",
        ),
        (of_route(""), of_route("tokens_in_body: true"), f"tokens_in_body false → true, {NEW_REQUESTS}"),
        (
            of_route(f"forward: [{', '.join(f'X-Field-{n}' for n in range(20))}]"),
            of_route("forward: []"),
            f"forward {', '.join(f'X-Field-{n}' for n in range(20))[:80]}… → none, {OTHER_KEYS}",
        ),
    ],
    ids=[
        "price",
        "an option's price",
        "a new option",
        "lifetime",
        "lifetimes by status",
        "share",
        "forwarded fields",
        "cached from now on",
        "tags",
        "a switch",
        "a long list",
    ],
)
def test_a_route(read: Read, old: str, new: str, told: str) -> None:
    assert differences(read(old), read(new)) == tuple(f"route `a`: {one}" for one in told.split("|"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (of_routes("a"), of_routes("a", "b"), ["route `b` is new: takes all of /b"]),
        (of_routes("a", "b"), of_routes("a"), ["route `b` is gone: what it took goes to the next that matches"]),
        (of_routes("a", "b", "c"), of_routes("a"), ["routes `b`, `c` are gone"]),
        (of_routes("a", "b", "c"), of_routes("c", "a", "b"), [f"route `c` stands {ORDER}"]),
        (of_routes("a", "b", "c"), of_routes("c", "b", "a"), [f"routes `a`, `b` stand {ORDER}"]),
        (of_routes("a"), f"{API}routes: [{{name: b, match: /a}}]\n", ["route `a` is `b` now, in metrics and logs"]),
        (
            f"{API}routes: [{{match: {{path: /x, host: h}}}}, {{match: {{path: /x, host: h}}}}, {{}}]\n",
            f"{API}routes: [{{match: {{path: /x, host: h}}, price: 2}}, {{}}]\n",
            [
                f"route `api h/x`: price.base 1 → 2, {NEW_REQUESTS}",
                "route `api h/x #2` is gone: what it took goes to the next that matches",
            ],
        ),
        (
            of_routes("a"),
            f"{API}routes: [{{name: a, match: /a}}, {{match: {{host: h, path: /x, methods: [GET, PUT]}}}}]\n",
            ["route `api h/x` is new: takes GET, PUT of h/x"],
        ),
        (
            of_routes(*"abcdefgh"),
            of_routes(*"abcdefgh").replace("match", "price: 3, match"),
            [f"routes `a`, `b`, `c`, `d`, `e` and 3 more: price.base 1 → 3, {NEW_REQUESTS}"],
        ),
        (
            of_routes(*"abcdef"),
            of_routes(*"abcdef").replace("match", "price: 3, match"),
            [f"routes `a`, `b`, `c`, `d`, `e`, `f`: price.base 1 → 3, {NEW_REQUESTS}"],
        ),
    ],
    ids=[
        "new",
        "gone",
        "several gone",
        "order",
        "reversed",
        "another name",
        "without names",
        "a host's",
        "many alike",
        "one more than a few",
    ],
)
def test_routes(read: Read, old: str, new: str, told: list[str]) -> None:
    assert list(differences(read(old), read(new))) == told


def test_what_a_refresh_sends_is_not_shown(read: Read) -> None:
    def text(secret: str) -> str:
        refresh = f"{{post_query: {{a: {secret}}}, upstream: {{query: {{b: {secret}}}, headers: {{C: {secret}}}}}}}"
        return of_route(f"cache: 1m, refresh: {refresh}")

    assert differences(read(text("T0KEN")), read(text("T1KEN"))) == (
        f"route `a`: refresh.post_query.a changed, {NEW_REQUESTS}",
        f"route `a`: refresh.upstream.query.b changed, {NEW_REQUESTS}",
        f"route `a`: refresh.upstream.headers.C changed, {NEW_REQUESTS}",
    )
