"""Templates: types, braces, targets that cannot be escaped from, and what is left out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.background import Call, Json
from gateway.admission.filled import called, filled, placeholders, spelled, worded
from gateway.admission.target import canonical
from gateway.errors import Problem, Reason

VALUES: dict[str, Json] = {"subject": 12345, "since": None, "how": "joined", "name": "a b", "flag": True, "list": [1]}

FILLED: dict[str, tuple[Json, Json]] = {
    "the seed's": (
        {"success": True, "message": "A store refresh has been initiated for Store ID {subject}"},
        {"success": True, "message": "A store refresh has been initiated for Store ID 12345"},
    ),
    "a number": ("{subject}", 12345),
    "a number in text": ("{subject}.", "12345."),
    "a number twice": ("{subject}{subject}", "1234512345"),
    "null": ("{since}", None),
    "null in text": ("since {since}!", "since !"),
    "text": ("{how}", "joined"),
    "a flag": ("{flag}", True),
    "a flag in text": ("is {flag}", "is true"),
    "an array": ("{list}", [1]),
    "an array in text": ("of {list}", "of [1]"),
    "nested": ([{"a": ["{subject}", {"b": "{how}"}]}], [{"a": [12345, {"b": "joined"}]}]),
    "no strings": ([1, 2.5, None, False], [1, 2.5, None, False]),
    "empty": ("", ""),
    "braces": ("{{subject}} {{{subject}}}", "{subject} {12345}"),
    "braces alone": ("{{", "{"),
    "members' names stay": ({"{subject}": "{how}"}, {"{subject}": "joined"}),
    "a value is no template": ("{how}-{name}", "joined-a b"),
}


@pytest.mark.parametrize(("template", "expected"), FILLED.values(), ids=FILLED)
def test_filled(template: Json, expected: Json) -> None:
    found = filled(template, VALUES)
    assert found == expected
    assert type(found) is type(expected)


def test_what_a_value_holds_is_not_filled() -> None:
    assert filled("{a} {b}", {"a": "{b}", "b": "{{"}) == "{b} {{"
    assert filled("{a}", {"a": "{b}"}) == "{b}"


def test_worded_is_always_text() -> None:
    assert worded("{subject}", VALUES) == "12345"
    assert worded("store:{subject}", VALUES) == "store:12345"
    assert worded("{since}", VALUES) == ""


@given(st.text())
def test_doubled_braces_are_any_text(text: str) -> None:
    template = text.replace("{", "{{").replace("}", "}}")
    assert filled(template, {}) == text
    assert placeholders(template) == frozenset()


def test_placeholders() -> None:
    template: Json = {"{no}": ["{subject}", {"a": "x {how} {job_2}{subject}"}], "b": 1, "c": None, "d": "{{not}}"}
    assert placeholders(template) == {"subject", "how", "job_2"}


@pytest.mark.parametrize(
    "template",
    ["{", "}", "a{b", "a}b", "{}", "{ a}", "{a b}", "{A}", "{1}", "{a.b}", "{a:x}", "{a!r}", "{a[0]}", "{{a}", "{a}}"],
)
def test_malformed_templates(template: str) -> None:
    with pytest.raises(ValueError, match="placeholder"):
        placeholders({"a": [template]})
    with pytest.raises(ValueError, match="placeholder"):
        filled(template, {"a": 1})


def test_an_unknown_placeholder_is_no_value() -> None:
    with pytest.raises(KeyError):
        filled("{other}", VALUES)


SPELLED = {
    "a query": ("/stores/status?storeId={subject}", {"subject": 12345}, "/stores/status?storeId=12345"),
    "a segment": ("/stores/{subject}/x", {"subject": "a b"}, "/stores/a%20b/x"),
    "other characters": ("/s?a={a}", {"a": "é+&=#?/%2F"}, "/s?a=%C3%A9%2B%26%3D%23%3F%2F%252F"),
    "a date": ("/s?from={since}", {"since": "2020-05-29 15:05:02"}, "/s?from=2020-05-29%2015%3A05%3A02"),
    "dots in a query": ("/s?a={a}", {"a": ".."}, "/s?a=.."),
    "dots within a segment": ("/s/x{a}", {"a": ".."}, "/s/x.."),
    "nothing in a query": ("/s?a={a}", {"a": None}, "/s?a="),
    "braces": ("/s?a={{{a}}}", {"a": 1}, "/s?a=%7B1%7D"),
}


@pytest.mark.parametrize(("template", "values", "target"), SPELLED.values(), ids=SPELLED)
def test_spelled(template: str, values: dict[str, Json], target: str) -> None:
    assert spelled(template, values) == target
    assert canonical(target).render() == target


@pytest.mark.parametrize("value", ["..", ".", "a/b", "../x", "a\\b", "..;x", "", None, "\n"])
def test_a_value_that_is_no_segment_is_refused(value: str | None) -> None:
    with pytest.raises(Problem) as caught:
        spelled("/stores/{subject}/refresh", {"subject": value})
    assert caught.value.reason is Reason.ambiguous_target


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_no_value_leaves_its_place(value: str) -> None:
    target = canonical(spelled("/a?x={subject}&y=1", {"subject": value}))
    assert (target.path, len(target.query), target.query[1]) == ("/a", 2, ("y", "1"))
    try:
        target = canonical(spelled("/a/{subject}/b", {"subject": value}))
    except Problem:
        assert {"/", "\\", "."} & set(value)
    else:
        assert (target.path.count("/"), target.query) == (3, ())


CALL = Call(
    "POST",
    "/stores/{subject}/refresh?v=2",
    query=(("id", "{subject}"), ("from", "{since}"), ("a b", "{{x}}")),
    content={
        "storeId": "{subject}",
        "refreshDate": "{since}",
        "note": "since {since}",
        "null": None,
        "more": {"since": "{since}"},
        "list": ["{subject}", "{since}", 1, ["{since}"]],
    },
)


def test_a_call() -> None:
    target, content = called(CALL, {"subject": 12345, "since": "2020-05-29 15:05:02"})
    assert target == "/stores/12345/refresh?v=2&id=12345&from=2020-05-29%2015:05:02&a%20b=%7Bx%7D"
    assert json.loads(content) == {
        "storeId": 12345,
        "refreshDate": "2020-05-29 15:05:02",
        "note": "since 2020-05-29 15:05:02",
        "null": None,
        "more": {"since": "2020-05-29 15:05:02"},
        "list": [12345, "2020-05-29 15:05:02", 1, ["2020-05-29 15:05:02"]],
    }
    assert canonical(target).render() == target


def test_what_has_no_value_is_left_out() -> None:
    target, content = called(CALL, {"subject": "é", "since": None})
    assert target == "/stores/%C3%A9/refresh?v=2&id=%C3%A9&a%20b=%7Bx%7D"
    assert content == b'{"storeId":"\\u00e9","null":null,"more":{},"list":["\\u00e9",1,[]]}'


@pytest.mark.parametrize(
    ("template", "content"),
    [
        pytest.param(None, b"", id="none"),
        pytest.param("{since}", b"", id="nothing but what has no value"),
        pytest.param("{subject}", b"7", id="a value alone"),
        pytest.param({}, b"{}", id="empty"),
        pytest.param(2**70, b"1180591620717411303424", id="a large number"),
    ],
)
def test_a_calls_content(template: Json, content: bytes) -> None:
    assert called(Call("POST", "/s", content=template), {"subject": 7, "since": None}) == ("/s", content)


def test_a_call_refuses_what_is_no_segment() -> None:
    with pytest.raises(Problem):
        called(CALL, {"subject": "..", "since": None})
