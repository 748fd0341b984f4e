"""What an upstream's content says its call cost: the number, or why there is none; never an exception."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.cost import MOST, Untold, told

TOKENS = ("tokens_consumed",)
NESTED = ("usage", "total")


@pytest.mark.parametrize(
    ("content", "path", "cost"),
    [
        ('{"tokens_consumed": 6}', TOKENS, 6),
        ('\n{"tokens_consumed":0}', TOKENS, 0),
        (f'{{"tokens_consumed": {MOST}}}', TOKENS, MOST),
        ('{"usage": {"total": 3, "items": [{"total": "x"}]}, "total": 4}', NESTED, 3),
        ('{"tokens_consumed": 2, "item": {"tokens_consumed": 9}}', TOKENS, 2),
        ('{"tokens_consumed": 2, "field": "tokens_consumed"}', TOKENS, 2),
        (r'{"tokens_consumed": 2, "brand": "A\u0026B"}', TOKENS, 2),
        (r'{"tokens\u005fconsumed": 2}', TOKENS, 2),
        ('{"größe": 5}', ("größe",), 5),
        ('{"a": {"a": 7}}', ("a", "a"), 7),
        ('{"tokens_consumed": 2, "far": {"tokens_consumed": ' + "9" * 300 + "}}", TOKENS, 2),
    ],
    ids=[
        "plain",
        "nothing",
        "the most",
        "nested",
        "another below",
        "a value of that name",
        "an escape elsewhere",
        "an escaped name",
        "a name in UTF-8",
        "a name twice on the path",
        "a long number elsewhere",
    ],
)
def test_a_cost(content: str, path: tuple[str, ...], cost: int) -> None:
    assert told(content.encode(), "", path) == cost


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", Untold.not_object),
        (b"[1]", Untold.not_object),
        (b"7", Untold.not_object),
        (b'{"tokens_consumed": 6', Untold.not_object),
        (b'{"tokens_consumed": 6, "name": "\xff"}', Untold.not_object),
        (b'\xef\xbb\xbf{"tokens_consumed": 6}', Untold.not_object),
        (b'{"tokens_consumed": NaN}', Untold.not_object),
        (b'{"tokens_consumed": 6, "long": %b}' % (b"9" * 5000), Untold.not_object),
        (b'{"consumed": 6}', Untold.absent),
        (b'{"item": {"tokens_consumed": 6}}', Untold.absent),
        (b'{"tokens_consumed": -1}', Untold.not_whole),
        (b'{"tokens_consumed": %d}' % (MOST + 1), Untold.not_whole),
        (b'{"tokens_consumed": %b}' % (b"9" * 40), Untold.not_whole),
        (b'{"tokens_consumed": 6.0}', Untold.not_whole),
        (b'{"tokens_consumed": 1e3}', Untold.not_whole),
        (b'{"tokens_consumed": "6"}', Untold.not_whole),
        (b'{"tokens_consumed": true}', Untold.not_whole),
        (b'{"tokens_consumed": null}', Untold.not_whole),
        (b'{"tokens_consumed": {"tokens_consumed": 6}}', Untold.not_whole),
        (b'{"tokens_consumed": [6]}', Untold.not_whole),
        (b'{"tokens_consumed": 6, "tokens_consumed": 6}', Untold.repeated),
        (b'{"tokens_consumed": 9, "tokens\\u005fconsumed": 6}', Untold.repeated),
        (
            b'{"tokens_consumed": 6, "deep": %b%b}' % (b'{"tokens_consumed":' * 1000, b"1" + b"}" * 1000),
            Untold.repeated,
        ),
    ],
)
def test_a_lie_is_no_cost(content: bytes, why: Untold) -> None:
    assert told(content, "", TOKENS) is why


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"usage": 6}', Untold.absent),
        (b'{"usage": [{"total": 6}]}', Untold.absent),
        (b'{"usage": {"total": 6}, "usage": {"total": 6}}', Untold.repeated),
        (b'{"usage": {"total": 6, "total": 6}}', Untold.repeated),
    ],
    ids=["a number", "an array", "the object twice", "the number twice"],
)
def test_a_lie_on_the_way_is_none_either(content: bytes, why: Untold) -> None:
    assert told(content, "", NESTED) is why


TEXT = b'{"tokens_consumed": 6}'


@pytest.mark.parametrize(
    ("content", "coding", "cost"),
    [
        (TEXT, "identity", 6),
        (gzip.compress(TEXT), "gzip", 6),
        (gzip.compress(TEXT), " X-GZIP ", 6),
        (gzip.compress(b'{"tokens_consumed": 6 %b}' % (b" " * (8 << 20))), "gzip", Untold.too_large),
        (gzip.compress(TEXT)[:-1], "gzip", Untold.coded),
        (gzip.compress(TEXT) + gzip.compress(b" "), "gzip", Untold.coded),
        (TEXT, "gzip", Untold.coded),
        (zlib.compress(TEXT), "deflate", Untold.coded),
        (TEXT, "br", Untold.coded),
        (gzip.compress(TEXT), "gzip, gzip", Untold.coded),
    ],
    ids=["none", "gzip", "x-gzip", "a bomb", "cut", "two members", "not gzip", "deflate", "br", "twice"],
)
def test_content_codings(content: bytes, coding: str, cost: int | Untold) -> None:
    assert told(content, coding, TOKENS) == cost


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["usage", "total", "a"]), inner),
)


@given(JSON)
def test_it_is_what_the_one_parser_and_the_other_say(document: object) -> None:
    found: object = document
    for name in NESTED:
        found = found.get(name) if isinstance(found, dict) else None
    sound = type(found) is int and 0 <= found <= MOST
    cost = told(json.dumps(document).encode(), "", NESTED)
    assert cost == found if sound else isinstance(cost, Untold)


@given(st.binary() | st.text().map(str.encode), st.sampled_from(["", "gzip", "br"]))
def test_nothing_raises(content: bytes, coding: str) -> None:
    told(content, coding, NESTED)
