"""RFC 9111 §3, RFC 9110 §6.6.1 and §7.6.1."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.dates import format_date
from gateway.rfc9111.stored import Policy, Terms, Times
from gateway.rfc9111.storing import (
    NotStored,
    Storable,
    Unstorable,
    head_fields,
    kept,
    new_stored,
    storability,
    stored_head,
)

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
PAST, FUTURE = format_date(NOW - 60), format_date(NOW + 60)
PURE = Policy()
TTL = Policy(ttl=900.0, ttl_by_status={410: 60.0})
OVERRIDE = Policy(ttl=900.0, override_origin=True)

Lines = list[tuple[str, str]]


def cc(value: str, *more: tuple[str, str]) -> Lines:
    return [("Cache-Control", value), *more]


ETAG = ("ETag", '"a"')
COOKIE = ("Set-Cookie", "a=b")


@pytest.mark.parametrize(
    ("status", "fields", "policy"),
    [
        pytest.param(200, cc("max-age=60"), PURE, id="3-max-age"),
        pytest.param(200, cc("s-maxage=60"), PURE, id="3-s-maxage"),
        pytest.param(200, [("Expires", FUTURE)], PURE, id="3-expires"),
        pytest.param(599, cc("max-age=60"), PURE, id="3-unknown-status-explicit"),
        pytest.param(302, cc("max-age=60"), TTL, id="3-redirect-explicit"),
        pytest.param(200, [], TTL, id="3-ttl"),
        pytest.param(410, [], TTL, id="3-ttl-by-status"),
        pytest.param(200, cc('private="a", max-age=60'), PURE, id="5.2.2.7-qualified-private"),
        pytest.param(200, cc('no-cache="a", max-age=60'), PURE, id="5.2.2.4-qualified-no-cache"),
        pytest.param(200, cc("no-store, must-understand, max-age=60"), PURE, id="5.2.2.3-understood"),
        pytest.param(200, cc('max-age=60, no-cache="Set-Cookie"', COOKIE), PURE, id="7.3-cookie-withheld"),
        pytest.param(200, cc("max-age=0", ETAG), PURE, id="4.3-zero-with-validator"),
        pytest.param(200, cc("no-cache", ETAG), PURE, id="4.3-no-cache-with-validator-pure"),
        pytest.param(200, cc("no-cache", ETAG), TTL, id="4.3-no-cache-with-validator-ttl"),
        pytest.param(200, [("Last-Modified", PAST)], PURE, id="4.3-validator-alone"),
        pytest.param(404, [ETAG], PURE, id="4.3-validator-heuristically-cacheable"),
        pytest.param(302, cc("public", ETAG), PURE, id="4.3-validator-public"),
        pytest.param(200, cc("max-age=0, stale-while-revalidate=5"), PURE, id="RFC5861-3-stale-by-origin"),
        pytest.param(200, cc("max-age=0, stale-if-error=5"), PURE, id="RFC5861-4-stale-by-origin"),
        pytest.param(200, cc("max-age=0"), Policy(stale_if_error=5.0), id="RFC5861-4-stale-by-route"),
        pytest.param(200, cc("no-store"), OVERRIDE, id="override-no-store"),
        pytest.param(200, cc("private, max-age=0"), OVERRIDE, id="override-private"),
        pytest.param(200, cc("no-cache"), OVERRIDE, id="override-no-cache"),
    ],
)
def test_storable(status: int, fields: Lines, policy: Policy) -> None:
    outcome = storability("GET", status, CIMultiDict(fields), policy, authorized=False, public=True, now=NOW)
    assert outcome == Storable()


@pytest.mark.parametrize(
    ("status", "fields", "policy", "reason"),
    [
        pytest.param(200, cc("no-store, max-age=60"), TTL, Unstorable.no_store, id="3-no-store"),
        pytest.param(200, cc('x="a, No-Store'), TTL, Unstorable.no_store, id="3-no-store-behind-unclosed-quote"),
        pytest.param(599, cc("no-store, must-understand"), TTL, Unstorable.no_store, id="5.2.2.3-no-store"),
        pytest.param(599, cc("must-understand, max-age=60"), TTL, Unstorable.status, id="5.2.2.3-not-understood"),
        pytest.param(200, cc("private, max-age=60"), TTL, Unstorable.private, id="5.2.2.7-private"),
        pytest.param(200, cc('private="", max-age=60'), TTL, Unstorable.private, id="5.2.2.7-private-empty"),
        pytest.param(200, cc("public, max-age=60", COOKIE), TTL, Unstorable.set_cookie, id="7.3-cookie"),
        pytest.param(200, [COOKIE], OVERRIDE, Unstorable.set_cookie, id="7.3-cookie-override"),
        pytest.param(200, cc("max-age=60", ("Vary", "a, *")), TTL, Unstorable.vary_star, id="4.1-vary-star"),
        pytest.param(200, [("Vary", "*")], OVERRIDE, Unstorable.vary_star, id="4.1-vary-star-override"),
        pytest.param(206, cc("max-age=60"), TTL, Unstorable.partial, id="3.3-partial"),
        pytest.param(304, cc("max-age=60"), TTL, Unstorable.not_modified, id="3-not-modified"),
        pytest.param(412, cc("max-age=60"), TTL, Unstorable.not_modified, id="RFC 9110-13.1-precondition"),
        pytest.param(416, cc("max-age=60"), TTL, Unstorable.partial, id="RFC 9110-14.2-range"),
        pytest.param(103, cc("max-age=60"), TTL, Unstorable.status, id="3-interim"),
        pytest.param(200, [], PURE, Unstorable.no_lifetime, id="3-nothing"),
        pytest.param(404, [], TTL, Unstorable.no_lifetime, id="3-no-ttl-for-status"),
        pytest.param(404, [ETAG], TTL, Unstorable.no_lifetime, id="3-no-ttl-for-status-with-validator"),
        pytest.param(302, [ETAG], PURE, Unstorable.no_lifetime, id="3-not-heuristically-cacheable"),
        pytest.param(200, cc("public"), PURE, Unstorable.no_lifetime, id="3-public-alone"),
        pytest.param(200, cc("max-age=0"), TTL, Unstorable.no_lifetime, id="3-zero"),
        pytest.param(200, [("Expires", PAST)], TTL, Unstorable.no_lifetime, id="3-expired"),
        pytest.param(200, cc("no-cache, max-age=60"), TTL, Unstorable.no_lifetime, id="3-no-cache-without-validator"),
        pytest.param(404, cc("no-store"), OVERRIDE, Unstorable.no_store, id="override-without-ttl"),
        pytest.param(
            200,
            cc("max-age=0, must-revalidate"),
            Policy(stale_while_revalidate=9.0, stale_if_error=9.0),
            Unstorable.no_lifetime,
            id="5.2.2.2-no-stale-use",
        ),
    ],
)
def test_not_stored(status: int, fields: Lines, policy: Policy, reason: Unstorable) -> None:
    outcome = storability("GET", status, CIMultiDict(fields), policy, authorized=False, public=True, now=NOW)
    assert outcome == NotStored(reason)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "get"])
def test_only_get_is_stored(method: str) -> None:
    fields = CIMultiDict(cc("max-age=60"))
    outcome = storability(method, 200, fields, PURE, authorized=False, public=True, now=NOW)
    assert outcome == NotStored(Unstorable.method)


@pytest.mark.parametrize(
    ("value", "public", "expected"),
    [
        pytest.param("max-age=60", True, NotStored(Unstorable.authorization), id="3.5-max-age"),
        pytest.param("max-age=60, proxy-revalidate", True, NotStored(Unstorable.authorization), id="3.5-proxy"),
        pytest.param("max-age=60, public", True, Storable(), id="3.5-public"),
        pytest.param("max-age=60, must-revalidate", True, Storable(), id="3.5-must-revalidate"),
        pytest.param("s-maxage=60", True, Storable(), id="3.5-s-maxage"),
        pytest.param("max-age=60", False, Storable(), id="3.5-metered"),
    ],
)
def test_authorized(value: str, public: bool, expected: Storable | NotStored) -> None:
    outcome = storability("GET", 200, CIMultiDict(cc(value)), PURE, authorized=True, public=public, now=NOW)
    assert outcome == expected


def test_personal_reasons_are_those_that_no_follower_may_share() -> None:
    shared = {reason for reason in Unstorable if not NotStored(reason).personal}
    assert shared == {Unstorable.method, Unstorable.status, Unstorable.no_lifetime, Unstorable.too_large}
    assert all(reason.detail for reason in Unstorable)


def test_a_personal_reason_wins_over_a_shared_one() -> None:
    fields = CIMultiDict(cc("private"))
    outcome = storability("POST", 404, fields, PURE, authorized=True, public=True, now=NOW)
    assert outcome == NotStored(Unstorable.private)


def test_stored_head_keeps_end_to_end_fields() -> None:
    fields = CIMultiDict(
        [
            ("Content-Type", "text/plain"),
            ("X-Unknown", "1"),
            ("X-Unknown", "2"),
            ("Connection", "close, X-Hop"),
            ("X-hop", "gone"),
            ("Keep-Alive", "timeout=5"),
            ("Transfer-Encoding", "chunked"),
            ("TE", "trailers"),
            ("Trailer", "x"),
            ("Upgrade", "h2c"),
            ("Proxy-Connection", "close"),
            ("Proxy-Authenticate", "Basic"),
            ("Proxy-Authentication-Info", "x"),
            ("Proxy-Authorization", "x"),
            ("Content-Length", "5"),
            ("Age", "9"),
            ("Via", "1.1 x"),
            ("Cache-Status", "x; hit"),
            ("Set-Cookie", "a=b"),
            ("Cache-Control", 'private="X-Mine", max-age=9, no-cache="ETag"'),
            ("x-mine", "gone"),
            ("etag", '"gone"'),
        ]
    )
    assert stored_head(fields) == (
        b"Content-Type: text/plain\r\nX-Unknown: 1\r\nX-Unknown: 2\r\nVia: 1.1 x\r\nCache-Status: x; hit\r\n"
        b'Cache-Control: private="X-Mine", max-age=9, no-cache="ETag"\r\n'
    )


def test_stored_head_keeps_the_bytes_that_were_received() -> None:
    received = b"na\xefve \xc3\xa9"
    fields = CIMultiDict({"X-Name": received.decode("utf-8", "surrogateescape")})
    assert stored_head(fields) == b"X-Name: " + received + b"\r\n"
    assert head_fields(stored_head(fields)) == fields


# Any bytes that a parser lets through, decoded as it decodes them.
VALUES = st.binary(max_size=20).map(
    lambda raw: raw.translate(None, b"\r\n\0").decode("utf-8", "surrogateescape").strip(" \t")
)
FIELDS = st.lists(st.tuples(st.text(string.ascii_letters + "-", min_size=1), VALUES), max_size=8).map(CIMultiDict)


@given(FIELDS)
def test_head_fields_read_back_what_was_kept(fields: CIMultiDict[str]) -> None:
    head = stored_head(fields)
    assert list(head_fields(head).items()) == list(kept(fields).items())
    assert stored_head(head_fields(head)) == head


def test_new_stored() -> None:
    date = format_date(NOW - 10)
    fields = CIMultiDict(
        cc(
            "s-maxage=60, stale-if-error=5",
            ETAG,
            ("Last-Modified", PAST),
            ("Vary", "Foo"),
            ("Date", date),
            ("Age", "20"),
        )
    )
    stored = new_stored(
        "key",
        CIMultiDict({"foo": "1", "Bar": "2"}),
        200,
        "OK",
        fields,
        b"body",
        Times(NOW - 1, NOW, NOW),
        groups=("g",),
        forced=True,
    )
    assert (stored.key, stored.status, stored.reason, stored.body) == ("key", 200, "OK", b"body")
    assert stored.terms == Terms(lifetime=60.0, must_revalidate=True, stale_if_error=5.0)
    assert stored.selecting == (("foo", "1"),)
    assert (stored.etag, stored.last_modified) == ('"a"', PAST)
    assert (stored.began, stored.received, stored.initial_age) == (NOW - 1, NOW, 21.0)
    assert (stored.groups, stored.forced, stored.outdated, stored.splice) == (("g",), True, False, None)
    assert head_fields(stored.head)["Date"] == date
    assert "Age" not in head_fields(stored.head)


def test_new_stored_adds_a_date_where_there_is_none() -> None:
    fields = CIMultiDict({"Expires": FUTURE})
    stored = new_stored("key", CIMultiDict(), 200, "OK", fields, b"", Times(NOW, NOW, NOW))
    assert head_fields(stored.head)["Date"] == format_date(NOW)
    assert stored.terms.lifetime == 60.0
    assert "Date" not in fields


def test_new_stored_does_not_use_a_withheld_validator() -> None:
    fields = CIMultiDict(cc('no-cache="ETag", private="Last-Modified"', ETAG, ("Last-Modified", PAST)))
    stored = new_stored("key", CIMultiDict(), 200, "OK", fields, b"", Times(NOW, NOW, NOW))
    assert (stored.etag, stored.last_modified) == (None, None)
