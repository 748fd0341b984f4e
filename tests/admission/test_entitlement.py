"""Scopes, expiry and X-Max-Tokens."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
from admission.snapshots import ACCOUNT
from multidict import CIMultiDict

from gateway.admission.charge import Quote
from gateway.admission.entitlement import max_tokens, refuse_beyond, refuse_expired
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Account, Scope
from gateway.errors import Problem, Reason

LOOKUP = Quote(6, lines=(("base", 1), ("offers", 5)))
FORCED = Quote(6, 3, forced=True, lines=(("base", 1), ("offers", 5), ("force_refresh", 3)))
READER = replace(ACCOUNT, scopes=frozenset({Scope.lookup}))
REFRESHER = replace(ACCOUNT, scopes=frozenset({Scope.refresh}))
TESTER = replace(ACCOUNT, test=True)


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ([], None),
        (["0"], 0),
        (["9"], 9),
        (["00000000000000000000000000009"], 9),
        (["1" * 40], int("1" * 20)),
    ],
    ids=str,
)
def test_max_tokens(values: list[str], most: int | None) -> None:
    assert max_tokens(CIMultiDict([("x-max-tokens", value) for value in values])) == most


@pytest.mark.parametrize("values", [[""], ["-1"], ["1.5"], ["x"], ["\u0661"], ["1", "1"], ["1, 2"]], ids=str)
def test_max_tokens_is_one_whole_number(values: list[str]) -> None:
    with pytest.raises(Problem) as caught:
        max_tokens(CIMultiDict([("X-Max-Tokens", value) for value in values]))
    assert caught.value.reason is Reason.malformed_request


@pytest.mark.parametrize(
    ("account", "quote", "most", "reason"),
    [
        pytest.param(ACCOUNT, FORCED, None, None, id="unbounded"),
        pytest.param(ACCOUNT, FORCED, 9, None, id="just enough"),
        pytest.param(ACCOUNT, FORCED, 8, Reason.over_max_tokens, id="forced above"),
        pytest.param(ACCOUNT, LOOKUP, 5, Reason.over_max_tokens, id="lookup above"),
        pytest.param(READER, LOOKUP, None, None, id="may look up"),
        pytest.param(READER, FORCED, None, Reason.insufficient_scope, id="may not refresh"),
        pytest.param(REFRESHER, FORCED, None, None, id="may refresh"),
        pytest.param(REFRESHER, LOOKUP, None, Reason.insufficient_scope, id="may not look up"),
        pytest.param(TESTER, FORCED, 0, None, id="a test key pays nothing"),
    ],
)
def test_refuse_beyond(account: Account, quote: Quote, most: int | None, reason: Reason | None) -> None:
    if reason is None:
        refuse_beyond(account, quote, most)
        return
    with pytest.raises(Problem) as caught:
        refuse_beyond(account, quote, most)
    assert caught.value.reason is reason


STARTER = replace(ACCOUNT, scopes=frozenset({Scope.background}))


@pytest.mark.parametrize(
    ("account", "intent", "allowed"),
    [
        pytest.param(STARTER, Intent.background_refresh, True, id="may start one"),
        pytest.param(STARTER, Intent.status, True, id="and see how it stands"),
        pytest.param(STARTER, Intent.lookup, False, id="and nothing else"),
        pytest.param(READER, Intent.background_refresh, False, id="a reader may not"),
        pytest.param(READER, Intent.status, True, id="a reader may see"),
        pytest.param(REFRESHER, Intent.background_refresh, False, id="nor who may force refreshes"),
        pytest.param(REFRESHER, Intent.status, False, id="who may not read"),
    ],
)
def test_scopes_of_background_refreshes(account: Account, intent: Intent, allowed: bool) -> None:
    with nullcontext() if allowed else pytest.raises(Problem, match="insufficient_scope"):
        refuse_beyond(account, LOOKUP, None, intent)


def test_expiry() -> None:
    refuse_expired(ACCOUNT, 1e12)
    refuse_expired(replace(ACCOUNT, expires=100.0), 99.9)
    with pytest.raises(Problem) as caught:
        refuse_expired(replace(ACCOUNT, expires=100.0), 100.0)
    assert caught.value.reason is Reason.expired_key
