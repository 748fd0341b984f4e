"""RFC 9111 §3.1, RFC 9110 §6.6.1 and §7.6.1, RFC 9213: what is stored of a response."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.rfc9111.dates import format_date
from gateway.rfc9111.stored import Terms, Times
from gateway.rfc9111.storing import head_fields, kept, new_stored, stored_head

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
PAST, FUTURE = format_date(NOW - 60), format_date(NOW + 60)

Lines = list[tuple[str, str]]


def cc(value: str, *more: tuple[str, str]) -> Lines:
    return [("Cache-Control", value), *more]


ETAG = ("ETag", '"a"')


def test_3_1_stored_head_keeps_end_to_end_fields() -> None:
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


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([("CDN-Cache-Control", 'private="X-Mine"')], set(), id="RFC9213-2.1-withheld"),
        pytest.param(cc('private="X-Mine"', ("CDN-Cache-Control", "none")), {"X-Mine"}, id="RFC9213-2.2-not-withheld"),
    ],
)
def test_a_targeted_field_withholds_fields(fields: Lines, expected: set[str]) -> None:
    remaining = kept(CIMultiDict([*fields, ("X-Mine", "1")]))
    assert set(remaining) - {"Cache-Control", "CDN-Cache-Control"} == expected
    assert "CDN-Cache-Control" in remaining


def test_3_1_stored_head_keeps_the_bytes_that_were_received() -> None:
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
def test_3_1_head_fields_read_back_what_was_kept(fields: CIMultiDict[str]) -> None:
    head = stored_head(fields)
    assert list(head_fields(head).items()) == list(kept(fields).items())
    assert stored_head(head_fields(head)) == head


def test_3_1_new_stored() -> None:
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
    assert stored.terms == Terms(lifetime=60.0, must_revalidate=True, stale_if_error=5.0, date=NOW - 10)
    assert stored.selecting == (("foo", "1"),)
    assert (stored.etag, stored.last_modified) == ('"a"', PAST)
    assert (stored.began, stored.received, stored.initial_age) == (NOW - 1, NOW, 21.0)
    assert (stored.groups, stored.forced, stored.outdated, stored.splice) == (("g",), True, False, None)
    assert head_fields(stored.head)["Date"] == date
    assert "Age" not in head_fields(stored.head)


def test_rfc9110_6_6_1_new_stored_adds_a_date_where_there_is_none() -> None:
    fields = CIMultiDict({"Expires": FUTURE})
    stored = new_stored("key", CIMultiDict(), 200, "OK", fields, b"", Times(NOW, NOW, NOW))
    assert head_fields(stored.head)["Date"] == format_date(NOW)
    assert stored.terms.lifetime == 60.0
    assert "Date" not in fields


def test_3_1_new_stored_does_not_use_a_withheld_validator() -> None:
    fields = CIMultiDict(cc('no-cache="ETag", private="Last-Modified"', ETAG, ("Last-Modified", PAST)))
    stored = new_stored("key", CIMultiDict(), 200, "OK", fields, b"", Times(NOW, NOW, NOW))
    assert (stored.etag, stored.last_modified) == (None, None)
