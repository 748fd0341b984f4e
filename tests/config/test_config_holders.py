"""Accounts: those of `keys`, and those of keys that were made elsewhere, whatever became of their settings."""

import gc
from datetime import UTC, datetime

import pytest
from config.texts import Read

from gateway.admission.snapshot import EVERY_SCOPE, Account, Every, Plan, Rate, Scope, ThrottlePolicy
from gateway.config.holders import Accounts, throttle_policy

SLOW = ThrottlePolicy(Rate(1, 1.0), 1)
FAST = ThrottlePolicy(Rate(600, 60.0), 50)
SMALL = Plan("small", 1, Every.never, SLOW)
LARGE = Plan("large", 9, Every.day, carry_over=True)
CAP = Rate(1, 60.0)

CONFIG = """
upstreams: {api: {url: http://api}}
routes: [{}]
timezone: Europe/Berlin
plans:
  small: {tokens: 1, throttle: 1/s}
  large: {tokens: {grant: 9, every: day, carry_over: true}}
organizations:
  each: {plan: small, caps: {force_refresh: 1/min}}
  one: {plan: large, balance: organization, formerly: two}
  none: {}
keys:
- {id: plain}
- {id: own, plan: large, throttle: {rate: 600/min, burst: 50}, scopes: [lookup, refresh]}
- {id: of-each, organization: each, plan: large}
- {id: of-one, organization: one, throttle: 600/min}
- {id: renamed, formerly: before}
- {id: by-date, expires: 2027-01-31}
- {id: by-time, expires: "2027-01-31T12:00:00Z"}
"""


@pytest.fixture
def accounts(read: Read) -> Accounts:
    return Accounts(read(CONFIG))


@pytest.mark.parametrize(
    "expected",
    [
        Account("plain", "plain", Plan("unlimited"), "plain"),
        Account(
            "own",
            "own",
            Plan("large", 9, Every.day, FAST, True),
            "own",
            scopes=frozenset({Scope.lookup, Scope.refresh}),
        ),
        Account("of-each", "each", LARGE, "of-each", CAP),
        Account(
            "of-one",
            "one",
            Plan("large", 9, Every.day, throttle_policy(Rate(600, 60.0)), True),
            "org:one",
            former="org:two",
        ),
        Account("renamed", "renamed", Plan("unlimited"), "renamed", former="before"),
        Account(
            "by-date",
            "by-date",
            Plan("unlimited"),
            "by-date",
            expires=datetime(2027, 1, 30, 23, tzinfo=UTC).timestamp(),
        ),
        Account(
            "by-time",
            "by-time",
            Plan("unlimited"),
            "by-time",
            expires=datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp(),
        ),
    ],
    ids=lambda account: account.id,
)
def test_accounts_of_the_config(accounts: Accounts, expected: Account) -> None:
    assert {account.id: account for account in accounts.configured()}[expected.id] == expected


@pytest.mark.parametrize(
    ("organization", "plan", "expected"),
    [
        pytest.param(None, None, Account("made", "made", Plan("unlimited"), "made"), id="nothing said"),
        pytest.param(None, "small", Account("made", "made", SMALL, "made"), id="a plan"),
        pytest.param("each", None, Account("made", "each", SMALL, "made", CAP), id="its organization's plan"),
        pytest.param("each", "large", Account("made", "each", LARGE, "made", CAP), id="a plan of its own"),
        pytest.param("none", None, Account("made", "none", Plan("unlimited"), "made"), id="no plan at all"),
        pytest.param("one", None, Account("made", "one", LARGE, "org:one", former="org:two"), id="one balance"),
        pytest.param(
            "one", "small", Account("made", "one", LARGE, "org:one", former="org:two"), id="one balance, one plan"
        ),
        pytest.param(None, "gone", Account("made", "made", Plan("gone", 0), "made"), id="a plan that is gone"),
        pytest.param("gone", None, Account("made", "gone", Plan("gone", 0), "made"), id="an organization that is gone"),
        pytest.param(
            "gone",
            "large",
            Account("made", "gone", Plan("large", 0), "made"),
            id="the organization is gone, not the plan",
        ),
    ],
)
def test_accounts_of_made_keys(
    accounts: Accounts, organization: str | None, plan: str | None, expected: Account
) -> None:
    assert accounts.account("made", organization, plan) == expected


def test_a_made_key_may_say_the_rest_as_well(accounts: Accounts) -> None:
    made = accounts.account("made", "each", None, FAST, frozenset({Scope.background}), 5.0)
    assert (made.plan, made.scopes, made.expires) == (
        Plan("small", 1, Every.never, FAST),
        frozenset({Scope.background}),
        5.0,
    )
    assert accounts.account("made").scopes == EVERY_SCOPE


def test_a_made_account_does_not_slip_into_an_organization_of_its_name(accounts: Accounts) -> None:
    made = accounts.account("each")
    assert (made.organization, made.holder, made.plan) == ("key:each", "each", Plan("unlimited"))


def test_a_throttle_holds_its_rates_count_unless_said() -> None:
    assert throttle_policy(Rate(600, 60.0)) == ThrottlePolicy(Rate(600, 60.0), 600)
    assert throttle_policy(Rate(600, 60.0), 50) == FAST


def test_accounts_are_not_looked_at_for_cycles_and_share_their_scopes(accounts: Accounts) -> None:
    configured = list(accounts.configured())
    assert not any(map(gc.is_tracked, configured))
    assert len({id(account.scopes) for account in configured}) == 2
