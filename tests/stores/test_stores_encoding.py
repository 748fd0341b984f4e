"""Encoding: what goes in comes out, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample, variant

from gateway.messages import Splice
from gateway.rfc9111.stored import PARAMETERS, StoredResponse, Terms
from gateway.stores.encoding import VERSION, decode, decode_beginning, decode_json, encode, encode_json

# Every code point: fields decoded with surrogateescape carry lone surrogates.
TEXTS = st.text(st.characters(), max_size=12)
TIMES = st.floats(0, 4e9)
TERMS = st.builds(
    Terms,
    lifetime=st.none() | TIMES,
    heuristic=st.none() | TIMES,
    no_cache=st.booleans(),
    must_revalidate=st.booleans(),
    stale_while_revalidate=st.none() | TIMES,
    stale_if_error=st.none() | TIMES,
    immutable=st.booleans(),
    date=TIMES,
)
RESPONSES = st.builds(
    StoredResponse,
    key=TEXTS,
    status=st.integers(200, 599),
    reason=TEXTS,
    head=st.binary(max_size=40),
    body=st.binary(max_size=80),
    terms=TERMS,
    selecting=st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
    etag=st.none() | TEXTS,
    last_modified=st.none() | TEXTS,
    began=TIMES,
    received=TIMES,
    initial_age=TIMES,
    groups=st.lists(TEXTS, max_size=3).map(tuple),
    forced=st.booleans(),
)
# Written by version 2. If this changes, so must VERSION: another release may still read and write what is out there.
GOLDEN = (
    b"\x02\x25\xae\x7c\x2a\x00\x00\x00\x90\x00\x00\x00\x20"
    b'["api /v1/products/1",200,"OK",60.0,6.0,false,false,null,null,true,999.0,'
    b'[["accept-language","de"]],"\\"v1\\"",null,'
    b'1000.0,1001.0,1.0,["g"],false]Content-Type: application/json\r\n{"title":"Cookware"}'
)
RESPONSE = sample(
    selecting=variant("de"), groups=("g",), terms=Terms(lifetime=60.0, heuristic=6.0, immutable=True, date=999.0)
)


def same(one: StoredResponse | None, other: StoredResponse) -> bool:
    return one is not None and all(getattr(one, name) == getattr(other, name) for name in PARAMETERS)


@given(RESPONSES)
def test_a_response_survives(stored: StoredResponse) -> None:
    assert same(decode(encode(stored)), stored)


@given(st.recursive(st.none() | st.integers(-9, 9) | TEXTS, lambda inner: st.lists(inner).map(tuple), max_leaves=8))
def test_json_survives(content: object) -> None:
    assert decode_json(encode_json(content)) == content


@given(RESPONSES)
def test_its_beginning_tells_all_but_fields_and_content(stored: StoredResponse) -> None:
    value = encode(stored)
    bare = stored.replaced(head=b"", body=b"")
    assert same(decode_beginning(value), bare)
    assert same(decode_beginning(value[: len(value) - len(stored.head) - len(stored.body)]), bare)


@pytest.mark.parametrize("at", [0, 5, 12, 13, 40])
def test_less_than_its_beginning_is_missing(at: int) -> None:
    assert decode_beginning(GOLDEN[:at]) is None
    assert decode_beginning(bytes([VERSION + 1]) + GOLDEN[1:]) is None


def test_the_layout_of_this_version_does_not_change() -> None:
    assert encode(RESPONSE) == GOLDEN
    assert same(decode(GOLDEN), RESPONSE)


def test_splice_and_outdated_stay_behind() -> None:
    stored = sample(splice=Splice(b"{", comma=False, packed=b"", crc=0))
    stored.outdated = True
    assert same(decode(encode(stored)), sample())


@given(st.data())
def test_a_damaged_value_is_missing(data: st.DataObject) -> None:
    value = bytearray(GOLDEN)
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(value)) is None


@pytest.mark.parametrize("read", [decode, decode_json])
@pytest.mark.parametrize(
    "value",
    [None, b"", b"\x01", GOLDEN[:-1], GOLDEN + b"}", bytes([VERSION + 1]) + GOLDEN[1:], "text", 7],
    ids=["none", "empty", "short", "cut", "longer", "other-version", "text", "number"],
)
def test_what_is_not_a_whole_value_of_this_version_is_missing(read: object, value: object) -> None:
    assert callable(read)
    assert read(value) is None
