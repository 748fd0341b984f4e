import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.splice import TOKEN_MEMBERS, accepts_gzip, cut, join, join_gzip, packed
from gateway.messages import Splice

NAMES = st.sampled_from(["tokens_consumed", "tokens_remaining", "a", "tokens", '"', "\\", "é"]) | st.text(max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["}", "]", ",", '{"tokens_consumed":1', '\\"', "\\"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=10
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)
TEXTS = st.builds(
    lambda value, indent, ascii_only, before, after: (
        before + json.dumps(value, indent=indent, ensure_ascii=ascii_only) + after
    ).encode(),
    OBJECTS,
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
    st.sampled_from(["", " ", "\r\n\t"]),
    st.sampled_from(["", "\n"]),
)
TOKENS = st.integers(0, 10**12)


def opened(body: bytes) -> Splice:
    splice = cut(body)
    assert splice is not None
    return splice


@given(TEXTS, TOKENS, st.none() | TOKENS)
def test_join_is_the_object_with_the_tokens_last(body: bytes, consumed: int, remaining: int | None) -> None:
    original = json.loads(body)
    joined = json.loads(join(opened(body), consumed, remaining))
    kept = {name: value for name, value in original.items() if name not in TOKEN_MEMBERS}
    assert joined == kept | {"tokens_consumed": consumed, "tokens_remaining": remaining}
    assert list(joined)[-2:] == ["tokens_consumed", "tokens_remaining"]


@given(TEXTS, TOKENS, st.none() | TOKENS)
def test_gzip_holds_the_same_bytes(body: bytes, consumed: int, remaining: int | None) -> None:
    splice = opened(body)
    assert gzip.decompress(join_gzip(splice, consumed, remaining)) == join(splice, consumed, remaining)
    assert join_gzip(packed(splice), consumed, remaining) == join_gzip(splice, consumed, remaining)


@given(TEXTS)
def test_the_packed_text_is_whole_and_its_checksum_right(body: bytes) -> None:
    splice = packed(opened(body))
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    assert inflate.decompress(splice.packed or b"") == splice.opened
    assert not inflate.eof
    assert splice.crc == zlib.crc32(splice.opened)


@given(TEXTS)
def test_a_body_without_the_names_keeps_its_bytes(body: bytes) -> None:
    if TOKEN_MEMBERS.isdisjoint(json.loads(body)):
        assert opened(body).opened + body[body.rindex(b"}") :] == body


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"{}", b"{", id="empty"),
        pytest.param(b" { } \n", b" { ", id="empty-spaced"),
        pytest.param(b'{"a": 1}', b'{"a": 1', id="plain"),
        pytest.param(b'{"tokens_consumed": 9}', b"{", id="only"),
        pytest.param(b'{"tokens_consumed": 9, "tokens_remaining": 1}', b"{", id="only-both"),
        pytest.param(b'{"tokens_consumed":9,"a":1.10e+2}', b'{"a":1.10e+2', id="first"),
        pytest.param(b'{"a":1.10,"tokens_consumed":[1,{"b":","}],"c":-0}', b'{"a":1.10,"c":-0', id="middle"),
        pytest.param(b'{\n "a": 1,\n "tokens_remaining": null\n}', b'{\n "a": 1', id="last"),
        pytest.param(b'{"tokens_consumed":1,"a":2,"tokens_consumed":3}', b'{"a":2', id="repeated"),
        pytest.param(rb'{"tokens\u005fconsumed":1,"a":"\""}', rb'{"a":"\""', id="escaped-name"),
        pytest.param(b'{"a":{"tokens_consumed":1},"tokens_consumed":2}', b'{"a":{"tokens_consumed":1}', id="nested"),
        pytest.param(
            b'{"n":12345678901234567890123,"tokens_consumed":0}', b'{"n":12345678901234567890123', id="digits-kept"
        ),
        pytest.param('{"é":"},{","tokens_consumed":0}'.encode(), '{"é":"},{"'.encode(), id="utf-8"),
    ],
)
def test_token_members_are_cut_out_of_the_text(body: bytes, text: bytes) -> None:
    splice = opened(body)
    assert splice.opened == text
    assert splice.comma == (text.strip() != b"{")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"{}"', id="string"),
        pytest.param(b"{", id="cut-short"),
        pytest.param(b"{} {}", id="two"),
        pytest.param(b'{"a":NaN}', id="nan"),
        pytest.param(b"{'a':1}", id="quotes"),
        pytest.param(b'{"a":1,}', id="trailing-comma"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte-order-mark"),
        pytest.param(b'{"a":"\xff"}', id="not-utf-8"),
        pytest.param('{"a":1}'.encode("utf-16"), id="utf-16"),
        pytest.param(gzip.compress(b"{}"), id="gzip"),
        pytest.param(b'{"a":' * 2000 + b"1" + b"}" * 2000, id="too-deep"),
    ],
)
def test_anything_else_is_left_alone(body: bytes) -> None:
    assert cut(body) is None


def test_a_large_body_survives() -> None:
    body = json.dumps({"tokens_consumed": 1, "rows": [{"i": i, "t": f'"{i},'} for i in range(20_000)]}).encode()
    splice = packed(opened(body))
    assert packed(splice) is splice
    assert gzip.decompress(join_gzip(splice, 9, 1991)) == join(splice, 9, 1991)
    assert json.loads(join(splice, 9, 1991))["rows"] == json.loads(body)["rows"]
    assert len(splice.packed or body) < len(body) / 2


@pytest.mark.parametrize(
    ("field", "accepted"),
    [
        pytest.param(None, False, id="absent"),
        pytest.param("", False, id="empty"),
        pytest.param("gzip, deflate", True, id="requests"),
        pytest.param("gzip, deflate, br, zstd", True, id="fetch"),
        pytest.param("X-GZIP", True, id="9110-8.4.1.3-x-gzip"),
        pytest.param("identity", False, id="identity"),
        pytest.param("br", False, id="unnamed"),
        pytest.param("*", True, id="9110-12.5.3-any"),
        pytest.param("*;q=0", False, id="9110-12.5.3-none"),
        pytest.param("gzip;q=0, *", False, id="9110-12.5.3-excluded-from-any"),
        pytest.param("*;q=0, gzip;q=0.1", True, id="9110-12.5.3-only-this"),
        pytest.param("gzip ; q=0.000", False, id="9110-12.4.2-zero"),
        pytest.param("gzip;Q=1.000", True, id="9110-12.4.2-one"),
        pytest.param("gzip;q=0.5, identity", False, id="identity-preferred"),
        pytest.param("gzip;q=0.5, identity;q=0.5", True, id="even"),
        pytest.param("br;q=1, gzip;q=0.8, *;q=0.1", True, id="9110-12.5.3-weighted"),
        pytest.param("gzip;q=2", False, id="malformed-weight"),
        pytest.param(",, gzip ,", True, id="9110-5.6.1-empty-members"),
    ],
)
def test_accepts_gzip(field: str | None, accepted: bool) -> None:
    assert accepts_gzip(field) is accepted
