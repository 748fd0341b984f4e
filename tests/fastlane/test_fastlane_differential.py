"""One corpus of requests through a gateway with the fast lane and one without: nobody can tell which was which."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastlane.twins import Twins, kept_open, twins
from support.config import KEY, OTHER_KEY, Config, config, plan, product_route, route
from support.scripts import Step, answer, head, json_answer

from gateway.listener.limited import END_OF_HEAD

pytestmark = pytest.mark.slow

TEST_KEY = "rk_test_alpha_0123456789abcdefghijkl"
PRICE = {"base": 5, "options": [{"name": "extra", "tokens": 2, "when": {"query_any": ["extra"]}}]}


def secret(name: str) -> str:
    return f"rk_live_{name}_0123456789abcdefghijkl"


def holder(name: str, **rest: Any) -> Config:
    return {"id": name, "key": secret(name), **rest}


ROUTES = [
    product_route(),
    route("/plain/{id}", "plain", cache="60s"),
    route("/dear/{id}", "dear", cache="60s", price=PRICE, tokens_in_body=True),
    route("/free/{id}", "free", cache="60s", price=0),
    route("/public/{id}", "public", access="public", cache={}),
    route("/open/{id}", "open", access="public", cache="60s", cors="*"),
    route("/paged/{id}", "paged", cache="60s", cors=["https://app.example"]),
    route("/sorted/{id}", "sorted", cache={"ttl": "60s", "vary_on": {"query_ignore": ["utm"], "query_sort": True}}),
    route("/lang/{id}", "lang", cache={"ttl": "60s", "vary_on": {"headers": ["Accept-Language"]}}),
    route("/traced/{id}", "traced", cache={"ttl": "60s", "vary_on": {"headers": ["Traceparent"]}}),
    route("/strip/{id}", "strip", cache="60s", rewrite={"strip_prefix": "/strip"}),
    route("/missing/{id}", "missing", cache={"ttl": "60s", "ttl_by_status": {404: "60s", 204: "60s", 410: "60s"}}),
    route("/swr/{id}", "swr", cache={"ttl": "10s", "stale_while_revalidate": "30s"}),
    route("/ahead/{id}", "ahead", cache={"ttl": "10s", "refresh_ahead": {"hits": 2, "last": "50%"}}),
    route("/jitter/{id}", "jitter", cache={"ttl": "100s", "ttl_jitter": "50%"}),
    route("/org/{id}", "org", cache={"ttl": "60s", "share": "organization"}),
    route("/own/{id}", "own", cache={"ttl": "60s", "share": "key"}),
    route("/honour/{id}", "honour", cache={"ttl": "60s", "client_directives": "honour"}),
    route("/ignore/{id}", "ignore", cache={"ttl": "60s", "client_directives": "ignore"}),
    route("/uncached/{id}", "uncached", price=2),
]
PEOPLE: Config = {
    "log": {"sample": {"hit": "all"}},
    "keys": [
        {"id": "alpha", "key": [KEY, TEST_KEY]},
        {"id": "bravo", "key": OTHER_KEY, "organization": "acme"},
        holder("charlie", organization="acme"),
        holder("prepaid", plan="prepaid"),
        holder("monthly", plan="monthly"),
        holder("slow", plan="slow"),
        holder("looks", scopes=["lookup"]),
        holder("refreshes", scopes=["refresh"]),
        holder("shared-1", organization="shared"),
        holder("shared-2", organization="shared"),
    ],
    "plans": {
        "prepaid": plan(4, "never"),
        "monthly": plan(4, "month"),
        "slow": plan(1000, "day", throttle={"rate": "3/min", "burst": 3}),
    },
    "organizations": {"acme": {}, "shared": {"plan": "prepaid", "balance": "organization"}},
}


def ask(target: str, *lines: str, key: str | None = KEY, method: str = "GET", host: str = "gateway") -> bytes:
    """A request's head, by bytes."""
    bearer = [] if key is None else [f"Authorization: Bearer {key}"]
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *bearer, *lines, "", ""]).encode("latin-1")


@dataclass
class Row:
    """Requests for `{}`, one after the other; `lanes` says for each which lane has to answer it, F the fast one.

    `script` is what the upstream has for each target named; `between` seconds pass before each request but the first.
    """

    id: str
    lanes: str
    requests: Sequence[bytes]
    script: tuple[Step, ...] = ()
    between: float = 0.3


def repeated(
    id_: str, lanes: str, target: str, *lines: str, key: str | None = KEY, host: str = "gateway", **rest: Any
) -> Row:
    return Row(id_, lanes, [ask(target, *lines, key=key, host=host)] * len(lanes), **rest)


def typed(kind: str, text: str) -> tuple[Step, ...]:
    return (answer(text, Content_Type=kind),)


JSON = "application/json"

ROWS = [
    repeated("metered", ".FFF", "/v1/products/{}"),
    repeated("receipts", ".FFF", "/v1/products/{}?include_offers=true"),
    repeated("flag off", ".FFF", "/v1/products/{}?include_offers=0"),
    repeated("flag neither", "....", "/v1/products/{}?include_offers=maybe"),
    repeated("gzip", ".FFF", "/v1/products/{}", "Accept-Encoding: gzip, deflate, br"),
    repeated("gzip refused", ".FFF", "/v1/products/{}", "Accept-Encoding: gzip;q=0"),
    repeated("gzip priced", ".FFF", "/v1/products/{}?include_offers=true", "Accept-Encoding: gzip"),
    repeated("gzip small", ".FFF", "/v1/products/{}", "Accept-Encoding: gzip", script=(json_answer({}),)),
    repeated("not JSON", ".FFF", "/v1/products/{}", script=typed("text/plain", "text")),
    repeated("not JSON gzip", ".FFF", "/v1/products/{}", "Accept-Encoding: gzip", script=typed("text/plain", "text")),
    repeated("broken JSON", ".FFF", "/v1/products/{}", script=typed(JSON, '{"a":')),
    repeated("empty object", ".FFF", "/v1/products/{}", script=typed(JSON, "{}")),
    repeated("spaced object", ".FFF", "/v1/products/{}", script=typed(JSON, ' { "a" : 1 } \n')),
    repeated("array", ".FFF", "/v1/products/{}", script=typed(JSON, "[1]")),
    repeated("empty body", ".FFF", "/v1/products/{}", script=typed(JSON, "")),
    repeated(
        "tokens of its own", ".FFF", "/v1/products/{}", script=(json_answer({"tokens_consumed": 7, "a": "\u00e9"}),)
    ),
    repeated("strong etag", ".FFF", "/v1/products/{}", script=(json_answer({}, ETag='"a"', Digest="x"),)),
    repeated("plain", ".FFF", "/plain/{}"),
    repeated("dear", ".FFF", "/dear/{}"),
    repeated("dear priced", ".FFF", "/dear/{}?extra"),
    repeated("free", ".FFF", "/free/{}"),
    repeated("uncached", "....", "/uncached/{}"),
    Row("head", ".FFFF", [ask("/plain/{}"), *[ask("/plain/{}", method="HEAD")] * 2, *[ask("/plain/{}")] * 2]),
    Row("head first", ".FF", [*[ask("/v1/products/{}", method="HEAD")] * 2, ask("/v1/products/{}")]),
    Row("head gzip", ".FF", [ask("/v1/products/{}", "Accept-Encoding: gzip", method="HEAD")] * 3),
    Row(
        "conditional",
        ".F..F",
        [*[ask("/plain/{}")] * 2, *[ask("/plain/{}", 'If-None-Match: "a"')] * 2, ask("/plain/{}")],
        (json_answer({}, ETag='"a"'),),
    ),
    repeated("since", "...", "/plain/{}", "If-Modified-Since: Thu, 15 Jan 2026 11:00:00 GMT"),
    Row("range", ".F..F", [*[ask("/plain/{}")] * 2, *[ask("/plain/{}", "Range: bytes=0-1")] * 2, ask("/plain/{}")]),
    *[
        Row(name, ".F..F", [*[ask("/plain/{}")] * 2, *[ask("/plain/{}", line)] * 2, ask("/plain/{}")])
        for name, line in {
            "no-cache": "Cache-Control: no-cache",
            "max-age=0": "Cache-Control: max-age=0",
            "max-age": "Cache-Control: max-age=30",
            "only-if-cached": "Cache-Control: only-if-cached",
            "no-store": "Cache-Control: no-store",
            "pragma": "Pragma: no-cache",
            "most tokens": "X-Max-Tokens: 1",
            "fewer tokens": "X-Max-Tokens: 0",
            "no tokens": "X-Max-Tokens: many",
            "close": "Connection: close",
            "nominated": "Connection: X-Else\r\nX-Else: 1",
            "expect": "Expect: 100-continue",
            "upgrade": "Connection: Upgrade\r\nUpgrade: websocket",
            "no content": "Content-Length: 0",
            "content": "Content-Length: 0\r\nContent-Type: text/plain",
            "te": "TE: trailers\r\nConnection: TE",
            "two hosts": "Host: other",
            "folded": "X-Else: a\r\n b",
            "spaced name": "X-Else : a",
            "no name": ": a",
            "null": "X-Else: a\0b",
            "bare return": "X-Else: a\rb",
            "two keys": f"X-Api-Key: {OTHER_KEY}",
            "two authorizations": f"Authorization: Bearer {OTHER_KEY}",
            "id of spaces": "X-Request-Id: a b",
            "many fields": "\r\n".join(f"X-{n}: 1" for n in range(70)),
            "too many fields": "\r\n".join(f"X-{n}: 1" for n in range(300)),
            "long field": f"X-Else: {'a' * 5000}",
            "too long a field": f"X-Else: {'a' * 40_000}",
        }.items()
    ],
    *[
        Row(name, ".F.FF", [*[ask("/plain/{}")] * 2, *[ask("/plain/{}", line)] * 2, ask("/plain/{}")])
        for name, line in {
            "keep-alive": "Connection: keep-alive",
            "language": "Accept-Language: de",
            "cookie": "Cookie: a=b",
            "same key twice": f"X-Api-Key: {KEY}",
            "accepts": "Accept: application/json",
            "idempotency key": "Idempotency-Key: once",
            "prefer": "Prefer: respond-async",
            "forwarded": "X-Forwarded-For: 203.0.113.7",
            "empty field": "X-Else:",
            "bytes above 127": "X-Else: \xe9",
            "spaced value": "X-Else: \t a \t",
            "two of a name": "X-Else: a\r\nx-else: b",
        }.items()
    ],
    *[
        Row(name, ".FFFF", [*[ask("/plain/{}")] * 2, *[ask("/plain/{}", line)] * 2, ask("/plain/{}")])
        for name, line in {
            "id": "X-Request-Id: mine",
            "id by another case": "x-request-ID: mine",
            "id too long": f"X-Request-Id: {'a' * 200}",
            "trace": "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "id and trace": "X-Request-Id: mine\r\ntraceparent: 00-aa-bb-01\r\ntracestate: a=b",
        }.items()
    ],
    Row(
        "refreshed",
        ".F.F..",
        [
            *[ask("/v1/products/{}")] * 2,
            ask("/v1/products/{}?force_refresh=true"),
            ask("/v1/products/{}"),
            ask("/v1/products/{}/refresh", "Content-Length: 0", method="POST"),
            ask("/v1/products/{}"),
        ],
    ),
    Row(
        "unsafe",
        ".F..F",
        [*[ask("/plain/{}")] * 2, ask("/plain/{}", "Content-Length: 0", method="PUT"), *[ask("/plain/{}")] * 2],
    ),
    Row("options", ".F.F", [*[ask("/plain/{}")] * 2, ask("/plain/{}", method="OPTIONS"), ask("/plain/{}")]),
    Row(
        "pages",
        "..FF..",
        [ask("/paged/{}", f"Origin: {origin}") for origin in ("https://app.example", "https://no.example")] * 2
        + [ask("/paged/{}", "Origin: null"), ask("/paged/{}", "Origin: https://app.example", key=None)],
    ),
    Row(
        "preflight",
        "...",
        [ask("/paged/{}", "Origin: https://app.example", "Access-Control-Request-Method: GET", method="OPTIONS")] * 3,
    ),
    repeated("all pages", ".FFF", "/open/{}", "Origin: https://app.example", key=None),
    Row(
        "query",
        ".FFF.F",
        [
            ask(f"/sorted/{{}}?{query}")
            for query in ("a=1&b=2", "b=2&a=1", "a=1&b=2&utm=x", "a=1&utm=y&b=2", "a=1", "a=1")
        ],
    ),
    Row(
        "spelling",
        ".F.F.F",
        [ask(f"/plain/{path}") for path in ("{}a", "{}%61", "{}%C3%A9", "{}%c3%a9", "./{}a", "{}a")],
    ),
    Row("languages", "..FF", [ask("/lang/{}", f"Accept-Language: {tongue}") for tongue in ("de", "fr", "de", "fr")]),
    repeated("trace that tells apart", "...", "/traced/{}", "traceparent: 00-aa-bb-01"),
    Row(
        "vary",
        "..FF",
        [ask("/plain/{}", f"Accept-Language: {tongue}") for tongue in ("de", "fr", "de", "fr")],
        (json_answer({}, Vary="Accept-Language"),),
    ),
    repeated("vary by all", "...", "/plain/{}", script=(json_answer({}, Vary="*"),)),
    repeated("vary by id", "...", "/plain/{}", script=(json_answer({}, Vary="X-Request-Id"),)),
    repeated("vary by whence", "...", "/plain/{}", script=(json_answer({}, Vary="X-Forwarded-For"),)),
    repeated("stripped", ".FF", "/strip/{}"),
    repeated("missing", "...", "/missing/{}", script=(json_answer({"no": 1}, 404),)),
    repeated("missing nowhere", "...", "/plain/{}", script=(json_answer({"no": 1}, 404),)),
    repeated("moved", ".FF", "/plain/{}", script=(answer("", 301, Location="/plain/else"),)),
    repeated("no content stored", "...", "/missing/{}", script=(head(204),)),
    repeated("failing", "...", "/plain/{}", script=(json_answer({}, 500),)),
    repeated("cookie set", "...", "/plain/{}", script=(json_answer({}, Set_Cookie="a=b"),)),
    repeated("not to be stored", "...", "/plain/{}", script=(json_answer({}, Cache_Control="no-store"),)),
    repeated("to be validated", "...", "/plain/{}", script=(json_answer({}, Cache_Control="no-cache", ETag='"a"'),)),
    repeated(
        "origin's lifetime", ".FF.F", "/plain/{}", script=(json_answer({}, Cache_Control="max-age=2"),), between=0.8
    ),
    repeated("origin's age", ".FFF", "/plain/{}", script=(json_answer({}, Age="7", Cache_Control="max-age=9"),)),
    repeated(
        "chunked", ".FF", "/plain/{}", script=(head(200, "Transfer-Encoding: chunked") + b"2\r\nhi\r\n0\r\n\r\n",)
    ),
    repeated("64 KiB", ".FF", "/plain/{}", script=(answer(b"a" * 65536),)),
    repeated("more than 64 KiB", "...", "/plain/{}", script=(answer(b"a" * 65537),)),
    repeated("seconds", ".FFF.F", "/plain/{}", between=15.0),
    repeated("stale meanwhile", ".F.F", "/swr/{}", between=6.0),
    repeated("ahead", ".FF.FF", "/ahead/{}", between=2.0),
    repeated("jitter", ".FFFFF", "/jitter/{}", between=9.7),
    repeated("public", "...", "/public/{}", key=None),
    repeated("public for a while", ".FF", "/public/{}", key=None, script=(json_answer({}, Cache_Control="max-age=9"),)),
    repeated("public with a key", "...", "/public/{}", script=(json_answer({}, Cache_Control="max-age=9"),)),
    repeated("nobody", "...", "/plain/{}", key=None),
    repeated("unknown", "...", "/plain/{}", key="rk_live_nobody"),
    repeated("nowhere", "...", "/nowhere/{}"),
    repeated("basic", ".FF", "/plain/{}", f"Authorization: Basic {b64encode(f'{KEY}:'.encode()).decode()}", key=None),
    repeated("key field", ".FF", "/plain/{}", f"X-Api-Key: {KEY}", key=None),
    repeated("throttled", ".FF..", "/plain/{}", key=secret("slow")),
    repeated("used up", ".FFF..", "/plain/{}", key=secret("prepaid")),
    repeated("used up for now", ".FFF..", "/v1/products/{}?include_offers=0", key=secret("monthly")),
    Row("one balance", ".FFF..", [ask("/plain/{}", key=secret(f"shared-{n % 2 + 1}")) for n in range(6)]),
    Row("test key", ".F..F", [ask("/plain/{}", key=key) for key in (KEY, KEY, TEST_KEY, TEST_KEY, KEY)]),
    repeated("looks only", ".FF", "/plain/{}", key=secret("looks")),
    repeated("looks not at all", "...", "/plain/{}", key=secret("refreshes")),
    Row(
        "organization's",
        "..FFF",
        [ask("/org/{}", key=key) for key in (KEY, OTHER_KEY, secret("charlie"), OTHER_KEY, KEY)],
    ),
    Row(
        "key's", "...FFF", [ask("/own/{}", key=key) for key in (KEY, OTHER_KEY, secret("charlie"), KEY, OTHER_KEY, KEY)]
    ),
    Row("honoured", ".F...", [*[ask("/honour/{}")] * 2, *[ask("/honour/{}", "Cache-Control: no-cache")] * 3]),
    Row("ignored", ".F.FF", [*[ask("/ignore/{}")] * 2, *[ask("/ignore/{}", "Cache-Control: no-cache")] * 3]),
    repeated("long target", "...", f"/plain/{{}}?{'a' * 4100}"),
    repeated("longer target", "...", f"/plain/{{}}?{'a' * 9000}"),
    *[
        Row(name, "...", [raw] * 3)
        for name, raw in {
            "old version": ask("/plain/{}").replace(b"HTTP/1.1", b"HTTP/1.0"),
            "new version": ask("/plain/{}").replace(b"HTTP/1.1", b"HTTP/2.0"),
            "absolute": ask("http://gateway/plain/{}"),
            "asterisk": ask("*", method="OPTIONS"),
            "small letters": ask("/plain/{}", method="get"),
            "no host": b"GET /plain/{} HTTP/1.1\r\nX-Api-Key: %b\r\n\r\n" % KEY.encode(),
            "double space": ask("/plain/{}").replace(b"GET ", b"GET  "),
            "space in the target": ask("/plain/{} b"),
            "fragment": ask("/plain/{}#part"),
            "control": ask("/plain/{}\x01"),
            "our own": ask("/-/livez"),
            "our own, nowhere": ask("/-/nothing"),
            "dots to our own": ask("/plain/../-/livez"),
            "balance": ask("/-/balance"),
        }.items()
    ],
    Row(
        "bare line ends",
        ".F.F",
        [ask("/plain/{}"), *[ask("/plain/{}").replace(b"\r\n", b"\n"), ask("/plain/{}")][::-1], ask("/plain/{}")],
    ),
    Row(
        "empty lines before", ".F.F", [ask("/plain/{}"), ask("/plain/{}"), b"\r\n" + ask("/plain/{}"), ask("/plain/{}")]
    ),
]


# What is believed, accepted and sent on differently: the same bytes mean another thing.
ODD: Config = {
    "trusted_proxies": ["127.0.0.0/8"],
    "hosts": ["gateway", "other.example"],
    "auth": {"accept": ["bearer", "query:api_key", "header:X-Api-Key"]},
    "limits": {"target": "200B", "fields": "2KiB"},
    "store": {"durability": "power"},
    "upstreams": {
        "origin": {"url": "http://origin.example", "headers": {"X-Own": "1"}},
        "open": {"url": "http://origin.example", "credentials": "client"},
    },
}
ODD_ROUTES = [
    route("/plain/{id}", "plain", upstream="origin", cache="60s"),
    route("/client/{id}", "client", upstream="open", cache="60s"),
    route("/free/{id}", "free", upstream="origin", access="public", cache="60s"),
    route("/traced/{id}", "traced", upstream="origin", cache="60s", forward=["Traceparent", "X-Version"]),
]
ODD_ROWS = [
    repeated("odd plain", ".FFF", "/plain/{}"),
    repeated("odd other host", "....", "/plain/{}", host="elsewhere.example"),
    Row("odd hosts", "..FF", [ask("/plain/{}", host=host) for host in ("gateway", "other.example") * 2]),
    Row("odd forwarded", "..F.", [ask("/plain/{}", f"X-Forwarded-For: 203.0.113.{n}") for n in (7, 8, 7, 9)]),
    repeated("odd forwarded host", ".FF", "/plain/{}", "X-Forwarded-Host: other.example", "X-Forwarded-Proto: https"),
    repeated("odd query key", "...", f"/plain/{{}}?api_key={KEY}", key=None),
    repeated("odd query key twice", "...", f"/plain/{{}}?api_key={KEY}"),
    repeated("odd query key of another", "...", f"/plain/{{}}?api_key={OTHER_KEY}"),
    Row(
        "odd query key of another by a known line",
        ".F.F",
        [ask("/plain/{}"), ask("/plain/{}"), ask(f"/plain/{{}}?api_key={OTHER_KEY}"), ask("/plain/{}")],
    ),
    repeated(
        "odd basic", "...", "/plain/{}", f"Authorization: Basic {b64encode(f'{KEY}:'.encode()).decode()}", key=None
    ),
    repeated("odd client", "...", "/client/{}"),
    repeated("odd free", ".FF", "/free/{}", key=None),
    repeated("odd free with a key", "...", "/free/{}"),
    repeated("odd traced", "...", "/traced/{}", "traceparent: 00-aa-bb-01"),
    repeated("odd version", "...", "/traced/{}", "X-Version: 1"),
    repeated("odd long", "...", f"/plain/{{}}?{'a' * 200}"),
    repeated("odd fields", "...", "/plain/{}", f"X-Else: {'a' * 2000}"),
]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def both(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    whole = config("http://origin.example", *ROUTES, **PEOPLE)
    with kept_open(runner, tmp_path_factory.mktemp("twins"), whole) as both:
        yield both


@pytest.fixture(scope="module")
def odd(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    whole = config("http://origin.example", *ODD_ROUTES, **(PEOPLE | ODD))
    with kept_open(runner, tmp_path_factory.mktemp("twins"), whole) as odd:
        yield odd


async def lanes(both: Twins, row: Row) -> str:
    """Which lane answered each; both gateways answered it alike."""
    found, name = "", re.sub(r"\W", "-", row.id).encode()
    # Field lines of its own, which no other row has taught the lane.
    end = b"\r\nUser-Agent: %b\r\n\r\n" % name
    if row.script:
        for target in {raw.split(b" ")[1].partition(b"?")[0] for raw in row.requests}:
            both.script(target.replace(b"{}", name).decode(), *row.script)
    for number, raw in enumerate(row.requests):
        both.clock.advance(row.between if number else 0.0)
        _, fast = await both.exchange(raw.replace(b"{}", name).removesuffix(END_OF_HEAD) + end)
        await both.settled()
        found += "F" if fast else "."
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_both_answer_alike(runner: asyncio.Runner, both: Twins, row: Row) -> None:
    async def compare() -> None:
        assert await lanes(both, row) == row.lanes
        assert both.fast.lines() or b"/-/" in row.requests[0]
        await both.assert_equal()

    runner.run(compare())


@pytest.mark.parametrize("row", ODD_ROWS, ids=lambda row: row.id)
def test_both_answer_alike_where_much_is_set_otherwise(runner: asyncio.Runner, odd: Twins, row: Row) -> None:
    async def compare() -> None:
        assert await lanes(odd, row) == row.lanes
        await odd.assert_equal()

    runner.run(compare())


@pytest.mark.parametrize("name", ["X-Request-Id", "traceparent"])
async def test_a_new_field_past_the_limit_is_refused(tmp_path: Path, name: str) -> None:
    limited = config("http://origin.example", *ROUTES, limits={"fields": "1KiB"})
    async with twins(tmp_path, limited) as both:
        for lane in (False, True):
            assert (await both.exchange(ask("/plain/1", f"{name}: a")))[1] is lane
        answer, fast = await both.exchange(ask("/plain/1", f"{name}: {'a' * 1024}"))
        assert (answer.split(b" ")[1], fast) == (b"431", False)
