"""Further pages: which targets are asked for, and how little a page's lies can do."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.background import PagesPolicy
from gateway.admission.paging import further
from gateway.admission.target import canonical
from gateway.errors import Problem

PAGES = PagesPolicy(most=5)


def told(page: object, pages: object) -> bytes:
    return json.dumps({"orders": [], "total": 3, "page": page, "pages": pages}).encode()


TARGETS = {
    "added": ("/orders", ["/orders?page=2", "/orders?page=3"]),
    "added behind others": ("/orders?a=1&b", ["/orders?a=1&b&page=2", "/orders?a=1&b&page=3"]),
    "replaced": ("/orders?page=1", ["/orders?page=2", "/orders?page=3"]),
    "replaced in its place": ("/orders?a=1&page=1&b=2", ["/orders?a=1&page=2&b=2", "/orders?a=1&page=3&b=2"]),
    "without a value": ("/orders?page&a", ["/orders?page=2&a", "/orders?page=3&a"]),
    "repeated": ("/o?page=1&a=1&page=9&a=2", ["/o?page=2&a=1&a=2", "/o?page=3&a=1&a=2"]),
    "spelled otherwise": ("/orders?%70age=1", ["/orders?page=2", "/orders?page=3"]),
    "another case": ("/orders?Page=7", ["/orders?Page=7&page=2", "/orders?Page=7&page=3"]),
    "values are left as they are": ("/o?q=a%2Fb+c", ["/o?q=a%2Fb+c&page=2", "/o?q=a%2Fb+c&page=3"]),
}


@pytest.mark.parametrize(("target", "expected"), TARGETS.values(), ids=TARGETS)
def test_targets(target: str, expected: list[str]) -> None:
    assert further(PAGES, target, told(1, 3)) == tuple(expected)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("/o", "/o?page%5Bnumber%5D=2", id="added in canonical form"),
        pytest.param("/o?page[number]=1", "/o?page%5Bnumber%5D=2", id="replaced"),
    ],
)
def test_a_name_that_is_encoded(target: str, expected: str) -> None:
    pages = PagesPolicy(query="page[number]", page=("meta", "at"), pages=("meta", "of"))
    assert further(pages, target, b'{"meta": {"at": 1, "of": 2}}') == (expected,)


def test_a_clients_spelling_of_the_name_is_kept() -> None:
    assert further(PagesPolicy(query="p$"), "/o?p%24=1", told(1, 2)) == ("/o?p%24=2",)


NUMBERS = {
    "the first": (1, 3, [2, 3]),
    "one in the middle": (2, 3, [3]),
    "the last": (3, 3, []),
    "the only one": (1, 1, []),
    "none at all": (1, 0, []),
    "text": ("1", "3", [2, 3]),
    "one number type": (1.0, 3e0, [2, 3]),
    "bounded": (1, 10**9, [2, 3, 4, 5]),
    "bounded by the page's number": (4, 10**9, [5]),
    "at the bound": (5, 10**9, []),
    "beyond the bound": (10**9, 10**9 + 5, []),
    "beyond its own": (4, 3, []),
    "page 0": (0, 3, []),
    "negative": (-1, 3, []),
    "negative pages": (1, -3, []),
    "huge": (1, 10**40, []),
    "huge text": (1, "9" * 5000, []),
    "fractions": (1.5, 3, []),
    "null": (None, 3, []),
    "a flag": (True, 3, []),
    "an array": (1, [3], []),
    "words": ("one", "three", []),
}


@pytest.mark.parametrize(("page", "pages", "numbers"), NUMBERS.values(), ids=NUMBERS)
def test_numbers(page: object, pages: object, numbers: list[int]) -> None:
    assert further(PAGES, "/o", told(page, pages)) == tuple([f"/o?page={number}" for number in numbers])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"page 1 of 3", id="no JSON"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[1, 3]", id="an array"),
        pytest.param(b'{"page": 1}', id="not of how many"),
        pytest.param(b'{"pages": 3}', id="not which"),
        pytest.param(b'{"page": 1, "pages": 3', id="cut short"),
        pytest.param(b'{"page": 1, "pages": ' + b"9" * 5000 + b"}", id="thousands of digits"),
        pytest.param(b'{"page": 1, "pages": NaN}', id="NaN"),
        pytest.param(b'{"page": 1, "pages": 3, "deep": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", id="deep"),
        pytest.param(b"\xff\xfe{}", id="no UTF-8"),
    ],
)
def test_content_that_does_not_say_has_no_further_pages(content: bytes) -> None:
    assert further(PAGES, "/o", content) == ()


@given(st.binary() | st.recursive(st.integers() | st.text() | st.none(), st.lists).map(lambda v: told(v, v)))
def test_no_content_is_more_than_ignored(content: bytes) -> None:
    assert len(further(PAGES, "/o", content)) <= 4


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_the_first_page_gives_all_that_later_ones_do(most: int, page: int, pages: int) -> None:
    policy = PagesPolicy(most=most)
    every = further(policy, "/o?page=1", told(1, pages))
    assert set(further(policy, f"/o?page={page}", told(page, pages))) <= set(every)
    assert len(every) == min(most, pages) - 1
    assert all(canonical(target).render() == target for target in every)


AHEAD = {
    "the first tells all": (1, 9, [2, 3, 4, 5, 6, 7, 8, 9]),
    "another so many": (2, 9, [3, 4]),
    "or those there are": (8, 9, [9]),
    "the last may have a successor by now": (9, 10, [10]),
}


@pytest.mark.parametrize(("page", "count", "numbers"), AHEAD.values(), ids=AHEAD)
def test_not_every_page_tells_all_that_come_after(page: int, count: int, numbers: list[int]) -> None:
    """A list of a thousand pages named half a million of them."""
    targets = further(PagesPolicy(), "/o", told(page, count), ahead=2)
    assert targets == tuple([f"/o?page={number}" for number in numbers])


def test_a_target_that_is_none_is_refused() -> None:
    with pytest.raises(Problem):
        further(PAGES, "/a/../b", told(1, 2))


def test_where_the_route_sorts_queries_a_page_is_asked_for_as_its_clients_ask() -> None:
    """One stored response was fetched twice: as `pageSize=5&page=2`, and as the list that was stored already."""
    assert further(PAGES, "/o?pageSize=5", told(1, 2), sort=True) == ("/o?page=2&pageSize=5",)
    assert further(PAGES, "/o?pageSize=5", told(1, 2)) == ("/o?pageSize=5&page=2",)
