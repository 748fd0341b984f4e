"""Lists of subjects, conditions on content, and what makes a list unbelievable."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.background import Condition, Json, ListPolicy
from gateway.admission.listing import meets, member, read

ACTIVE = (Condition(("active",), (True,)),)
STORES = ListPolicy("/stores", id=("storeId",), refreshable=ACTIVE)
NESTED = ListPolicy("/stores", id=("store", "id"), items=("data", "stores"))


def test_a_list() -> None:
    content = b'[{"storeId": 1, "active": true}, {"storeId": "002", "active": false}, {"storeId": 3.0, "x": null}]'
    assert read(STORES, "number", content) == {"1": True, "2": False, "3": False}


def test_members_of_members() -> None:
    content = b'{"data": {"stores": [{"store": {"id": 12345}}]}}'
    assert read(NESTED, "number", content) == {"12345": True}


def test_text_and_bare_ids() -> None:
    assert read(ListPolicy("/", id=()), "text", '["a", "é b"]'.encode()) == {"a": True, "é b": True}


def test_an_empty_list() -> None:
    assert read(STORES, "number", b"[]") == {}


def test_the_last_of_one_id_counts() -> None:
    content = b'[{"storeId": 1, "active": false}, {"storeId": "1", "active": true}]'
    assert read(STORES, "number", content) == {"1": True}


UNBELIEVABLE = {
    "no JSON": (STORES, b"<html>", "not JSON"),
    "empty": (STORES, b"", "not JSON"),
    "cut short": (STORES, b'[{"storeId": 1}', "not JSON"),
    "deep": (STORES, b"[" * 50_000 + b"]" * 50_000, "not JSON"),
    "null": (STORES, b"null", "the content is no array"),
    "an object": (STORES, b'{"stores": []}', "the content is no array"),
    "no items": (NESTED, b'{"data": {}}', r"`data\.stores` is missing"),
    "nothing to hold items": (NESTED, b'{"data": 1}', r"`data\.stores` is missing"),
    "items are no array": (NESTED, b'{"data": {"stores": {"1": {}}}}', r"`data\.stores` is no array"),
    "an item is no object": (STORES, b'[{"storeId": 1}, 2]', "item 2: `storeId` is missing"),
    "an item without its id": (STORES, b'[{"storeId": 1}, {"id": 2}]', "item 2: `storeId` is missing"),
    "an item's id is within nothing": (NESTED, b'{"data": {"stores": [{"store": 7}]}}', r"`store\.id` is missing"),
    "null for an id": (STORES, b'[{"storeId": null}]', "item 1: `storeId` is no whole number"),
    "an array for an id": (STORES, b'[{"storeId": [1]}]', "item 1: `storeId` is no whole number"),
    "a flag for an id": (STORES, b'[{"storeId": true}]', "item 1: `storeId` is no whole number"),
    "a word for an id": (STORES, b'[{"storeId": "secret"}]', "item 1: `storeId` is no whole number"),
    "0 for an id": (STORES, b'[{"storeId": 0}]', "item 1: `storeId` is no whole number"),
}


@pytest.mark.parametrize(("policy", "content", "why"), UNBELIEVABLE.values(), ids=UNBELIEVABLE)
def test_a_list_that_cannot_be_read_whole_is_refused(policy: ListPolicy, content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read(policy, "number", content)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"[7]", b'[""]', b'["a\\u0000"]', b'["\\u2028"]'])
def test_text_ids_are_text(content: bytes) -> None:
    with pytest.raises(ValueError, match="item 1: the content is no printable text"):
        read(ListPolicy("/", id=()), "text", content)


@given(st.dictionaries(st.integers(1, 2**53), st.booleans()))
def test_every_item_counts(stores: dict[int, bool]) -> None:
    content = json.dumps([{"storeId": number, "active": active} for number, active in stores.items()]).encode()
    assert read(STORES, "number", content) == {str(number): active for number, active in stores.items()}


ITEMS = st.fixed_dictionaries({}, optional={"storeId": st.none() | st.integers() | st.text() | st.floats()}) | st.none()


@given(st.lists(ITEMS).map(lambda items: json.dumps(items).encode()) | st.binary())
def test_any_content_is_read_or_refused(content: bytes) -> None:
    with suppress(ValueError):
        found = read(STORES, "number", content)
        assert all(str(int(subject)) == subject for subject in found)
        assert len(found) <= len(json.loads(content))


CONDITIONS: dict[str, tuple[object, object, bool]] = {
    "equal": (3, 3, True),
    "another": (3, 4, False),
    "text": ("on", "on", True),
    "another case": ("on", "On", False),
    "true": (True, True, True),
    "true is not 1": (True, 1, False),
    "1 is not true": (1, True, False),
    "false is not 0": (False, 0, False),
    "0 is not false": (0, False, False),
    "one number type": (1, 1.0, True),
    "text is no number": (3, "3", False),
    "null": (None, None, True),
    "null is not false": (False, None, False),
    "an array": (1, [1], False),
    "an object": (1, {"1": 1}, False),
}


@pytest.mark.parametrize(("wanted", "found", "holds"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions(wanted: bool | float | str | None, found: Json, holds: bool) -> None:
    document: Json = {"a": {"b": found}}
    assert meets((Condition(("a", "b"), (wanted,)),), document) is holds
    assert meets((Condition(("a", "b"), ("other", wanted)),), document) is holds


@pytest.mark.parametrize("document", [{}, {"a": None}, {"a": [{"b": None}]}, [], "ab", 7, None])
def test_what_is_missing_is_equal_to_nothing(document: Json) -> None:
    assert not meets((Condition(("a", "b"), (None, False, 0, "")),), document)


def test_all_conditions_must_hold() -> None:
    first, second = Condition(("a",), (1, 2)), Condition(("b",), (1,))
    assert meets((first, second), {"a": 2, "b": 1})
    assert not meets((first, second), {"a": 2, "b": 2})
    assert not meets((first, second), {"a": 3, "b": 1})
    assert meets((), {})


def test_members() -> None:
    document: Json = {"a": {"b": [1]}}
    assert member(document, ("a", "b")) == [1]
    assert member(document, ()) is document
    with pytest.raises(ValueError, match=r"`a\.c` is missing"):
        member(document, ("a", "c"))
