"""An account and how it stands, as `/-/balance` and the admin API's `/-/accounts/{id}` tell it."""

from datetime import UTC, datetime
from math import ceil

from gateway.admission.charge import Charge
from gateway.admission.snapshot import Account
from gateway.admission.standing import Standing


def account_document(account: Account, standing: Standing) -> dict[str, object]:
    """A dict for JSON; moments are in ISO 8601, and what the plan does not have is None."""
    plan, limits = account.plan, standing.limits
    return {
        "account": account.id,
        "organization": account.organization,
        "plan": plan.name,
        "balance_of": "key" if account.holder == account.id else "organization",
        "balance": standing.balance,
        "reserved": standing.reserved,
        "charged": standing.charged,
        "granted": standing.granted,
        "next_grant": None if limits.renews_at is None else {"at": _instant(limits.renews_at), "tokens": plan.grant},
        "throttle": _throttle(limits),
        "cap": _cap(account, standing),
        "scopes": sorted(scope.value for scope in account.scopes),
        "expires": None if account.expires is None else _instant(account.expires),
        "test": account.test,
    }


def _throttle(limits: Charge) -> dict[str, int | None] | None:
    if limits.throttle_limit is None:
        return None
    return {
        "limit": limits.throttle_limit,
        "window": limits.throttle_window,
        "remaining": limits.throttle_remaining,
        "reset": limits.throttle_reset,
    }


def _cap(account: Account, standing: Standing) -> dict[str, object] | None:
    cap = account.force_refresh_cap
    if cap is None:
        return None
    return {"force_refresh": {"limit": cap.count, "window": round(cap.seconds), "remaining": standing.cap_remaining}}


def _instant(seconds: float) -> str:
    """ISO 8601 in UTC, rounded up to the second: who comes back then must find the tokens there."""
    return f"{datetime.fromtimestamp(ceil(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"
