"""What of an upstream's answer the client sees, and the form it is stored in."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from admission.snapshots import TTL, make_request, make_route, make_snapshot, public_route, seed_route
from multidict import CIMultiDict
from stores.fetches import StillClock
from stores.samples import sample

from gateway.admission.cors import UPSTREAMS, Cors
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import Route, UpstreamPolicy
from gateway.admission.tagging import Tag
from gateway.arrival import cut_open, for_client, in_freshened_form, in_stored_form
from gateway.cache import Cache
from gateway.messages import Response
from gateway.rfc9111.stored import Times
from gateway.stores.memory import MemoryTier

UPSTREAM = UpstreamPolicy("api", ("https://up.example/base", "http://spare.example:81"))
ITEM = "/v1/products/1"
SELECTING = CIMultiDict({"Accept-Language": "de"})


def prepared(route: Route) -> Prepared:
    return Preparer(make_snapshot(route)).prepare(make_request(ITEM))


def tagged(*tags: str, **changes: Any) -> Prepared:
    return prepared(seed_route(cache=replace(TTL, tags=tuple(map(Tag.parse, tags))), **changes))


def shown(route: Route, *fields: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(for_client(route, UPSTREAM, CIMultiDict(fields), 0.0))


@pytest.mark.parametrize(("cors", "left"), [(None, UPSTREAMS), (Cors(frozenset({"*"})), set())], ids=["theirs", "ours"])
def test_who_says_which_pages_may_call(cors: Cors | None, left: frozenset[str]) -> None:
    fields = shown(make_route(cors=cors), *[(name, "upstream") for name in sorted(UPSTREAMS)])
    assert {name.lower() for name in fields} - {"date"} == left


def test_what_ends_at_the_hop_or_is_said_anew_is_left_out() -> None:
    fields = shown(
        make_route(),
        ("Connection", "close, X-Nominated"),
        ("X-Nominated", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("X-Request-Id", "the upstream's"),
        ("X-Unknown", "1"),
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
    )
    assert fields.pop("Date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert list(fields.items()) == [("X-Unknown", "1"), ("Set-Cookie", "a"), ("Set-Cookie", "b")]


@pytest.mark.parametrize(("route", "kept"), [(make_route(), False), (public_route(), True)], ids=["metered", "public"])
def test_an_upstreams_own_tokens_are_not_shown_as_the_clients(route: Route, kept: bool) -> None:
    assert ("X-Tokens-Remaining" in shown(route, ("X-Tokens-Remaining", "7"))) is kept


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://up.example/base/a?b#c", "/a?b#c"),
        ("http://spare.example:81/base/a", "/a"),
        ("/base/a", "/a"),
        ("https://up.example/elsewhere", "https://up.example/elsewhere"),
        ("https://other.example/base/a", "https://other.example/base/a"),
    ],
)
def test_locations_that_name_the_upstream_become_the_gateways(location: str, told: str) -> None:
    assert shown(make_route(), ("Location", location))["Location"] == told


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("padding", [0, 100_000], ids=["on the loop", "in a thread"])
async def test_the_stored_form(keep: bool, padding: int) -> None:
    fields = CIMultiDict({"Vary": "Accept-Language", "ETag": '"1"', "Set-Cookie": "a=b", "Age": "5"})
    body = b'{"a":"%b"}' % (b"x" * padding)
    answer = await in_stored_form(
        prepared(seed_route(tokens_in_body=True)),
        UPSTREAM,
        SELECTING,
        Response(200, "OK", fields, body),
        Times(100.0, 101.0, 101.0),
        keep=keep,
    )
    assert (answer.body, answer.began, answer.received, answer.initial_age) == (body, 100.0, 101.0, 6.0)
    assert [name for name, _ in answer.selecting] == ["accept-language"]
    assert answer.splice is not None
    assert answer.splice.opened == body[:-1]
    assert (answer.splice.packed is not None) == (padding > 0)
    assert b'ETag: W/"1"\r\n' in answer.head
    assert b"Age:" not in answer.head
    assert (b"Set-Cookie" in answer.head) is not keep


async def test_nothing_is_cut_open_where_no_tokens_go_in() -> None:
    answer = await in_stored_form(
        prepared(seed_route()), UPSTREAM, SELECTING, Response(200, "OK", body=b"{}"), Times(1.0, 1.0, 1.0), keep=True
    )
    assert answer.splice is None


@pytest.mark.parametrize("body", [b'{"a":1}', b"[1]"], ids=["an object", "none"])
def test_what_is_made_ready_for_tokens_is_kept(body: bytes) -> None:
    tier = MemoryTier(1 << 20)
    cache, stored = Cache(tier, None, StillClock()), sample(body=body, head=b'ETag: "1"\r\n')
    tier.put(stored)
    versions = [(cache.peek(stored.key), tier.bytes)]
    for gzip in (False, False, True, True):
        splice = cut_open(cache, stored, gzip=gzip)
        assert (splice is None) == (body == b"[1]")
        assert splice == stored.splice
        assert splice is None or (splice.packed is not None) == gzip
        versions.append((cache.peek(stored.key), tier.bytes))
    opened = 0 if body == b"[1]" else 1
    assert [after[0] is not before[0] for before, after in pairwise(versions)] == [opened, False, opened, False]
    assert (versions[4][1] > versions[2][1]) == opened
    assert (b"W/" in stored.head) == opened


def test_a_freshened_form_carries_what_the_304_says() -> None:
    route = prepared(seed_route())
    stored = sample(head=b'ETag: "v1"\r\nX-Old: 1\r\n')
    response = Response(304, "", CIMultiDict({"ETag": '"v1"', "X-New": "2", "Location": "https://up.example/base/n"}))
    fresh = in_freshened_form(route, UPSTREAM, SELECTING, stored, response, Times(2000.0, 2001.0, 2001.0))
    assert (fresh.body, fresh.began, fresh.received) == (stored.body, 2000.0, 2001.0)
    for line in (b"X-Old: 1\r\n", b"X-New: 2\r\n", b"Location: /n\r\n"):
        assert line in fresh.head


@pytest.mark.parametrize("padding", [0, 100_000], ids=["on the loop", "in a thread"])
@pytest.mark.parametrize("tokens", [False, True], ids=["as it is", "cut open"])
async def test_content_tells_groups_beside_those_that_the_response_names(padding: int, tokens: bool) -> None:
    body = b'{"store":{"id":[1,2]},"a":"%b"}' % (b"x" * padding)
    response = Response(200, "OK", CIMultiDict({"Cache-Groups": '"named"'}), body)
    asked = tagged("product:{id}", "store:{body.store.id}", tokens_in_body=tokens)
    answer = await in_stored_form(asked, UPSTREAM, SELECTING, response, Times(1.0, 1.0, 1.0), keep=True)
    names = ("product:1", "store:1", "store:2")
    within, in_all = [f"api\n\n{name}" for name in names], [f"api\n*\n{name}" for name in (ITEM, *names, "named")]
    assert answer.groups == (*within, *in_all)
    assert (answer.splice is not None) is tokens


@pytest.mark.parametrize("body", [b"\x1f\x8b\x08\x00", b"", b"[]"], ids=["coded", "none", "another"])
async def test_content_that_tells_nothing_leaves_its_path(body: bytes) -> None:
    asked = tagged("store:{body.id}")
    times = Times(1.0, 1.0, 1.0)
    answer = await in_stored_form(asked, UPSTREAM, SELECTING, Response(200, "OK", body=body), times, keep=True)
    assert answer.groups == (f"api\n\n{ITEM}", f"api\n*\n{ITEM}")


@pytest.mark.parametrize(
    ("fields", "named"), [({"Cache-Groups": '"later"'}, "later"), ({}, "former")], ids=["named-anew", "not-named"]
)
async def test_what_is_freshened_stays_in_the_groups_of_its_content(fields: dict[str, str], named: str) -> None:
    asked, times = tagged("store:{body.id}", "product:{id}"), Times(1.0, 1.0, 1.0)
    response = Response(200, "OK", CIMultiDict({"Cache-Groups": '"former"'}), b'{"id":7}')
    stored = await in_stored_form(asked, UPSTREAM, SELECTING, response, times, keep=True)
    told = Response(304, "", CIMultiDict(fields))
    fresh = in_freshened_form(asked, UPSTREAM, SELECTING, stored, told, Times(2.0, 2.0, 2.0))
    assert set(fresh.groups) == {group.replace("former", named) for group in stored.groups}
    assert "api\n\nstore:7" in fresh.groups
