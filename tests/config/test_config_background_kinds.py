"""JSON in a config: types by how it is spelled, and no trace of that where a text is meant."""

from collections.abc import Iterator

import pytest
from config.texts import Errors, Read, refresh

from gateway.config.background.kinds import parse_json, parse_values
from gateway.config.document import Bare


def one(read: Read, text: str) -> object:
    """What `answer.one` reads as."""
    [found] = read(refresh(f"answer: {{one: {text}}}")).background_refreshes
    return found.answer.one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("yes", "yes"),
        ("5", 5),
        ("-5", -5),
        ("1.5e3", 1500.0),
        ("'5'", "5"),
        ('"true"', "true"),
        ("'null'", "null"),
        ("05", "05"),
        ("0x10", "0x10"),
        (".5", ".5"),
        ("1:30", "1:30"),
        ("12345678901234567890123", 12345678901234567890123.0),
        ("'${EMPTY:-5}'", "5"),
        ("''", ""),
        ("[1, '1', [true]]", [1, "1", [True]]),
        ("{a: 1, '2': {b: null}}", {"a": 1, "2": {"b": None}}),
        ("{}", {}),
        ("[]", []),
    ],
)
def test_json_is_typed_by_its_spelling(read: Read, text: str, value: object) -> None:
    found = one(read, text)
    assert found == value
    assert type(found) is type(value)
    assert not list(bare(found))


BLOCK = """\
upstreams: {a: {url: http://a}}
routes: [{}]
background_refreshes:
- name: b
  match: /b
  subject: id
  tags: t
  answer:
    one: ${EMPTY:-5}
"""


def test_what_is_substituted_is_text_without_quotes_as_well(read: Read) -> None:
    [found] = read(BLOCK).background_refreshes
    assert found.answer.one == "5"


@pytest.mark.parametrize("text", ["1e999", "[{a: -1e999}]"])
def test_numbers_that_json_cannot_hold(errors: Errors, text: str) -> None:
    assert errors(refresh(f"answer: {{one: {text}}}")) == [
        "4:72: background_refreshes[0].answer.one: must be a smaller number"
    ]


def test_what_comes_from_no_file_is_refused_where_it_is_none() -> None:
    assert parse_json(["1", Bare("1")]) == ["1", 1]
    with pytest.raises(ValueError, match="must be JSON"):
        parse_json(object())


@pytest.mark.parametrize(
    ("value", "values"),
    [(Bare("3"), (3,)), ("3", ("3",)), (None, (None,)), ([Bare("true"), "x", None], (True, "x", None))],
)
def test_values(value: object, values: tuple[object, ...]) -> None:
    assert parse_values(value) == values


@pytest.mark.parametrize("value", [[], {}, {"a": "1"}, [["1"]], ["1", {}]])
def test_no_values(value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_values(value)


NUMBERS = """\
upstreams: {1: {url: http://a, headers: {X-A: 1}, cost: {body: 2}}}
plans: {2: }
organizations: {3: {plan: 2}}
keys: [{id: 4, organization: 3, key: [5, true]}]
background_refreshes: [{name: 6, match: /b, subject: 7, since: 8, tags: [9, true], pages: {query: 1, page: 2}}]
routes:
- name: 10
  upstream: 1
  forward: 11
  cache: {tags: [true, 12], vary_on: {query_ignore: 13}}
  price: {options: [{name: 14, tokens: 1, when: {query_any: 15}}]}
  refresh: {query: [16], post_query: {17: 18}, upstream: {headers: {A: 19}}}
"""


def bare(value: object) -> Iterator[object]:
    """Every trace of how a text was spelled."""
    match value:
        case Bare():
            yield value
        case dict():
            for name, member in value.items():
                yield from (*bare(name), *bare(member))
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from bare(item)
        case _:
            return


def test_texts_that_look_like_numbers_are_texts(read: Read) -> None:
    config = read(NUMBERS)
    assert not list(bare(config.model_dump()))
    assert (config.keys[0].id, config.background_refreshes[0].tags) == ("4", ("9", "true"))
