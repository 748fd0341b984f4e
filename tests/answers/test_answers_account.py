from dataclasses import replace

import pytest

from gateway.admission.charge import Charge
from gateway.admission.snapshot import Account, Every, Plan, Rate, Scope
from gateway.admission.standing import Standing
from gateway.answers.account import account_document

ACCOUNT = Account("ci", "acme", Plan("pro", 2000, Every.month), "ci", scopes=frozenset({Scope.refresh, Scope.lookup}))
STANDING = Standing(1990, 4, 6, 2000, None, Charge(0))

Members = dict[str, object]


def test_an_account_that_has_nothing_but_a_balance() -> None:
    assert account_document(ACCOUNT, STANDING) == {
        "account": "ci",
        "organization": "acme",
        "plan": "pro",
        "balance_of": "key",
        "balance": 1990,
        "reserved": 4,
        "charged": 6,
        "granted": 2000,
        "next_grant": None,
        "throttle": None,
        "cap": None,
        "scopes": ["lookup", "refresh"],
        "expires": None,
        "test": False,
    }


@pytest.mark.parametrize(
    ("account", "standing", "members"),
    [
        pytest.param(replace(ACCOUNT, holder="org:acme"), STANDING, {"balance_of": "organization"}, id="shared"),
        pytest.param(replace(ACCOUNT, test=True), STANDING, {"test": True}, id="test"),
        pytest.param(replace(ACCOUNT, expires=59.5), STANDING, {"expires": "1970-01-01T00:01:00Z"}, id="expires"),
        pytest.param(
            ACCOUNT,
            replace(STANDING, limits=Charge(0, renews_at=3600.0)),
            {"next_grant": {"at": "1970-01-01T01:00:00Z", "tokens": 2000}},
            id="renews",
        ),
        pytest.param(
            ACCOUNT,
            replace(STANDING, limits=Charge(0, None, None, None, None, 10, 60, 9, 6)),
            {"throttle": {"limit": 10, "window": 60, "remaining": 9, "reset": 6}},
            id="throttled",
        ),
        pytest.param(
            replace(ACCOUNT, force_refresh_cap=Rate(100, 60.0)),
            replace(STANDING, cap_remaining=97),
            {"cap": {"force_refresh": {"limit": 100, "window": 60, "remaining": 97}}},
            id="capped",
        ),
    ],
)
def test_what_else_an_account_has(account: Account, standing: Standing, members: Members) -> None:
    found = account_document(account, standing)
    assert found | members == found
