"""Where an API key may stand, what is refused, and which fields and parameters hold credentials."""

from base64 import b64encode
from dataclasses import replace

import pytest
from admission.snapshots import ACCEPT, ACCOUNT, digest, make_route, make_snapshot, public_route
from multidict import CIMultiDict

from gateway.admission.keys import credential_fields, credential_parameters, find_account, withheld_fields
from gateway.admission.minting import mint
from gateway.admission.snapshot import Account, KeySource, Plan, Snapshot
from gateway.admission.target import canonical
from gateway.errors import Problem, Reason

KEY = "rk_live_alpha"
PAIR = Account("pair", "acme", Plan("pro"), "pair")
SPACED = Account("spaced", "acme", Plan("pro"), "spaced")
OCTETS = Account("octets", "acme", Plan("pro"), "octets")
KEYS = {
    digest(KEY.encode()): ACCOUNT,
    digest(b"user:pass:word"): PAIR,
    digest(b"Token abc"): SPACED,
    digest(b"\xff"): OCTETS,
}
SNAPSHOT = make_snapshot(keys=KEYS, accept=(*ACCEPT, KeySource("query", "api[key]")))


def basic(pair: str) -> str:
    return "Basic " + b64encode(pair.encode()).decode()


def find(target: str, *fields: tuple[str, str], snapshot: Snapshot = SNAPSHOT) -> Account:
    return find_account(snapshot, CIMultiDict(fields), canonical(target).query)


def refusal(target: str, *fields: tuple[str, str], snapshot: Snapshot = SNAPSHOT) -> Problem:
    with pytest.raises(Problem) as caught:
        find(target, *fields, snapshot=snapshot)
    return caught.value


FOUND = {
    "RFC 6750 §2.1": ([("Authorization", f"Bearer {KEY}")], ACCOUNT),
    "RFC 9110 §11.1 scheme in any case": ([("authorization", f"bEARER   {KEY} ")], ACCOUNT),
    "RFC 7617 user and password": ([("Authorization", basic("user:pass:word"))], PAIR),
    "RFC 7617 no password": ([("Authorization", basic(f"{KEY}:"))], ACCOUNT),
    "Basic without a colon": ([("Authorization", basic(KEY))], ACCOUNT),
    "a field of its own": ([("x-api-key", KEY)], ACCOUNT),
    "Authorization without a scheme": ([("Authorization", KEY)], ACCOUNT),
    "Authorization with a scheme of its own": ([("Authorization", "Token abc")], SPACED),
    "octets as sent": ([("X-Api-Key", "\udcff")], OCTETS),
    "the same key twice": ([("Authorization", f"Bearer {KEY}"), ("X-Api-Key", KEY), ("X-Api-Key", KEY)], ACCOUNT),
    "an empty field says nothing": ([("X-Api-Key", ""), ("Authorization", KEY)], ACCOUNT),
}


@pytest.mark.parametrize(("fields", "account"), FOUND.values(), ids=FOUND)
def test_found(fields: list[tuple[str, str]], account: Account) -> None:
    assert find("/", *fields) is account


@pytest.mark.parametrize("target", [f"/?api[key]={KEY}", f"/?x&api%5bkey%5D=%72{KEY[1:]}&api[key]="])
def test_found_in_the_query(target: str) -> None:
    assert find(target) is ACCOUNT


REFUSED = {
    "none": ([], Reason.missing_key),
    "an empty scheme": ([("Authorization", "Bearer ")], Reason.missing_key),
    "an empty Basic": ([("Authorization", "Basic")], Reason.missing_key),
    "an empty Authorization": ([("Authorization", "")], Reason.missing_key),
    "unknown": ([("Authorization", "Bearer other")], Reason.unknown_key),
    "the scheme is no part of the key": ([("X-Api-Key", f"Bearer {KEY}")], Reason.unknown_key),
    "not Base64": ([("Authorization", "Basic =")], Reason.unknown_key),
    "junk within Base64": ([("Authorization", basic(KEY)[:-4] + "!" + basic(KEY)[-4:])], Reason.unknown_key),
    "not ASCII": ([("Authorization", "Basic \udcff")], Reason.unknown_key),
    "a raw key under Basic": ([("Authorization", f"Basic {KEY}")], Reason.unknown_key),
    "two known keys": ([("Authorization", f"Bearer {KEY}"), ("X-Api-Key", "\udcff")], Reason.conflicting_keys),
    "known and unknown": ([("Authorization", f"Bearer {KEY}"), ("X-Api-Key", "x")], Reason.conflicting_keys),
    "one field, two keys": ([("X-Api-Key", KEY), ("X-Api-Key", "x")], Reason.conflicting_keys),
    "Authorization repeated": ([("Authorization", KEY), ("Authorization", KEY)], Reason.malformed_request),
}


@pytest.mark.parametrize(("fields", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(fields: list[tuple[str, str]], reason: Reason) -> None:
    problem = refusal("/", *fields)
    assert problem.reason is reason
    challenged = (("WWW-Authenticate", 'Bearer realm="gateway"'), ("WWW-Authenticate", 'Basic realm="gateway"'))
    assert problem.fields == (challenged if reason.status == 401 else ())


def test_two_keys_in_the_query_conflict() -> None:
    assert refusal("/?api[key]=a&api[key]=b").reason is Reason.conflicting_keys
    assert refusal(f"/?api[key]={KEY}", ("X-Api-Key", "x")).reason is Reason.conflicting_keys


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        (KeySource("header", "X-Api-Key"), [("Authorization", f"Bearer {KEY}")]),
        (KeySource("bearer"), [("Authorization", basic(f"{KEY}:")), ("X-Api-Key", KEY)]),
        (KeySource("basic"), [("Authorization", f"Bearer {KEY}")]),
        (KeySource("header", "authorization"), [("Authorization", f"Bearer {KEY}")]),
    ],
    ids=["header", "bearer", "basic", "raw"],
)
def test_only_accepted_places_count(source: KeySource, fields: list[tuple[str, str]]) -> None:
    snapshot = make_snapshot(accept=(source,))
    assert refusal(f"/?api_key={KEY}", *fields, snapshot=snapshot).reason is Reason.missing_key


@pytest.mark.parametrize("key", ["rk_test_any text", mint(lambda most: 7, test=True)], ids=["configured", "made"])
def test_a_test_key_makes_the_account_a_test_one(key: str) -> None:
    snapshot = make_snapshot(keys={digest(key.encode()): ACCOUNT})
    assert find("/", ("X-Api-Key", key), snapshot=snapshot) == replace(ACCOUNT, test=True)


def test_a_test_account_is_not_made_again() -> None:
    account, key = replace(ACCOUNT, test=True), "rk_test_alpha"
    assert find("/", ("X-Api-Key", key), snapshot=make_snapshot(keys={digest(key.encode()): account})) is account


WHOLE = mint(lambda most: 7, test=False)
WORDED = {
    "mistyped": (WHOLE[:12] + "x" + WHOLE[13:], "The API key is mistyped: its checksum does not fit."),
    "whole, and unknown": (WHOLE, None),
    "not as keys are made": (WHOLE[:-1], None),
    "no text at all": ("\udcff" + WHOLE[1:], None),
}


@pytest.mark.parametrize(("key", "detail"), WORDED.values(), ids=WORDED)
def test_a_checksum_words_the_refusal_and_decides_nothing(key: str, detail: str | None) -> None:
    problem = refusal("/", ("X-Api-Key", key))
    assert (problem.reason, problem.detail) == (Reason.unknown_key, detail)
    known = make_snapshot(keys={digest(key.encode("utf-8", "surrogateescape")): ACCOUNT})
    assert find("/", ("X-Api-Key", key), snapshot=known) is ACCOUNT


def test_there_is_always_a_challenge() -> None:
    snapshot = make_snapshot(accept=(KeySource("header", "X-Api-Key"),))
    assert refusal("/", snapshot=snapshot).fields == (("WWW-Authenticate", 'ApiKey realm="gateway"'),)


def test_where_credentials_may_be() -> None:
    assert credential_fields(SNAPSHOT) == {"authorization", "proxy-authorization", "x-api-key"}
    assert credential_parameters(SNAPSHOT) == {"api%5Bkey%5D"}


def test_credentials_end_here_unless_they_are_the_upstreams() -> None:
    route = make_route()
    assert withheld_fields(route, SNAPSHOT) == credential_fields(SNAPSHOT)
    assert withheld_fields(public_route(), SNAPSHOT) == frozenset()
    assert withheld_fields(route, make_snapshot(route, credentials="client")) == frozenset()
