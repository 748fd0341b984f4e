"""RFC 9111 §4.3 and §3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.messages import Splice
from gateway.rfc9111.dates import format_date
from gateway.rfc9111.stored import StoredResponse, Terms, Times
from gateway.rfc9111.storing import head_fields, new_stored
from gateway.rfc9111.validation import conditional_fields, freshened, freshens, head_freshens

NOW = 784111777.0
LATER = NOW + 100
MODIFIED = format_date(NOW - 1000)
REQUEST = CIMultiDict({"Foo": "1", "Bar": "2"})
SPLICE = Splice(b'{"a":1', True, b"", 0)


def stored_with(*fields: tuple[str, str]) -> StoredResponse:
    stored = new_stored(
        "key",
        REQUEST,
        200,
        "OK",
        CIMultiDict(fields),
        b'{"a":1}',
        Times(NOW - 1, NOW, NOW),
        groups=("g",),
        forced=True,
    )
    return stored.replaced(outdated=True, splice=SPLICE)


def after(stored: StoredResponse, *fields: tuple[str, str]) -> StoredResponse:
    return freshened(stored, REQUEST, CIMultiDict(fields), Times(LATER - 2, LATER, LATER))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([("ETag", 'W/"a"')], [("If-None-Match", 'W/"a"')], id="4.3.1-etag"),
        pytest.param([("Last-Modified", MODIFIED)], [("If-Modified-Since", MODIFIED)], id="4.3.1-last-modified"),
        pytest.param(
            [("ETag", '"a"'), ("Last-Modified", MODIFIED)],
            [("If-None-Match", '"a"'), ("If-Modified-Since", MODIFIED)],
            id="4.3.1-both",
        ),
        pytest.param([("ETag", "")], [], id="4.3.1-empty"),
        pytest.param([], [], id="4.3.1-none"),
    ],
)
def test_conditional_fields(fields: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
    assert conditional_fields(stored_with(*fields)) == expected


@pytest.mark.parametrize(
    ("stored", "fields", "expected"),
    [
        pytest.param([("ETag", '"a"')], [("ETag", '"a"')], True, id="4.3.4-same-strong"),
        pytest.param([("ETag", '"a"')], [("ETag", '"b"')], False, id="4.3.4-other-strong"),
        pytest.param([("ETag", 'W/"a"')], [("ETag", '"a"')], False, id="4.3.4-strong-for-weak"),
        pytest.param([("ETag", 'W/"a"')], [("ETag", 'W/"a"')], True, id="4.3.4-same-weak"),
        pytest.param([("ETag", '"a"')], [("ETag", 'W/"a"')], True, id="4.3.4-weak-for-strong"),
        pytest.param([("ETag", '"a"')], [("ETag", 'W/"b"')], False, id="4.3.4-other-weak"),
        pytest.param([("Last-Modified", MODIFIED)], [("ETag", '"a"')], False, id="4.3.4-strong-for-none"),
        pytest.param([("Last-Modified", MODIFIED)], [("ETag", 'W/"a"')], False, id="4.3.4-weak-for-none"),
        pytest.param([("Last-Modified", MODIFIED)], [("Last-Modified", MODIFIED)], True, id="4.3.4-same-last-modified"),
        pytest.param(
            [("Last-Modified", MODIFIED)],
            [("Last-Modified", format_date(NOW))],
            False,
            id="4.3.4-other-last-modified",
        ),
        pytest.param(
            [("ETag", '"a"'), ("Last-Modified", MODIFIED)],
            [("ETag", '"a"'), ("Last-Modified", format_date(NOW))],
            True,
            id="4.3.4-etag-decides",
        ),
        pytest.param([("ETag", '"a"')], [], True, id="4.3.4-no-validator"),
    ],
)
def test_freshens(stored: list[tuple[str, str]], fields: list[tuple[str, str]], expected: bool) -> None:
    assert freshens(stored_with(*stored), CIMultiDict(fields)) is expected


@pytest.mark.parametrize(
    ("stored", "status", "fields", "expected"),
    [
        pytest.param([("ETag", '"a"')], 200, [("ETag", '"a"')], True, id="4.3.5-same-etag"),
        pytest.param([("ETag", '"a"')], 200, [("ETag", '"b"')], False, id="4.3.5-other-etag"),
        pytest.param([("ETag", '"a"')], 200, [("ETag", 'W/"a"')], False, id="4.3.5-etag-turned-weak"),
        pytest.param([], 200, [("ETag", '"a"')], False, id="4.3.5-etag-is-new"),
        pytest.param([("Last-Modified", MODIFIED)], 200, [("Last-Modified", MODIFIED)], True, id="4.3.5-same-date"),
        pytest.param(
            [("ETag", '"a"'), ("Last-Modified", MODIFIED)],
            200,
            [("ETag", '"a"'), ("Last-Modified", format_date(NOW))],
            False,
            id="4.3.5-one-of-two",
        ),
        pytest.param([("ETag", '"a"'), ("Last-Modified", MODIFIED)], 200, [("ETag", '"a"')], True, id="4.3.5-received"),
        pytest.param([], 200, [("Content-Length", "7")], True, id="4.3.5-same-length"),
        pytest.param([], 200, [("Content-Length", "8")], False, id="4.3.5-other-length"),
        pytest.param(
            [("ETag", '"a"')], 200, [("ETag", '"a"'), ("Content-Length", "8")], False, id="4.3.5-length-beside-etag"
        ),
        pytest.param([("ETag", '"a"')], 200, [], True, id="4.3.5-nothing-said"),
        pytest.param([("ETag", '"a"')], 204, [("ETag", '"a"')], False, id="4.3.5-status"),
        pytest.param([("ETag", '"a"')], 404, [("ETag", '"a"')], False, id="4.3.5-error"),
    ],
)
def test_head_freshens(
    stored: list[tuple[str, str]], status: int, fields: list[tuple[str, str]], expected: bool
) -> None:
    as_received = stored_with(*stored).replaced(splice=None)
    assert head_freshens(as_received, status, CIMultiDict(fields)) is expected


def test_4_3_5_head_does_not_freshen_what_was_no_200() -> None:
    assert not head_freshens(stored_with().replaced(status=404), 200, CIMultiDict())


def test_4_3_5_the_length_that_head_tells_is_not_that_of_spliced_content() -> None:
    assert head_freshens(stored_with(), 200, CIMultiDict({"Content-Length": "8"}))


def test_4_3_4_freshened_replaces_fields_and_starts_age_anew() -> None:
    stored = stored_with(
        ("Cache-Control", "max-age=1, must-revalidate"),
        ("ETag", '"a"'),
        ("X-Many", "1"),
        ("x-many", "2"),
        ("X-Old", "kept"),
        ("Date", format_date(NOW)),
    )
    fresh = after(
        stored,
        ("cache-control", "max-age=60"),
        ("ETag", '"a"'),
        ("X-MANY", "3"),
        ("X-New", "4"),
        ("Last-Modified", MODIFIED),
        ("Date", format_date(LATER - 10)),
        ("Age", "20"),
    )
    assert fresh.terms == Terms(lifetime=60.0, date=LATER - 10)
    assert (fresh.began, fresh.received, fresh.initial_age) == (LATER - 2, LATER, 22.0)
    assert (fresh.etag, fresh.last_modified) == ('"a"', MODIFIED)
    assert head_fields(fresh.head) == CIMultiDict(
        [
            ("X-Old", "kept"),
            ("cache-control", "max-age=60"),
            ("ETag", '"a"'),
            ("X-MANY", "3"),
            ("X-New", "4"),
            ("Last-Modified", MODIFIED),
            ("Date", format_date(LATER - 10)),
        ]
    )


def test_4_3_4_freshened_keeps_the_content_and_clears_what_a_refresh_left() -> None:
    stored = stored_with(("ETag", '"a"'))
    fresh = after(stored, ("ETag", '"a"'))
    assert (fresh.key, fresh.status, fresh.reason, fresh.body) == ("key", 200, "OK", b'{"a":1}')
    assert (fresh.splice, fresh.groups) == (SPLICE, ("g",))
    assert (fresh.outdated, fresh.forced) == (False, False)
    assert (stored.outdated, stored.forced, stored.received) == (True, True, NOW)


@pytest.mark.parametrize("name", ["Content-Encoding", "Content-Range"])
def test_3_2_fields_that_the_content_depends_on_are_not_updated(name: str) -> None:
    """RFC 9111 §3.2."""
    fresh = after(stored_with((name, "stored")), (name, "new"))
    assert head_fields(fresh.head).getall(name) == ["stored"]
    assert name not in head_fields(after(stored_with(), (name, "new")).head)


@pytest.mark.parametrize(
    "name",
    [
        "Cache-Control",
        "CDN-Cache-Control",
        "Content-Disposition",
        "Content-Foo",
        "Content-Language",
        "Content-Location",
        "Content-Security-Policy",
        "Content-Type",
        "ETag",
        "Expires",
        "Last-Modified",
        "Vary",
        "X-Any",
    ],
)
def test_3_2_all_other_fields_are_updated_in_all_their_lines(name: str) -> None:
    """RFC 9111 §3.2: a name that begins with Content- says nothing."""
    stored = stored_with((name, "one"), ("X-Other", "kept"), (name.lower(), "two"))
    head = head_fields(after(stored, (name.upper(), "three"), (name, "four")).head)
    assert head.getall(name) == ["three", "four"]
    assert head["X-Other"] == "kept"


@pytest.mark.parametrize("name", ["Content-Length", "Set-Cookie", "Keep-Alive", "Proxy-Authenticate", "Age", "X-Hop"])
def test_3_1_fields_that_are_not_stored_are_not_added(name: str) -> None:
    fresh = after(stored_with(), ("Connection", "X-Hop"), (name, "1"))
    assert list(head_fields(fresh.head)) == ["Date"]


def test_3_1_connection_of_the_304_takes_nothing_from_the_stored_response() -> None:
    fresh = after(stored_with(("X-Hop", "end-to-end")), ("Connection", "X-Hop"))
    assert head_fields(fresh.head)["X-Hop"] == "end-to-end"


def test_3_2_fields_that_the_304_withholds_go() -> None:
    stored = stored_with(("ETag", '"a"'), ("X-Mine", "1"))
    fresh = after(stored, ("Cache-Control", 'private="x-mine", no-cache="etag"'))
    assert fresh.etag is None
    assert "X-Mine" not in head_fields(fresh.head)


def test_3_2_a_304_without_date_is_dated_on_receipt() -> None:
    stored = stored_with(("Date", format_date(NOW - 500)), ("Expires", format_date(LATER + 30)))
    fresh = after(stored)
    assert head_fields(fresh.head)["Date"] == format_date(LATER)
    assert fresh.terms.lifetime == 30.0
    assert fresh.initial_age == 2.0


def test_3_2_a_304_with_another_vary_selects_by_it() -> None:
    stored = stored_with(("Vary", "Foo"))
    assert stored.selecting == (("foo", "1"),)
    assert after(stored).selecting == (("foo", "1"),)
    assert after(stored, ("Vary", "Bar, Foo")).selecting == (("bar", "2"), ("foo", "1"))


def test_3_2_what_the_304_leaves_unsaid_is_as_it_was_received() -> None:
    """The head may have been made into one that suits spliced content: the upstream knows nothing of that."""
    stored = stored_with(("ETag", '"a"'))
    head = stored.head + b"Vary: Accept-Encoding\r\n"
    fresh = after(stored.replaced(head=head.replace(b'"a"', b'W/"a"')))
    assert (fresh.etag, fresh.selecting) == ('"a"', ())
    assert head_fields(fresh.head).getall("Vary") == ["Accept-Encoding"]


@given(st.dictionaries(st.sampled_from(["X-A", "X-B", "ETag", "Expires", "Vary"]), st.sampled_from(["", "a", '"b"'])))
def test_4_3_4_freshening_twice_with_the_same_304_is_freshening_once(fields: dict[str, str]) -> None:
    once = after(stored_with(("X-A", "stored"), ("ETag", '"a"')), *fields.items())
    twice = after(once, *fields.items())
    assert head_fields(twice.head) == head_fields(once.head)
    assert (twice.terms, twice.selecting, twice.etag) == (once.terms, once.selecting, once.etag)
