"""Caching by TTL from outside (RFC 9111 §3, §4; RFC 9211): what is stored, for whom, how long, and how it is said."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from support.answers import status_of
from support.config import KEY, config, key_field, route
from support.gateway import RunningGateway, StartGateway
from support.polling import eventually
from support.scripts import answer, head, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

LANGUAGE = "Accept-Language"


@pytest.fixture(scope="module")
def cached(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    minutes: dict[str, Any] = {"ttl": "15m"}
    routes = [
        route("/ttl/{id}", "ttl", cache=minutes | {"ttl_by_status": {404: "60s"}}),
        route("/short/{id}", "short", cache={"ttl": "250ms"}),
        route("/override/{id}", "override", cache=minutes | {"override_origin": True}),
        route("/logged/{id}", "logged", cache=minutes),
        route("/small/{id}", "small", cache=minutes | {"max_body": "1KiB"}),
        route("/tokens/{id}", "tokens", cache=minutes, tokens_in_body=True),
        route("/pure/{id}", "pure", cache={}, access="public"),
        route("/plain/{id}", "plain"),
    ]
    with RunningGateway(tmp_path_factory.mktemp("cached"), config(origin.url, *routes)) as running:
        yield running


@pytest.fixture
def client(cached: RunningGateway) -> httpx.Client:
    return cached.client(key_field())


def test_a_miss_is_fetched_and_stored(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    miss = client.get(f"/ttl/{item}")
    status = status_of(miss)
    assert (miss.status_code, miss.json()["call"]) == (200, 1)
    assert (status.hit, status.fwd, status.stored) == (False, "uri-miss", True)
    assert status.parameters["fwd-status"] == "200"
    assert "Age" not in miss.headers


def test_a_hit_is_the_stored_response(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    date = formatdate(time.time() - 100, usegmt=True)
    origin.script(f"/ttl/{item}", answer("body", ETag='"one"', X_Unknown="kept", Date=date))
    client.get(f"/ttl/{item}")
    hit = client.get(f"/ttl/{item}")
    assert (hit.status_code, hit.text, len(origin.calls(f"/ttl/{item}"))) == (200, "body", 1)
    assert status_of(hit).hit
    assert 790 <= status_of(hit).ttl <= 800
    assert 100 <= int(hit.headers["Age"]) <= 110
    assert (hit.headers["ETag"], hit.headers["X-Unknown"]) == ('"one"', "kept")
    assert hit.headers["Date"] == date
    assert "gateway" in hit.headers["Via"]


def test_the_upstreams_own_age_counts(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/ttl/{item}", answer("body", Age="100"))
    client.get(f"/ttl/{item}")
    hit = client.get(f"/ttl/{item}")
    assert 100 <= int(hit.headers["Age"]) <= 110
    assert 790 <= status_of(hit).ttl <= 800


@pytest.mark.parametrize(
    ("cache_control", "lifetime"),
    [("max-age=100", 100), ("max-age=100, s-maxage=2000", 2000), ("public", 900)],
    ids=["max-age", "s-maxage", "nothing said"],
)
def test_the_origins_lifetime_wins_over_ttl(
    client: httpx.Client, origin: ScriptedUpstream, item: str, cache_control: str, lifetime: int
) -> None:
    origin.script(f"/ttl/{item}", answer("body", Cache_Control=cache_control))
    client.get(f"/ttl/{item}")
    assert lifetime - 10 <= status_of(client.get(f"/ttl/{item}")).ttl <= lifetime


@pytest.mark.parametrize("cache_control", ["no-store", "private", "no-cache", "max-age=0"])
def test_override_origin_wins_over_the_origin(
    client: httpx.Client, origin: ScriptedUpstream, item: str, cache_control: str
) -> None:
    origin.script(f"/override/{item}", answer("body", Cache_Control=cache_control))
    assert status_of(client.get(f"/override/{item}")).stored
    assert status_of(client.get(f"/override/{item}")).hit


@pytest.mark.parametrize("status", [200, 203, 301, 308, 404])
def test_statuses_with_a_ttl_are_stored(client: httpx.Client, origin: ScriptedUpstream, item: str, status: int) -> None:
    origin.script(f"/ttl/{item}", answer("body", status))
    client.get(f"/ttl/{item}")
    hit = client.get(f"/ttl/{item}")
    limit = 60 if status == 404 else 900
    assert (hit.status_code, status_of(hit).hit) == (status, True)
    assert limit - 10 <= status_of(hit).ttl <= limit


@pytest.mark.parametrize("status", [201, 202, 302, 307, 400, 410])
def test_statuses_without_a_ttl_are_not_stored(
    client: httpx.Client, origin: ScriptedUpstream, item: str, status: int
) -> None:
    origin.script(f"/ttl/{item}", answer("body", status))
    first, second = client.get(f"/ttl/{item}"), client.get(f"/ttl/{item}")
    assert (first.status_code, second.status_code) == (status, status)
    assert not status_of(first).stored
    assert status_of(first).detail
    assert len(origin.calls(f"/ttl/{item}")) == 2


NOT_STORED = {
    "no-store": answer("body", Cache_Control="no-store"),
    "private": answer("body", Cache_Control="private"),
    "set-cookie": answer("body", Set_Cookie="a=b"),
    "vary-star": answer("body", Vary="*"),
}


@pytest.mark.parametrize("scripted", NOT_STORED.values(), ids=NOT_STORED.keys())
def test_what_is_not_stored_says_why(
    client: httpx.Client, origin: ScriptedUpstream, item: str, scripted: bytes
) -> None:
    origin.script(f"/ttl/{item}", scripted)
    answers = [client.get(f"/ttl/{item}") for _ in range(2)]
    assert [reply.text for reply in answers] == ["body", "body"]
    assert not any(status_of(reply).stored or status_of(reply).hit for reply in answers)
    assert all(status_of(reply).detail for reply in answers)
    assert len(origin.calls(f"/ttl/{item}")) == 2


def test_the_first_response_of_a_kind_that_is_not_stored_logs_the_setting(
    cached: RunningGateway, client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/logged/{item}", answer("body", Cache_Control="no-store"))
    for _ in range(3):
        client.get(f"/logged/{item}")
    # A thread writes the log.
    (line,) = eventually(lambda: [at for at in cached.log.splitlines() if "not stored" in at and '"logged"' in at])
    assert "no_store" in line
    assert "override_origin" in line


def test_each_reason_not_to_store_has_a_detail_of_its_own(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    details = set()
    for number, scripted in enumerate(NOT_STORED.values()):
        origin.script(f"/ttl/{item}-{number}", scripted)
        details.add(status_of(client.get(f"/ttl/{item}-{number}")).detail)
    assert len(details) == len(NOT_STORED)


def test_a_body_over_max_body_passes_whole_and_is_not_stored(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(f"/small/{item}", answer("x" * 1025))
    answers = [client.get(f"/small/{item}") for _ in range(2)]
    assert [len(reply.content) for reply in answers] == [1025, 1025]
    assert status_of(answers[0]).detail
    assert len(origin.calls(f"/small/{item}")) == 2
    origin.script(f"/small/{item}-fits", answer("x" * 1024))
    client.get(f"/small/{item}-fits")
    assert status_of(client.get(f"/small/{item}-fits")).hit


def test_a_chunked_body_over_max_body_passes_whole(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    chunks = (b"200\r\n" + b"y" * 512 + b"\r\n") * 5 + b"0\r\n\r\n"
    origin.script(f"/small/{item}", head(200, "Transfer-Encoding: chunked") + chunks)
    answers = [client.get(f"/small/{item}") for _ in range(2)]
    assert [reply.content for reply in answers] == [b"y" * 2560] * 2
    assert len(origin.calls(f"/small/{item}")) == 2


def test_head_is_answered_from_the_stored_get(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    whole = client.get(f"/ttl/{item}")
    reply = client.head(f"/ttl/{item}")
    assert status_of(reply).hit
    assert (reply.content, reply.headers["Content-Length"]) == (b"", whole.headers["Content-Length"])
    assert len(origin.calls(f"/ttl/{item}")) == 1


def test_a_head_miss_never_leaves_an_empty_get_behind(
    client: httpx.Client, origin: ScriptedUpstream, item: str
) -> None:
    origin.script(
        f"/ttl/{item}", lambda request: head(200, "Content-Length: 4") + (b"" if request.method == "HEAD" else b"body")
    )
    reply = client.head(f"/ttl/{item}")
    assert (reply.status_code, reply.content, reply.headers["Content-Length"]) == (200, b"", "4")
    assert client.get(f"/ttl/{item}").content == b"body"


def test_ranges_are_ignored_where_tokens_are_added(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/tokens/{item}", json_answer({"a": 1}, ETag='"one"', Accept_Ranges="bytes"))
    for _ in range(2):
        reply = client.get(f"/tokens/{item}", headers={"Range": "bytes=0-3"})
        assert (reply.status_code, reply.json()["a"]) == (200, 1)
        assert reply.headers["ETag"] == 'W/"one"'
        assert "Accept-Ranges" not in reply.headers
    (call,) = origin.calls(f"/tokens/{item}")
    assert call.field("Range") is None


@pytest.mark.parametrize("etag", ['"one"', 'W/"one"'])
def test_what_tokens_were_added_to_is_confirmed_by_its_weak_tag(
    client: httpx.Client, origin: ScriptedUpstream, item: str, etag: str
) -> None:
    origin.script(f"/tokens/{item}", json_answer({"a": 1}, ETag='"one"'))
    for _ in range(2):
        reply = client.get(f"/tokens/{item}", headers={"If-None-Match": etag})
        assert (reply.status_code, reply.content, reply.headers["ETag"]) == (304, b"", 'W/"one"')
        assert reply.headers["X-Tokens-Consumed"] == "1"
    (call,) = origin.calls(f"/tokens/{item}")
    assert call.field("If-None-Match") is None


def test_without_ttl_the_origins_fields_alone_decide(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/pure/{item}-a", answer("body", Cache_Control="public, max-age=60"))
    origin.script(f"/pure/{item}-b", answer("body"))
    for suffix, hit in (("a", True), ("b", False)):
        replies = [client.get(f"/pure/{item}-{suffix}") for _ in range(2)]
        assert status_of(replies[1]).hit is hit


def test_public_routes_keep_authorized_answers_apart(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    """RFC 9111 §3.5: only an answer that says so may be reused for a request with Authorization."""
    origin.script(f"/pure/{item}", answer("body", Cache_Control="max-age=60"))
    for _ in range(2):
        assert not status_of(client.get(f"/pure/{item}")).hit
    assert [request.field("Authorization") for request in origin.calls(f"/pure/{item}")] == [f"Bearer {KEY}"] * 2


def test_a_route_without_cache_stores_nothing(client: httpx.Client, origin: ScriptedUpstream, item: str) -> None:
    origin.script(f"/plain/{item}", answer("body", Cache_Control="public, max-age=60"))
    answers = [client.get(f"/plain/{item}") for _ in range(2)]
    assert not any(status_of(reply).hit for reply in answers)
    assert len(origin.calls(f"/plain/{item}")) == 2


def test_memory_is_bounded_and_the_least_recently_used_go_first(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    limit = 1 << 20
    upstream.script("/ttl/kept", answer("k" * 100_000))
    store = {"path": "var", "memory": "1MiB"}
    running = gateway(config(upstream.url, route("/ttl/{id}", "ttl", cache={"ttl": "1h"}), store=store))
    client = running.client(key_field())
    for number in range(30):
        upstream.script(f"/ttl/{number}", answer("b" * 100_000))
        client.get(f"/ttl/{number}")
        client.get("/ttl/kept")
    samples = running.metrics()
    assert 0 < samples.value("gateway_stored_bytes") <= limit
    assert samples.value("gateway_stored_responses") + samples.value("gateway_evictions_total") == 31
    assert status_of(client.get("/ttl/29")).hit
    assert status_of(client.get("/ttl/kept")).hit
    assert len(upstream.calls("/ttl/kept")) == 1
    assert not status_of(client.get("/ttl/0")).hit
