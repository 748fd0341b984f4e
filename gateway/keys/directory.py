"""Which account an id names: the config's where it has one, else the one that was made with its keys."""

from collections.abc import Iterable
from functools import lru_cache

from gateway.admission.snapshot import Account, Scope, ThrottlePolicy
from gateway.config.holders import Accounts, throttle_policy
from gateway.config.salvage import did_you_mean
from gateway.config.schema import Config
from gateway.config.units import format_rate, parse_rate, wall_seconds
from gateway.keys.database import MadeAccount
from gateway.keys.orders import Creation, Fault, Refused


class Directory:
    """The accounts of one config by id, and what it makes of those that it does not have."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._accounts = Accounts(config)
        self.configured = {account.id: account for account in self._accounts.configured()}
        self._formers = frozenset([key.formerly for key in config.keys if key.formerly])

    def account(self, id_: str, made: MadeAccount | None) -> Account | None:
        """The account `id_`; `made` is the one made under this id. None where the config has dropped it.

        Raises ValueError for a `made` that does not hold what was written.
        """
        configured = self.configured.get(id_)
        return configured if configured is not None or made is None else self._made(made)

    def described(self, order: Creation, before: MadeAccount | None, wall: float) -> MadeAccount:
        """The account that an order describes; what it leaves out is as `before`, the account's former description.

        Raises Refused for what the config could not mean, and for an account that would have expired.
        """
        made = MadeAccount(
            id=order.id,
            organization=order.organization or (before and before.organization),
            plan=order.plan or (before and before.plan),
            throttle=format_rate(order.throttle) if order.throttle else before and before.throttle,
            scopes=_spelled_scopes(order, before),
            expires=wall_seconds(order.expires, self._config.timezone) if order.expires else before and before.expires,
            created=wall,
        )
        self._refuse(made)
        if made.expires is not None and made.expires <= wall:
            raise Refused(Fault.invalid, f"`{made.id}` would have expired already: say when it expires")
        return made

    def _refuse(self, made: MadeAccount) -> None:
        config = self._config
        _refuse_unknown("organization", made.organization, config.organizations)
        _refuse_unknown("plan", made.plan, config.plans)
        if made.id in self._formers:
            raise Refused(Fault.conflict, f"`{made.id}` is what a key of the config was (`formerly`): take another id")
        if made.organization is None:
            if made.id in config.organizations:
                raise Refused(Fault.conflict, f"an organization has the name `{made.id}`: name it, or take another id")
        elif made.plan is not None and config.organizations[made.organization].balance == "organization":
            message = f"`{made.organization}` has one balance for all its keys: their plan is the organization's"
            raise Refused(Fault.conflict, message)

    def _made(self, made: MadeAccount) -> Account:
        throttle = None if made.throttle is None else _throttle(made.throttle)
        scopes = _scopes(made.scopes)
        return self._accounts.account(made.id, made.organization, made.plan, throttle, scopes, made.expires)


# Many accounts spell the same.
@lru_cache(1024)
def _throttle(text: str) -> ThrottlePolicy:
    return throttle_policy(parse_rate(text))


@lru_cache(1024)
def _scopes(text: str) -> frozenset[Scope]:
    return frozenset([Scope(name) for name in text.split()])


def _spelled_scopes(order: Creation, before: MadeAccount | None) -> str:
    if before is not None and "scopes" not in order.model_fields_set:
        return before.scopes
    return " ".join([scope.value for scope in order.scopes])


def _refuse_unknown(what: str, name: str | None, known: Iterable[str]) -> None:
    if name is not None and name not in known:
        raise Refused(Fault.unknown, f"the config has no {what} `{name}`{did_you_mean(name, known)}")
