import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.answers.head import (
    field_line,
    field_lines,
    localised,
    not_modified_head,
    partial_head,
    phrase,
    render,
    spliced_head,
    status_line,
    unsatisfiable_head,
    whole_head,
)


def test_fields_become_lines_in_order_and_repeated() -> None:
    fields = CIMultiDict([("Set-Cookie", "a=1"), ("X-B", ""), ("Set-Cookie", "b=2")])
    assert field_lines(fields) == b"Set-Cookie: a=1\r\nX-B: \r\nSet-Cookie: b=2\r\n"


@given(st.binary().filter(lambda value: not set(value) & set(b"\r\n\0")))
def test_stray_bytes_leave_as_they_came(value: bytes) -> None:
    assert field_line("X-Any", value.decode("utf-8", "surrogateescape")) == b"X-Any: " + value + b"\r\n"


@pytest.mark.parametrize("bad", ["\r", "\n", "\r\nSet-Cookie: a=1", "a\0", "\ud800"])
def test_a_value_cannot_break_out_of_its_line(bad: str) -> None:
    with pytest.raises(ValueError, match=r"CR, LF or NUL|surrogates not allowed"):
        field_line("X-Any", f"a{bad}")


@pytest.mark.parametrize("bad", ["", "a b", "a:", "a\n", "é", "a\r\nb"])
def test_a_name_is_a_token(bad: str) -> None:
    with pytest.raises(ValueError, match="not a field name"):
        field_line(bad, "a")


@pytest.mark.parametrize(("status", "registered"), [(200, "OK"), (404, "Not Found"), (799, "")])
def test_the_registered_phrase(status: int, registered: str) -> None:
    assert phrase(status) == registered


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        pytest.param(200, "OK", b"HTTP/1.1 200 OK\r\n", id="9112-4"),
        pytest.param(299, "", b"HTTP/1.1 299 \r\n", id="9112-4-empty-reason"),
        pytest.param(200, "\udcff", b"HTTP/1.1 200 \xff\r\n", id="9112-4-obs-text"),
    ],
)
def test_status_line(status: int, reason: str, line: bytes) -> None:
    assert status_line(status, reason) == line


@pytest.mark.parametrize(("status", "reason"), [(99, "a"), (1000, "a"), (200, "OK\r\nX: y"), (200, "\n")])
def test_a_status_line_cannot_be_broken(status: int, reason: str) -> None:
    with pytest.raises(ValueError, match="not a status line"):
        status_line(status, reason)


@pytest.mark.parametrize(
    ("length", "close", "head"),
    [
        pytest.param(12, False, b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nContent-Length: 12\r\n\r\n", id="9112-6.2"),
        pytest.param(0, False, b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nContent-Length: 0\r\n\r\n", id="empty"),
        pytest.param(None, False, b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n", id="framed-otherwise"),
        pytest.param(None, True, b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nConnection: close\r\n\r\n", id="9112-9.6-close"),
    ],
)
def test_render(length: int | None, close: bool, head: bytes) -> None:
    assert render(200, "OK", [b"A: b\r\n", b"C: d\r\n"], length, close=close) == head


VARY = b"Vary: Accept-Encoding\r\n"


@pytest.mark.parametrize(
    ("head", "spliced"),
    [
        pytest.param(b'ETag: "a"\r\n', b'ETag: W/"a"\r\n' + VARY, id="9110-8.8.1-strong"),
        pytest.param(b'etag:W/"a"\r\n', b'etag:W/"a"\r\n' + VARY, id="9110-8.8.1-weak"),
        pytest.param(b'X-ETag: "a"\r\n', b'X-ETag: "a"\r\n' + VARY, id="other-name"),
        pytest.param(
            b"A: b\r\nDigest: x\r\ncontent-digest: y\r\nRepr-Digest: z\r\nContent-MD5: m\r\nAccept-Ranges:\r\nC: d\r\n",
            b"A: b\r\nC: d\r\n" + VARY,
            id="9530-digests",
        ),
        pytest.param(
            b"Want-Digest: x\r\nX: Digest: y\r\n", b"Want-Digest: x\r\nX: Digest: y\r\n" + VARY, id="lookalikes"
        ),
        pytest.param(b"", VARY, id="empty"),
        pytest.param(
            b"vary: Origin, accept-encoding\r\n", b"vary: Origin, accept-encoding\r\n", id="9110-12.5.5-named"
        ),
        pytest.param(VARY, VARY, id="9110-12.5.5-alone"),
        pytest.param(b"Vary: *\r\n", b"Vary: *\r\n", id="9110-12.5.5-any"),
        pytest.param(b"Vary: X-Accept-Encoding\r\n", b"Vary: X-Accept-Encoding\r\n" + VARY, id="9110-12.5.5-lookalike"),
    ],
)
def test_a_spliced_head_does_not_vouch_for_the_bytes(head: bytes, spliced: bytes) -> None:
    assert spliced_head(head) == spliced
    assert spliced_head(spliced) == spliced


REPEATED = (
    b'Date: d\r\nETag: "a"\r\nvary: v\r\nCache-Control: max-age=1\r\nExpires: e\r\nContent-Location: /l\r\n'
    b"CDN-Cache-Control: max-age=2\r\nContent-Security-Policy: p\r\nAccess-Control-Allow-Origin: *\r\nX-Any: y\r\n"
)
METADATA = (
    b"Content-Type: t\r\ncontent-encoding: gzip\r\nContent-Language: en\r\nContent-Disposition: inline\r\n"
    b"Content-Digest: c\r\nRepr-Digest: r\r\nDigest: d\r\nContent-MD5: m\r\nContent-Range: bytes 0-1/2\r\n"
)


def test_a_304_repeats_what_guides_caches() -> None:
    """RFC 9110 §15.4.5."""
    assert not_modified_head(REPEATED + METADATA) == REPEATED
    assert not_modified_head(METADATA + REPEATED) == REPEATED


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(b'Last-Modified: l\r\nETag: "a"\r\n', b'ETag: "a"\r\n', id="15.4.5-with-etag"),
        pytest.param(b'etag: "a"\r\nlast-modified: l\r\n', b'etag: "a"\r\n', id="15.4.5-with-etag-before"),
        pytest.param(b"Last-Modified: l\r\n", b"Last-Modified: l\r\n", id="15.4.5-without-etag"),
        pytest.param(
            b"Last-Modified: l\r\nX: ETag: a\r\n", b"Last-Modified: l\r\nX: ETag: a\r\n", id="15.4.5-lookalike"
        ),
        pytest.param(b"X: Content-Type: t\r\n", b"X: Content-Type: t\r\n", id="lookalike"),
        pytest.param(b"X-Content-Type: t\r\n", b"X-Content-Type: t\r\n", id="other-name"),
        pytest.param(b"", b"", id="empty"),
    ],
)
def test_a_304_names_the_representation_by_one_validator(head: bytes, expected: bytes) -> None:
    assert not_modified_head(head) == expected


def test_a_206_has_all_fields_but_those_of_another_content() -> None:
    """RFC 9110 §15.3.7, RFC 9530 §2."""
    head = b"content-range: bytes 0-9/10\r\n" + REPEATED + METADATA
    kept = b"Content-Type: t\r\ncontent-encoding: gzip\r\nContent-Language: en\r\nContent-Disposition: inline\r\n"
    digests = b"Repr-Digest: r\r\nDigest: d\r\n"
    assert partial_head(head, "bytes 1-2/10") == REPEATED + kept + digests + b"Content-Range: bytes 1-2/10\r\n"


def test_a_206_after_if_range_has_the_fields_of_a_304() -> None:
    """RFC 9110 §15.3.7."""
    head = partial_head(not_modified_head(REPEATED + METADATA), "bytes 1-2/10")
    assert head == REPEATED + b"Content-Range: bytes 1-2/10\r\n"


def test_a_416_cannot_be_stored_in_place_of_the_representation() -> None:
    """RFC 9110 §15.5.17."""
    assert unsatisfiable_head(METADATA + REPEATED + b"Last-Modified: l\r\n", "bytes */10") == (
        b"Date: d\r\nvary: v\r\nContent-Security-Policy: p\r\nAccess-Control-Allow-Origin: *\r\nX-Any: y\r\n"
        b"Cache-Control: no-store\r\nContent-Range: bytes */10\r\n"
    )


def inward(name: str, value: str, *, base_path: str = "/v2", strip_prefix: str = "/shop") -> str:
    origins = frozenset({"https://api.example", "http://alt.example:8081"})
    return localised(CIMultiDict({name: value}), origins, base_path, "http://gw:8080", strip_prefix)[name]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("https://api.example/v2/a?b=c#d", "http://gw:8080/shop/a?b=c#d", id="absolute"),
        pytest.param("HTTPS://API.Example:443/v2/a", "http://gw:8080/shop/a", id="9110-4.2.3-same-origin"),
        pytest.param("http://alt.example:8081/v2", "http://gw:8080/shop", id="second-origin-base-alone"),
        pytest.param("https://api.example/v2?a=1", "http://gw:8080/shop?a=1", id="base-with-query"),
        pytest.param("//api.example/v2/a", "http://gw:8080/shop/a", id="3986-4.2-network-path"),
        pytest.param("/v2/a", "/shop/a", id="3986-4.2-absolute-path"),
        pytest.param("/v2", "/shop", id="3986-4.2-base-alone"),
        pytest.param("https://api.example/v1/a", "https://api.example/v1/a", id="outside-base"),
        pytest.param("/v20/a", "/v20/a", id="base-lookalike"),
        pytest.param("http://api.example/v2/a", "http://api.example/v2/a", id="other-scheme"),
        pytest.param("https://api.example:8443/v2/a", "https://api.example:8443/v2/a", id="other-port"),
        pytest.param("https://api.example.evil/v2/a", "https://api.example.evil/v2/a", id="other-host"),
        pytest.param("https://me@api.example/v2/a", "https://me@api.example/v2/a", id="userinfo"),
        pytest.param("a/b", "a/b", id="3986-4.2-relative-path"),
        pytest.param("?a=b", "?a=b", id="3986-4.2-query"),
        pytest.param("mailto:a@b", "mailto:a@b", id="opaque"),
        pytest.param("", "", id="empty"),
    ],
)
@pytest.mark.parametrize("name", ["Location", "content-location"])
def test_urls_lead_to_the_gateway(name: str, value: str, expected: str) -> None:
    assert inward(name, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("https://api.example", "http://gw:8080/", id="origin-alone"),
        pytest.param("https://api.example?a", "http://gw:8080/?a", id="origin-with-query"),
        pytest.param("/a", "/a", id="path"),
        pytest.param("https://api.example//evil.example", "https://api.example//evil.example", id="no-open-redirect"),
    ],
)
def test_without_base_path_and_prefix(value: str, expected: str) -> None:
    assert inward("Location", value, base_path="/", strip_prefix="") == expected


def test_a_stripped_base_never_makes_a_path_name_another_host() -> None:
    for path in ("//evil.example/a", "/\\evil.example/a", "/\t/evil.example", "/\t\\evil.example"):
        assert inward("Location", f"/v2{path}", strip_prefix="") == f"/v2{path}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            '<https://api.example/v2/a?p=2>; rel="next", </v2/b>; rel=prev',
            '<http://gw:8080/shop/a?p=2>; rel="next", </shop/b>; rel=prev',
            id="8288-3-targets",
        ),
        pytest.param('<a>; anchor="/v2/x"; title="</v2/b>"', '<a>; anchor="/shop/x"; title="</v2/b>"', id="8288-3.2"),
        pytest.param(r'<a>; title="\"</v2/b>", </v2/c>', r'<a>; title="\"</v2/b>", </shop/c>', id="quoted-pairs"),
        pytest.param("<https://other.example/v2/a>", "<https://other.example/v2/a>", id="elsewhere"),
    ],
)
def test_links_lead_to_the_gateway(value: str, expected: str) -> None:
    assert inward("Link", value) == expected


@pytest.mark.parametrize("value", ['<a>; title="' + '\\"' * 9, '<a>; title="</v2/b>\\', '"</v2/b>'])
def test_a_string_without_end_is_let_alone(value: str) -> None:
    assert inward("Link", value) == value


def test_without_gateway_origin_urls_become_paths() -> None:
    told = localised(CIMultiDict(Location="https://a/b/c"), frozenset({"https://a"}), "/b/", "", "/shop")
    assert told["Location"] == "/shop/c"


def test_other_fields_stay_as_they_are() -> None:
    fields = CIMultiDict([("X-Url", "https://api.example/v2/a"), ("Location", "/v2/a"), ("X-Url", "b")])
    told = localised(fields, frozenset({"https://api.example"}), "/v2", "http://gw", "")
    assert list(told.items()) == [("X-Url", "https://api.example/v2/a"), ("Location", "/a"), ("X-Url", "b")]
    plain = CIMultiDict({"X-Url": "https://api.example/v2/a"})
    assert localised(plain, frozenset({"https://api.example"}), "/v2", "http://gw", "") is plain


def test_the_whole_has_no_range() -> None:
    """RFC 9111 §3.4."""
    assert whole_head(b"ETag: x\r\ncontent-range: bytes 0-1/2\r\nVary: a\r\n") == b"ETag: x\r\nVary: a\r\n"
