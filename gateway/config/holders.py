"""From plans, organizations and keys to accounts: who an API key stands for, and whose balance it spends."""

from collections.abc import Iterator
from dataclasses import replace

from gateway.admission.snapshot import EVERY_SCOPE, Account, Plan, Rate, Scope, ThrottlePolicy
from gateway.config import accounts
from gateway.config.schema import Config
from gateway.config.units import wall_seconds
from gateway.untracked import untracked

_UNLIMITED = Plan("unlimited")
_ALONE = accounts.Organization()


class Accounts:
    """The accounts of one config: those that its `keys` name, and those that keys made elsewhere stand for."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._scopes: dict[frozenset[Scope], frozenset[Scope]] = {}
        self._plans = {name: _plan(name, plan) for name, plan in config.plans.items()}

    def configured(self) -> Iterator[Account]:
        """The account of each of `keys`, in their order."""
        for key in self._config.keys:
            yield self.account(
                key.id,
                key.organization,
                key.plan,
                _throttle(key.throttle),
                frozenset(key.scopes),
                None if key.expires is None else wall_seconds(key.expires, self._config.timezone),
                key.formerly,
            )

    def account(
        self,
        account_id: str,
        organization: str | None = None,
        plan: str | None = None,
        throttle: ThrottlePolicy | None = None,
        scopes: frozenset[Scope] = EVERY_SCOPE,
        expires: float | None = None,
        formerly: str | None = None,
    ) -> Account:
        """The account that these settings make, which mean what they mean in `keys`; `expires` in wall-clock seconds.

        Where the plan or the organization is not in the config (any more), the account's plan grants nothing. An
        organization with one balance has one plan for all: `plan` and `formerly` say nothing then.
        """
        found = _ALONE if organization is None else self._config.organizations.get(organization)
        shared = organization if found is not None and found.balance == "organization" else None
        granted = self._granted(plan, organization, found)
        former = found.formerly if found is not None and shared else formerly
        account = Account(
            id=account_id,
            organization=organization or self._alone(account_id),
            plan=granted if throttle is None else replace(granted, throttle=throttle),
            holder=_holder(shared) if shared else account_id,
            force_refresh_cap=None if found is None else found.caps.force_refresh,
            scopes=self._scopes.setdefault(scopes, scopes),
            expires=expires,
            former=_holder(former) if shared and former else former,
        )
        return untracked(account)

    def _granted(self, plan: str | None, organization: str | None, found: accounts.Organization | None) -> Plan:
        if found is None:
            return Plan(plan or organization or "", grant=0)
        name = found.plan if found.balance == "organization" else plan or found.plan
        if name is None:
            return _UNLIMITED
        return self._plans.get(name) or Plan(name, grant=0)

    def _alone(self, account_id: str) -> str:
        """The organization of an account that has none: its own name, unless an organization came to have that."""
        return f"key:{account_id}" if account_id in self._config.organizations else account_id


def throttle_policy(rate: Rate, burst: int | None = None) -> ThrottlePolicy:
    """The token bucket of a rate; where `burst` is left out it holds the rate's count."""
    return ThrottlePolicy(rate, burst or rate.count)


def _throttle(throttle: accounts.Throttle | None) -> ThrottlePolicy | None:
    return None if throttle is None else throttle_policy(throttle.rate, throttle.burst)


def _plan(name: str, plan: accounts.Plan) -> Plan:
    tokens = plan.tokens
    return Plan(name, tokens.grant, tokens.every, _throttle(plan.throttle), carry_over=tokens.carry_over)


def _holder(organization: str) -> str:
    """Who holds an organization's one balance. No name holds a colon, so it is no key's id."""
    return f"org:{organization}"
