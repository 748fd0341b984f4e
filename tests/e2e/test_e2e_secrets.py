"""Whatever is refused and whatever fails: no key and no upstream credential in an answer, a log, a metric or a file."""

import asyncio
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from support.addresses import HOST, free_port
from support.config import KEY, OTHER_KEY, UPSTREAM_SECRET, config, plan, product_route, route
from support.config import origin as own
from support.gateway import RunningGateway
from support.hostile import CHUNKED, LAST, posted, sent
from support.odd import KEPT
from support.scripts import End, Pause, Received, Script, answer, head
from support.upstream import ScriptedUpstream
from support.wire import Answer, exchange

pytestmark = pytest.mark.slow

QUERY_KEY = "rk_live_charlie/0123456789+abcdefghijkl="
POOR_KEY = "rk_live_delta_0123456789abcdefghijklmn"
SLOW_KEY = "rk_live_echo_0123456789abcdefghijklmno"
PAIR = "rk_user_foxtrot:rk_password_foxtrot_0123456789"
WRONG = "rk_wrong_golf_0123456789abcdefghijklmno"
IN_QUERY = f"api_key={quote(QUERY_KEY, safe='')}"
BASIC = b64encode(PAIR.encode()).decode()
SECRETS = [
    KEY,
    OTHER_KEY,
    QUERY_KEY,
    quote(QUERY_KEY, safe=""),
    quote(QUERY_KEY),
    POOR_KEY,
    SLOW_KEY,
    PAIR,
    BASIC,
    WRONG,
]
SECRETS += [UPSTREAM_SECRET, b64encode(f"{WRONG}:".encode()).decode(), "rk_password_foxtrot"]


def telling(status: int) -> bytes:
    """An upstream's failure that shows the credentials it was sent."""
    shown = f"Bearer {UPSTREAM_SECRET}"
    return answer(f'{{"you_sent": "{shown}"}}', status, WWW_Authenticate=f'Bearer realm="{shown}"')


def echoing(request: Received) -> bytes:
    """A head that is no HTTP, with what was sent in it."""
    return f"{request.field('Authorization')} is not allowed\r\n\r\n".encode()


FAILURES: dict[str, tuple[Script, int]] = {
    "rejected": ((telling(401),), 502),
    "forbidden": ((telling(403),), 502),
    "limited": ((telling(429),), 503),
    "failed": ((telling(500),), 502),
    "unavailable": ((telling(503),), 503),
    "invalid": ((echoing, End.close), 502),
    "bad-field": ((b"HTTP/1.1 200 OK\r\nX Y: " + UPSTREAM_SECRET.encode() + b"\r\n\r\n", End.close), 502),
    "truncated": ((head(200, "Content-Length: 99") + b"half", End.close), 502),
    "reset": ((End.reset,), 502),
    "late": ((Pause(5.0),), 504),
}


@pytest.fixture
def secretive(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[RunningGateway]:
    routes = [
        {"upstream": "origin", **entry}
        for entry in (
            route("/cached/{id}", "cached", cache={"ttl": "1h"}, forward=["X-Api-Version"]),
            route("/pass/{rest:.*}", "pass"),
            {"name": "read", "match": {"path": "/read/{id}", "methods": ["GET"]}},
            {"name": "hosted", "match": {"path": "/hosted/{id}", "host": "elsewhere"}},
            product_route(),
            route("/nowhere/{id}", "nowhere", upstream="nowhere"),
            route("/nameless/{id}", "nameless", upstream="nameless"),
        )
    ]
    upstreams = {
        "origin": own(upstream.url, timeout={"first_byte": "300ms"}),
        "nowhere": own(f"http://{HOST}:{free_port()}"),
        "nameless": own("http://no-such-name.invalid"),
    }
    keys = [
        {"id": "alpha", "key": KEY},
        {"id": "bravo", "key": OTHER_KEY},
        {"id": "charlie", "key": QUERY_KEY},
        {"id": "delta", "key": POOR_KEY, "plan": "poor"},
        {"id": "echo", "key": SLOW_KEY, "plan": "slow"},
        {"id": "foxtrot", "key": PAIR},
    ]
    whole = config(
        upstream.url,
        *routes,
        upstreams=upstreams,
        keys=keys,
        plans={"poor": plan(1), "slow": plan(100, throttle={"rate": "1/h", "burst": 1})},
        auth={"accept": ["bearer", "basic", "header:X-Api-Key", "header:Authorization", "query:api_key"]},
        limits={"target": "2KiB", "fields": "8KiB", "body": "64KiB", "head_timeout": "1s", "body_timeout": "500ms"},
        log={"level": "debug", "format": "json"},
    )
    with RunningGateway(tmp_path, whole) as running:
        yield running


def with_key(key: str, target: str) -> bytes:
    return sent(target, key=f"X-Api-Key: {key}")


REFUSALS = {
    "unknown key": (sent("/pass/1", key=f"Authorization: Bearer {WRONG}"), 401),
    "unknown key in Basic": (
        sent("/pass/1", key=f"Authorization: Basic {b64encode(f'{WRONG}:'.encode()).decode()}"),
        401,
    ),
    "unknown key in a field": (with_key(WRONG, "/pass/1"), 401),
    "unknown key in the query": (sent(f"/pass/1?api_key={WRONG}", key=""), 401),
    "unknown scheme": (sent("/pass/1", key=f"Authorization: Digest {KEY}"), 401),
    "keys of two accounts": (sent(f"/pass/1?{IN_QUERY}"), 400),
    "ambiguous target": (sent(f"/pass/../1?{IN_QUERY}", key=""), 400),
    "bad query": (sent(f"/pass/1?{IN_QUERY}&x=%zz", key=""), 400),
    "no route": (sent(f"/none/{KEY}?{IN_QUERY}"), 404),
    "another host's route": (sent(f"/hosted/1?{IN_QUERY}"), 404),
    "another method": (sent(f"/read/1?{IN_QUERY}", method="DELETE"), 405),
    "long target": (sent(f"/pass/{KEY * 100}?{IN_QUERY}"), 414),
    "long field": (sent("/pass/1", f"X-Api-Key: {KEY * 500}"), 431),
    "long content": (posted("Content-Length: 99999999"), 413),
    "expectation": (sent(f"/pass/1?{IN_QUERY}", f"Expect: {KEY}", key=""), 417),
    "tunnel": (sent(f"{KEY}:80", method="CONNECT"), 501),
    "bad flag": (sent(f"/v1/products/1?force_refresh={KEY}&{IN_QUERY}", key=""), 400),
    "key in no field": (sent("/pass/1", f"{KEY} {OTHER_KEY}"), 400),
    "key as method": (sent("/pass/1", method=KEY), 400),
    "key as version": (sent("/pass/1", version=KEY), 400),
    "key as Host": (sent("/pass/1", host=f"{KEY}@x"), 400),
    "key in bad chunks": (posted(CHUNKED, body=f"{KEY}\r\n".encode()), 400),
    "key in a keyed field": (sent("/cached/1", f"X-Api-Version: {KEY}\xff"), 400),
    "content on a lookup": (sent(f"/cached/1?{IN_QUERY}", "Content-Length: 2", key="", body=b"ab"), 400),
    "nothing listens": (sent(f"/nowhere/1?{IN_QUERY}", key=""), 502),
    "nobody is called so": (sent(f"/nameless/1?{IN_QUERY}", key=""), 502),
    "no tokens left": (with_key(POOR_KEY, "/cached/1"), 429),
    "too fast": (with_key(SLOW_KEY, "/cached/1"), 429),
}

GRANTED = {
    "query": sent(f"/cached/1?{IN_QUERY}&a=b", key=""),
    "bearer": sent("/cached/2"),
    "basic": sent("/pass/1", key=f"Authorization: Basic {BASIC}"),
    "whole": sent("/pass/2", key=f"Authorization: {OTHER_KEY}"),
    "refresh": sent(f"/v1/products/1/refresh?{IN_QUERY}", method="POST", key=""),
    "forced": sent(f"/v1/products/1?force_refresh=1&{IN_QUERY}", key=""),
    "poor": with_key(POOR_KEY, "/cached/2"),
    "slow": with_key(SLOW_KEY, "/cached/2"),
}


def scraped(running: RunningGateway) -> bytes:
    return httpx.get(f"{running.admin_url}/metrics", trust_env=False).content


def shown(answers: Iterable[Answer]) -> bytes:
    return b"\n".join(repr(reply.fields).encode() + reply.body for reply in answers)


async def test_no_secret_is_ever_shown(secretive: RunningGateway, upstream: ScriptedUpstream) -> None:
    granted = [await exchange(secretive.address, raw) for raw in GRANTED.values()]
    assert {reply.status for reply in granted} == {200}
    refused = {name: await exchange(secretive.address, raw) for name, (raw, _) in REFUSALS.items()}
    assert {name: reply.status for name, reply in refused.items()} == {name: row[1] for name, row in REFUSALS.items()}
    failed = []
    for name, (script, status) in FAILURES.items():
        for target in (f"/cached/{name}", f"/pass/{name}", f"/v1/products/{name}"):
            upstream.script(target, *script)
            failed.append(await exchange(secretive.address, sent(f"{target}?{IN_QUERY}", key="")))
            # What streams has begun before it breaks.
            assert failed[-1].status == status or not failed[-1].complete, target
    odd = await asyncio.gather(*[exchange(secretive.address, raw) for raw, _ in [*LAST.values(), *KEPT.values()]])
    metrics = scraped(secretive)
    secretive.stop()
    files = b"\n".join(path.read_bytes() for path in (secretive.folder / "var").rglob("*") if path.is_file())
    assert b"charlie" in files
    assert "charlie" in secretive.log
    places = {
        "an answer": shown([*granted, *refused.values(), *failed, *odd]),
        "the log": secretive.log.encode(),
        "a metric": metrics,
        "a file": files,
    }
    found = [(secret, place) for secret in SECRETS for place, text in places.items() if secret.encode() in text]
    assert not found
    secretive.start()
