"""A stored response: what goes in packed comes out again, and what may change of it does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rfc9111.variants import STORED

from gateway.messages import Splice
from gateway.rfc9111.stored import PARAMETERS, StoredResponse, Terms

TEXTS = st.text(st.characters(), max_size=12)
TIMES = st.floats(0, 4e9)
CONTENT = b'{"title":"Cookware"}'
CUT = Splice(CONTENT[:-1], comma=True)
GIVEN: dict[str, st.SearchStrategy[Any]] = {
    "key": TEXTS,
    "status": st.integers(100, 999),
    "reason": TEXTS,
    "head": st.binary(max_size=40),
    "body": st.sampled_from([b"", CONTENT, CONTENT * 1000]) | st.binary(max_size=80),
    "terms": st.builds(
        Terms,
        lifetime=st.none() | TIMES,
        heuristic=st.none() | TIMES,
        no_cache=st.booleans(),
        must_revalidate=st.booleans(),
        stale_while_revalidate=st.none() | TIMES,
        stale_if_error=st.none() | TIMES,
        immutable=st.booleans(),
        date=TIMES,
    ),
    "selecting": st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
    "etag": st.none() | TEXTS,
    "last_modified": st.none() | TEXTS,
    "began": TIMES,
    "received": TIMES,
    "initial_age": TIMES,
    "groups": st.lists(TEXTS, max_size=3).map(tuple),
    "forced": st.booleans(),
    "outdated": st.booleans(),
    "invalid": st.booleans(),
    "splice": st.none()
    | st.builds(Splice, st.just(CONTENT[:-1]) | st.binary(max_size=9), st.booleans())
    | st.builds(Splice, st.just(CONTENT[:-1]), st.booleans(), st.binary(max_size=9), st.integers(0, 2**32 - 1)),
    "purged": TIMES,
    "hits": st.integers(-1, 9),
}


def told(stored: StoredResponse) -> dict[str, Any]:
    return {name: getattr(stored, name) for name in PARAMETERS}


@given(st.fixed_dictionaries(GIVEN))
def test_all_that_is_given_is_told(given: dict[str, Any]) -> None:
    stored = StoredResponse(**given)
    assert told(stored) == given
    assert stored.is_purged == (given["purged"] > given["began"])
    assert stored.length == len(given["body"])


@given(st.fixed_dictionaries(GIVEN), st.fixed_dictionaries({}, optional=GIVEN))
def test_a_copy_differs_in_what_is_said_and_leaves_the_original(given: dict[str, Any], changes: dict[str, Any]) -> None:
    stored = StoredResponse(**given)
    assert told(stored.replaced(**changes)) == given | changes
    assert told(stored) == given


@pytest.mark.parametrize("name", ["outdated", "invalid"])
def test_what_is_said_of_it_later_changes_nothing_else(name: str) -> None:
    stored = STORED.replaced(splice=None)
    for said in (True, False):
        setattr(stored, name, said)
        assert told(stored) == told(STORED.replaced(**{name: said}))


def test_it_becomes_another_and_stays_itself() -> None:
    stored = STORED.replaced(body=CONTENT, hits=3, purged=5.0, outdated=True)
    stored.checked = 7
    packed = Splice(CUT.opened, True, b"packed", 9)
    stored.become(head=b"X: y\r\n", splice=packed)
    assert told(stored) == told(STORED) | {
        "body": CONTENT,
        "head": b"X: y\r\n",
        "hits": 3,
        "outdated": True,
        "purged": 5.0,
        "splice": packed,
    }
    assert stored.checked == 7


@pytest.mark.parametrize("times", [1, 1000], ids=["short", "long"])
def test_content_that_is_cut_open_is_held_once(times: int) -> None:
    body = b'{"title":"%b"}' % (b"Cookware" * times)
    stored = STORED.replaced(body=body, splice=Splice(body[:-1], comma=True))
    assert sum(len(text) for text in stored.texts if text is not None) < len(body) + 200


def test_long_content_is_kept_as_it_came() -> None:
    body = bytes(10_000)
    assert STORED.replaced(body=body).body is body


def test_equal_field_sections_are_one_and_belong_to_the_first() -> None:
    first, second = (STORED.replaced(head=b"".join([b"X: only", b" here\r\n"])) for _ in range(2))
    assert second.head is first.head
    assert first.head in first.texts
    assert second.head not in second.texts
    longest = b"X: %b\r\n" % bytes(2000)
    assert STORED.replaced(head=longest).head is longest
