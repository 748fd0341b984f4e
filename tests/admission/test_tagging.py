"""Tags: what a template may hold, what it is filled with, and what is no value."""

from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.tagging import LONGEST, MOST, Tag, content_tags, head_tags
from gateway.admission.target import canonical


def of_query(text: str, query: str) -> tuple[str, ...]:
    return Tag.parse(text).filled({}, canonical(f"/?{query}").query)


def of_content(text: str, document: Any) -> tuple[str, ...]:
    return Tag.parse(text).filled({}, (), document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("{a:.*}", "names a parameter"),
        ("a}", "a placeholder is"),
        ("{a", "a placeholder is"),
        ("{}", "a placeholder is"),
        ("{a-b}", "a placeholder is"),
        ("{a:-b}", "a placeholder is"),
        ("{query.}", "a placeholder is"),
        ("{query.:-x}", "a placeholder is"),
        ("{field.a}", "a placeholder is"),
        ("{body.a..b}", "member of the content"),
        ("{body..a}", "member of the content"),
        ("{body.a.:-x}", "member of the content"),
        (f"{{query.a:-{'x' * (LONGEST + 1)}}}", "a default is"),
        ("{query.a:-\n}", "a default is"),
    ],
)
def test_what_is_no_template_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tag.parse(text)


def test_a_template_says_what_it_needs() -> None:
    tag = Tag.parse("{a}:{query.b}:{b}:{query.c-d:-x}")
    assert (tag.names, tag.parameters, tag.reads_content) == (("a", "b"), ("b", "c-d"), False)
    tag = Tag.parse("x:{body.query.a}")
    assert (tag.names, tag.parameters, tag.reads_content) == ((), (), True)


def test_a_template_is_a_value_made_by_its_text() -> None:
    assert Tag.parse("a:{x}") == Tag.parse("a:{x}") != Tag.parse("a:{y}")
    assert repr(Tag.parse("a:{x}")) == "Tag(text='a:{x}')"


@pytest.mark.parametrize(
    ("text", "params", "tag"),
    [
        ("product:{id}", {"id": "12", "more": "x"}, "product:12"),
        ("{a}{b}", {"a": "1", "b": "2"}, "12"),
        ("all", {}, "all"),
        ("{x}", {"x": "a%2Cb"}, "a,b"),
        ("{x}", {"x": "caf%C3%A9%20%2541"}, "café %41"),
        ("{x}", {"x": "a%20%FF"}, "a%20%FF"),
        ("page:{rest}", {"rest": ""}, "page:"),
        ("page:{rest}", {"rest": "x" * 999}, "page:" + "x" * 999),
        ("{query}:{body}", {"query": "1", "body": "2"}, "1:2"),
    ],
)
def test_parameters_of_the_path_are_unquoted_as_those_of_the_query(text: str, params: dict[str, str], tag: str) -> None:
    assert Tag.parse(text).filled(params) == (tag,)


def test_a_parameter_of_the_path_must_be_there() -> None:
    with pytest.raises(KeyError):
        Tag.parse("{a}").filled({})


QUERIES = [
    ("s:{query.id}", "id=1", ["s:1"]),
    ("s:{query.id}", "id=a%20b%C3%A9", ["s:a bé"]),
    ("s:{query.id}", "id=a+b", ["s:a+b"]),
    ("s:{query.id}", "id=1&x&id=2&id=1", ["s:1", "s:2"]),
    ("s:{query.id}", "other=1", []),
    ("s:{query.id}", "id", []),
    ("s:{query.id}", "id=", []),
    ("s:{query.id}", "id=%FF", []),
    ("s:{query.id}", "id=a%0Ab", []),
    ("s:{query.id}", "id=%FF&id=2", ["s:2"]),
    ("s:{query.id}", "id=" + "x" * LONGEST, ["s:" + "x" * LONGEST]),
    ("s:{query.id}", "id=" + "x" * (LONGEST + 1), []),
    ("s:{query.id:-all}", "x=1", ["s:all"]),
    ("s:{query.id:-all}", "id=", ["s:all"]),
    ("s:{query.id:-all}", "id=7", ["s:7"]),
    ("s:{query.id:-a:-b}", "", ["s:a:-b"]),
    ("s{query.id:-}", "", ["s"]),
    ("{query.id:-}", "", []),
    ("{query.a}-{query.b}", "a=1&b=2&b=3", ["1-2", "1-3"]),
    ("{query.a}-{query.b}", "a=1", []),
    ("s:{query.a b[c]}", "a%20b%5Bc%5D=1", ["s:1"]),
    ("s:{query.a b[c]}", "a%20b[c]=1", ["s:1"]),
    ("{query.id}", "id=/v1/products/1", []),
    ("/{query.id}", "id=1", ["/1"]),
]


@pytest.mark.parametrize(
    ("text", "query", "tags"), QUERIES, ids=[f"{text} of {query[:20]}" for text, query, _ in QUERIES]
)
def test_values_of_the_query_are_unquoted_and_give_a_tag_each(text: str, query: str, tags: list[str]) -> None:
    assert list(of_query(text, query)) == tags


CONTENTS: list[tuple[str, Any, list[str]]] = [
    ("s:{body.id}", {"id": 7}, ["s:7"]),
    ("s:{body.id}", {"id": "a b"}, ["s:a b"]),
    ("s:{body.id}", {"id": True}, ["s:true"]),
    ("s:{body.id}", {"id": [False, 1, "1", None, {}, [2]]}, ["s:false", "s:1"]),
    ("s:{body.id}", {"id": None}, []),
    ("s:{body.id}", {"id": 1.5}, []),
    ("s:{body.id}", {"id": {}}, []),
    ("s:{body.id}", {"id": ""}, []),
    ("s:{body.id}", {"id": "a\nb"}, []),
    ("s:{body.id}", {}, []),
    ("s:{body.id}", 7, []),
    ("s:{body.id:-none}", "text", ["s:none"]),
    ("s:{body.a.b}", {"a": {"b": 1}}, ["s:1"]),
    ("s:{body.a.b}", {"a": 1}, []),
    ("s:{body.a.b}", {"a": [{"b": 1}, {}, {"b": [2, 3]}, 4]}, ["s:1", "s:2", "s:3"]),
    ("s:{body.a.b}", {"a": [[{"b": 1}]]}, []),
    ("s:{body.b}", [{"b": 1}, {"b": 2}], ["s:1", "s:2"]),
    ("{body.b}", {"b": "/path"}, []),
]


@pytest.mark.parametrize(("text", "document", "tags"), CONTENTS, ids=[f"{text} of {doc}" for text, doc, _ in CONTENTS])
def test_scalars_of_the_content_are_values(text: str, document: Any, tags: list[str]) -> None:
    assert list(of_content(text, document)) == tags


def test_there_are_never_more_than_so_many() -> None:
    many = list(range(MOST + 1))
    assert of_content("{body.a}", {"a": many}) == tuple(map(str, many[:MOST]))
    assert len(of_content("{body.a}{body.b}", {"a": many, "b": [-n for n in many]})) == MOST


def test_the_head_tells_some_and_the_content_the_rest() -> None:
    tags = tuple(map(Tag.parse, ("p:{id}", "{query.q}:{body.b}", "all", "q:{query.q}")))
    params, query = {"id": "1"}, canonical("/?q=2").query
    assert head_tags(tags, params, query) == ("p:1", "all", "q:2")
    assert content_tags(tags, params, query, b'{"b":3}') == ("2:3",)


@pytest.mark.parametrize("content", [b"", b"{", b"\x1f\x8b\x08", b"[" * 5000, b'{"b":"\xff"}', b"NaN"])
def test_content_that_is_no_json_tells_nothing(content: bytes) -> None:
    assert content_tags((Tag.parse("b:{body.b:-none}"),), {}, (), content) == ()


@given(st.text(min_size=1, max_size=2 * LONGEST))
def test_query_and_content_say_the_same_of_the_same_text(text: str) -> None:
    document = orjson.loads(orjson.dumps({"a": text}))
    assert of_query("x:{query.a}", f"a={quote(text)}".replace("%00", "%01")) == of_content("x:{body.a}", document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=20,
)


@given(JSON)
def test_whatever_the_content_is_a_tag_is_one_line_of_text(document: Any) -> None:
    for tag in of_content("t:{body.a.b}", document):
        assert tag.startswith("t:")
        assert tag[2:].isprintable() or any(ord(character) > 0x7F for character in tag)
        assert "\n" not in tag
