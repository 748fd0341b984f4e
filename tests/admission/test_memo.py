from dataclasses import replace

import pytest
from admission.snapshots import ACCOUNT, KEY, make_request, make_snapshot, public_route, seed_route
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import memo
from gateway.admission.memo import Memo, Preparing
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import CachePolicy
from gateway.errors import Problem, Reason
from gateway.messages import Request

ITEM = "/v1/products/1"


class Counting:
    """A preparer that counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._preparer = Preparer(make_snapshot(seed_route()))

    def prepare(self, request: Request) -> Prepared:
        self.asked += 1
        return self._preparer.prepare(request)


def told(preparer: Preparing, request: Request) -> Prepared | Reason:
    """What comes of preparing: the request prepared, or why it is refused."""
    try:
        return preparer.prepare(request)
    except Problem as problem:
        return problem.reason


def taken_by_one() -> int:
    """Bytes that one head takes."""
    remembering = Memo(Counting())
    remembering.prepare(make_request(ITEM))
    return remembering._taken


@pytest.fixture
def counting() -> Counting:
    return Counting()


def test_the_same_head_is_prepared_once_and_speaks_of_its_own_request(counting: Counting) -> None:
    remembering = Memo(counting)
    first, second = make_request(ITEM), make_request(ITEM)
    one, other = remembering.prepare(first), remembering.prepare(second)
    assert counting.asked == 1
    assert (one.request is first, other.request is second) == (True, True)
    assert other == Preparer(make_snapshot(seed_route())).prepare(second)


def differing() -> list[Request]:
    return [
        make_request(ITEM),
        make_request(f"{ITEM}?include_offers=1"),
        make_request(ITEM, "HEAD"),
        make_request(ITEM, fields={"Accept": "a"}),
        make_request(ITEM, fields={"Accept": "b"}),
    ]


def test_any_other_head_is_another(counting: Counting) -> None:
    remembering = Memo(counting)
    for _ in range(2):
        found = [remembering.prepare(request) for request in differing()]
    assert counting.asked == len(found)
    assert [prepared.request.method for prepared in found] == ["GET", "GET", "HEAD", "GET", "GET"]


def never_remembered() -> list[tuple[str, Request]]:
    refused = make_request(ITEM, fields={"Authorization": "Bearer unknown"})
    return [
        ("refused", refused),
        ("content", make_request("/v1/products/1/refresh", "POST", body=True)),
        ("nominated fields", make_request(ITEM, fields={"Connection": "X-A", "X-A": "1"})),
        ("long", make_request(ITEM, fields={"X-A": "a" * 2048})),
        ("many fields", make_request(ITEM, fields={f"X-{number}": "" for number in range(32)})),
    ]


@pytest.mark.parametrize("request_", [r for _, r in never_remembered()], ids=[name for name, _ in never_remembered()])
def test_what_is_prepared_anew_each_time(counting: Counting, request_: Request) -> None:
    remembering = Memo(counting)
    for _ in range(2):
        told(remembering, request_)
    assert counting.asked == 2


def test_a_believed_peer_means_something_else_by_the_same_head() -> None:
    trusted = ("10.0.0.0/8",)
    route = public_route("/a", cache=CachePolicy())
    remembering = Memo(Preparer(make_snapshot(route, trusted_proxies=trusted)), trusted)
    request = make_request("/a", fields={"X-Forwarded-Host": "shop.example"})
    keys = [remembering.prepare(replace(request, peer=peer)).key for peer in ("10.0.0.1", "192.0.2.1", "10.0.0.2")]
    assert [key == keys[0] for key in keys] == [True, False, True]


def test_the_oldest_are_forgotten(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_ROOM", 2 * taken_by_one())
    remembering = Memo(counting)
    for item in (1, 2, 3, 3, 2, 1):
        remembering.prepare(make_request(f"/v1/products/{item}"))
    assert counting.asked == 4


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "HEAD", "POST"]),
            st.sampled_from([ITEM, f"{ITEM}?force_refresh=1", f"{ITEM}?force_refresh=x", "/nowhere"]),
            st.dictionaries(
                st.sampled_from(["Accept", "Authorization", "X-Api-Key", "Connection", "Expect"]),
                st.sampled_from(["Accept", "keep-alive", f"Bearer {KEY}", KEY, "100-continue"]),
            ),
        ),
        max_size=12,
    )
)
def test_a_memo_changes_nothing(asked: list[tuple[str, str, dict[str, str]]]) -> None:
    plain = Preparer(make_snapshot(seed_route()))
    remembering = Memo(plain)
    for method, target, fields in asked:
        request = make_request(target, method, fields=fields)
        assert told(remembering, request) == told(plain, request)


def test_what_is_forgotten_makes_all_its_room(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_ROOM", 2 * taken_by_one())
    remembering = Memo(counting)
    for _ in range(3):
        remembering.forget(ACCOUNT.id)
        for item in (1, 2, 1, 2):
            remembering.prepare(make_request(f"/v1/products/{item}"))
    assert counting.asked == 6


def test_a_thousand_heads_are_remembered(counting: Counting) -> None:
    remembering = Memo(counting)
    fields = {f"X-Field-{number}": "as libraries send" for number in range(5)}
    for number in [*range(1_000), 0]:
        remembering.prepare(make_request(f"/v1/products/{number}", fields=fields))
    assert counting.asked == 1_000


def test_only_the_heads_of_the_account_that_changed_are_forgotten(counting: Counting) -> None:
    remembering = Memo(counting)
    for changed, asked in (("another", 1), (ACCOUNT.id, 2)):
        remembering.prepare(make_request(ITEM))
        remembering.forget(changed)
        remembering.prepare(make_request(ITEM))
        assert counting.asked == asked


def test_it_gives_heads_back_a_few_at_a_time_and_goes_on(counting: Counting) -> None:
    remembering = Memo(counting)
    for number in range(5):
        remembering.prepare(make_request(f"/v1/products/{number}"))
    assert [remembering.shrink(2) for _ in range(3)] == [True, True, False]
    assert remembering._taken == 0
    remembering.prepare(make_request(ITEM))
    assert counting.asked == 6
