"""Who uses what: the keys of each plan and organization, the routes of each upstream."""

from collections.abc import Iterable

from gateway.config.accounts import Key
from gateway.config.background.sections import BackgroundRefresh
from gateway.config.compile import upstream_of
from gateway.config.routes import Route
from gateway.config.schema import Config

Users = dict[str, list[str]]
"""Names of users by the name of what they use, in the config's order."""


def plan_of(config: Config, key: Key) -> str | None:
    """The name of the plan that a key of the config goes by; None is unlimited."""
    organization = config.organizations[key.organization] if key.organization else None
    if organization is None:
        return key.plan
    return organization.plan if organization.balance == "organization" else key.plan or organization.plan


def keys_by_plan(config: Config) -> Users:
    """The ids of the keys that go by each plan."""
    return _users((plan_of(config, key), key.id) for key in config.keys)


def keys_by_organization(config: Config) -> Users:
    """The ids of each organization's keys."""
    return _users((key.organization, key.id) for key in config.keys)


def routes_by_upstream(config: Config) -> Users:
    """The routes and background refreshes that go to each upstream, as `label` names them."""
    routes: list[BackgroundRefresh | Route] = [*config.background_refreshes, *config.routes]
    return _users((upstream_of(config, route), label(config, route)) for route in routes)


def label(config: Config, route: Route | BackgroundRefresh) -> str:
    """A route's name; of one without, its upstream and what it matches."""
    if route.name is not None:
        return route.name
    host = "" if route.match.host == "*" else route.match.host
    return f"{upstream_of(config, route)} {host}{route.match.path}"


def _users(pairs: Iterable[tuple[str | None, str]]) -> Users:
    found: Users = {}
    for used, user in pairs:
        if used is not None:
            found.setdefault(used, []).append(user)
    return found
