"""The three books held against each other: each kind of difference is found, and none is found where all is well."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from crash.books import Plain, Posted, Reading
from crash.load import KINDS, Asked, Client, Kind
from crash.reconcile import differences

CLIENT = Client("c", "secret", random.Random(1))
LOOKUP = Kind(1, "GET", "/v1/products/1", 1)
PRICED = Kind(1, "GET", "/v1/products/1?include_offers=true", 6)


def asked(kind: Kind, **seen: object) -> Asked:
    request = Asked(CLIENT, "c-1", kind, kind.target, None)
    for name, value in seen.items():
        setattr(request, name, value)
    return request


def answered(kind: Kind, consumed: int, receipt: str | None = None) -> Asked:
    return asked(kind, status=200, consumed=consumed, receipt=receipt)


def recorded(*operations: int, outcome: str = "miss", refunded: int = 0) -> Reading:
    posted = Posted(Counter(operations), [outcome] * len(operations), 6 * len(operations), refunded)
    return Reading(requests={"c-1": posted}, charged={"c": posted.tokens})


def counted(tokens: int, fetched: int = 0) -> Reading:
    return Reading(plain={"c": Plain(tokens, fetched)}, charged={"c": tokens})


ONE, TWO, NONE = Counter({"c-1": 1}), Counter({"c-1": 2}), Counter[str]()
NOTHING = Reading()
RELEASED = Reading(requests={"c-1": Posted(outcomes=["abandoned"])})

EXPLAINED = {
    "a lookup": (answered(LOOKUP, 1), counted(1), NONE),
    "a fetched lookup": (answered(LOOKUP, 1), counted(1, fetched=1), ONE),
    "a lost lookup, charged": (asked(LOOKUP), counted(1), NONE),
    "a lost lookup, free": (asked(LOOKUP), NOTHING, NONE),
    "a priced hit": (answered(PRICED, 6, "rcpt_a"), recorded(10, outcome="hit"), NONE),
    "a priced miss": (answered(PRICED, 6, "rcpt_a"), recorded(10), ONE),
    "a lost priced miss, charged": (asked(PRICED), recorded(10), ONE),
    "a lost priced miss, released": (asked(PRICED), RELEASED, ONE),
    "a refusal": (asked(PRICED, status=402), NOTHING, NONE),
    "a broken stream": (asked(PRICED, cut=True, outlived=True), recorded(10, refunded=6), ONE),
}

UNEXPLAINED = {
    "a lookup that is not recorded": (answered(LOOKUP, 1), NOTHING, NONE),
    "a lookup that is recorded twice": (answered(LOOKUP, 1), counted(2), NONE),
    "a lost lookup that is recorded twice": (asked(LOOKUP), counted(2), NONE),
    "a lookup's call without a reservation": (answered(LOOKUP, 1), counted(1), ONE),
    "an acknowledged charge that is lost": (answered(PRICED, 6, "rcpt_a"), NOTHING, NONE),
    "an acknowledged charge that is released": (answered(PRICED, 6, "rcpt_a"), RELEASED, ONE),
    "a charge that was acknowledged as free": (answered(PRICED, 0), recorded(10), ONE),
    "a second charge": (answered(PRICED, 6, "rcpt_a"), recorded(10, 11), ONE),
    "a second charge of what was lost": (asked(PRICED), recorded(10, 11), ONE),
    "another receipt": (answered(PRICED, 6, "rcpt_b"), recorded(10), ONE),
    "no receipt": (answered(PRICED, 6), recorded(10), ONE),
    "a call without a reservation": (asked(PRICED), NOTHING, ONE),
    "two calls": (asked(PRICED), recorded(10), TWO),
    "a miss without a call": (answered(PRICED, 6, "rcpt_a"), recorded(10), NONE),
    "a broken stream that is not refunded": (asked(PRICED, cut=True, outlived=True), recorded(10), ONE),
    "a call that nobody asked for": (answered(LOOKUP, 1), counted(1), Counter({"x": 1})),
    "a record that nobody asked for": (
        answered(LOOKUP, 1),
        replace(counted(1), requests={"x": Posted()}),
        NONE,
    ),
    "a balance that drifts": (answered(LOOKUP, 1), replace(counted(1), charged={"c": 2}), NONE),
    "a balance that does not add up": (answered(LOOKUP, 1), replace(counted(1), unsound=["c: negative"]), NONE),
}


@pytest.mark.parametrize(("request_", "after", "calls"), EXPLAINED.values(), ids=EXPLAINED.keys())
def test_explained(request_: Asked, after: Reading, calls: Counter[str]) -> None:
    assert differences([request_], NOTHING, after, calls, {"c": "c"}) == []


@pytest.mark.parametrize(("request_", "after", "calls"), UNEXPLAINED.values(), ids=UNEXPLAINED.keys())
def test_unexplained(request_: Asked, after: Reading, calls: Counter[str]) -> None:
    assert differences([request_], NOTHING, after, calls, {"c": "c"}) != []


def test_what_was_there_before_is_not_counted_again() -> None:
    before, after = counted(5, fetched=2), counted(6, fetched=3)
    assert differences([answered(LOOKUP, 1)], before, after, ONE, {"c": "c"}) == []


def test_the_mix_has_every_kind_of_operation() -> None:
    targets = {kind.target.partition("{")[0] for kind in KINDS}
    assert {"/v1/products/", "/v1/products/failing-", "/streams/whole-", "/streams/broken-"} <= targets
    assert {kind.method for kind in KINDS if kind.keyed} == {"GET", "POST"}
