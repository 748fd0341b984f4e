"""Idempotency-Key: which requests claim a key, in which spelling, and who is kept out meanwhile."""

from collections.abc import Iterator

import pytest
from admission.snapshots import make_request, prepare, public_route, seed_route
from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample
from support.repeating import CHARGE, REFRESH, ROUTE, Desk, desk_on_a_book, reason, refresh

from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import CachePolicy
from gateway.errors import Problem, Reason
from gateway.rfc9111.stored import Policy


@pytest.fixture
def desk() -> Iterator[Desk]:
    with desk_on_a_book() as opened:
        yield opened


UNCLAIMED = {
    "no field": refresh(None),
    "lookup": refresh(target="/v1/products/1"),
    "flag off": refresh(target="/v1/products/1?force_refresh=0"),
    "pass": prepare(seed_route(methods=None), make_request("/v1/products/1", "POST", {"Idempotency-Key": "k"})),
    "public": prepare(public_route(), make_request("/public/1", fields={"Idempotency-Key": "k"})),
    "nominated": prepare(
        ROUTE, make_request(REFRESH, fields={"Idempotency-Key": "k", "Connection": "Idempotency-Key"})
    ),
}


@pytest.mark.parametrize("prepared", UNCLAIMED.values(), ids=UNCLAIMED.keys())
def test_what_claims_nothing(desk: Desk, prepared: Prepared) -> None:
    assert desk.idempotency.claim(prepared) is None
    assert desk.idempotency.claim(prepared) is None


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", REFRESH), ("HEAD", REFRESH), ("POST", "/v1/products/1/refresh")],
)
def test_every_way_to_refresh_claims_its_key(desk: Desk, method: str, target: str) -> None:
    desk.claim("k", target, method)
    assert reason(desk, refresh("k", target, method)) is Reason.request_in_progress


SAME = {
    "8941-3.3.3 quoted": ("8e03978e-40d5-43e8", '"8e03978e-40d5-43e8"'),
    "8941-3.3.3 escaped": (r"a\"b", r'"a\\\"b"'),
    "8941-3.3.3 only escapes": (r'"\"\""', r'"\"\""'),
    "blanks around": ("k", " \tk "),
    "longest": ("k" * 255, f'"{"k" * 255}"'),
    "quote inside": ('a"b', r'"a\"b"'),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_one_key_in_two_spellings(desk: Desk, one: str, other: str) -> None:
    desk.claim(one)
    assert reason(desk, refresh(other)) is Reason.request_in_progress


@pytest.mark.parametrize(("one", "other"), [("k", "K"), ("a-b", "ab"), (r"a\b", r'"ab"')])
def test_other_keys_are_others(desk: Desk, one: str, other: str) -> None:
    desk.claim(one)
    desk.claim(other)


@given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255))
def test_any_string_is_a_key_and_visible_ones_need_no_quotes(text: str) -> None:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    with desk_on_a_book() as desk:
        desk.claim(quoted)
        assert reason(desk, refresh(quoted)) is Reason.request_in_progress
        if " " not in text and not text.startswith('"'):
            assert reason(desk, refresh(text)) is Reason.request_in_progress


MALFORMED = {
    "empty": "",
    "blank": "  ",
    "too long": "k" * 256,
    "too long quoted": f'"{"k" * 256}"',
    "empty string": '""',
    "blank inside": "a b",
    "list": "a, b",
    "beyond ASCII": "k\udce9",
    "control": "a\tb",
    "unended": '"abc',
    "unended escape": '"abc\\"',
    "bad escape": r'"a\b"',
    "two strings": '"a""b"',
    "8941-3.1.2 parameter": '"a"; b=1',
    "line end behind": "k\n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_key(desk: Desk, text: str) -> None:
    assert reason(desk, refresh(text)) is Reason.malformed_request


def test_a_key_comes_in_one_field(desk: Desk) -> None:
    prepared = refresh("k")
    prepared.request.fields.add("idempotency-key", "k")  # type: ignore[union-attr]
    assert reason(desk, prepared) is Reason.malformed_request


def test_a_repeat_waits_until_the_first_has_left(desk: Desk) -> None:
    first = desk.claim()
    with pytest.raises(Problem) as caught:
        desk.claim()
    assert (caught.value.reason, caught.value.retry_after) == (Reason.request_in_progress, 1)
    first.end()
    second = desk.claim()
    # The first may say so twice: it must not let a third one in.
    first.end()
    assert reason(desk, refresh()) is Reason.request_in_progress
    second.end()


def test_keys_are_each_accounts_own(desk: Desk) -> None:
    desk.claim()
    desk.claim(account="other")


OTHERS = {
    "method": refresh(method="HEAD"),
    "path": refresh(target="/v1/products/2?force_refresh=1"),
    "option": refresh(target=f"{REFRESH}&include_offers=true"),
    "parameter": refresh(target=f"{REFRESH}&a=1"),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
async def test_another_request_may_not_use_the_key(desk: Desk, other: Prepared) -> None:
    claim = desk.claim()
    assert reason(desk, other) is Reason.idempotency_key_reused
    desk.book.keep(claim.kept(CHARGE, sample()))
    claim.end()
    late = desk.idempotency.claim(other)
    assert late is not None
    with pytest.raises(Problem) as caught:
        await desk.idempotency.earlier(late)
    assert caught.value.reason is Reason.idempotency_key_reused


def test_what_the_cache_keeps_apart_is_another_request(desk: Desk) -> None:
    varying = seed_route(cache=CachePolicy(Policy(ttl=1.0), vary_on=("X-Region",)))
    for region, refusal in (("eu", None), ("us", Reason.idempotency_key_reused), ("eu", Reason.request_in_progress)):
        request = make_request(REFRESH, fields={"Idempotency-Key": "k", "X-Region": region})
        assert reason(desk, prepare(varying, request)) is refusal


def test_what_the_cache_leaves_out_is_the_same_request(desk: Desk) -> None:
    route = seed_route(cache=CachePolicy(Policy(ttl=1.0), query_ignore=frozenset({"utm_source"}), query_sort=True))
    desk.claim(target=f"{REFRESH}&b=1&a=2", route=route)
    again = refresh(target=f"{REFRESH}&a=2&utm_source=x&b=1", route=route)
    assert reason(desk, again) is Reason.request_in_progress
