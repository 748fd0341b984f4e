"""What is allowed in a config but seldom meant."""

from collections.abc import Callable, Iterator
from time import time

from gateway.admission.snapshot import Share
from gateway.config.accounts import Plan
from gateway.config.background.warnings import background_warnings
from gateway.config.compile import known_host, placed_routes, served_hosts, upstream_of
from gateway.config.document import SettingPath
from gateway.config.errors import ConfigError
from gateway.config.holders import Accounts
from gateway.config.reach import is_served, unreachable
from gateway.config.references import keys_by_organization, plan_of, routes_by_upstream
from gateway.config.schema import Config

_KINDS = {"background_refreshes": ("background refresh", "background refreshes"), "routes": ("route", "routes")}
_MADE = "; right only if keys made with `gateway keys create` do"


def warnings(config: Config, wall: Callable[[], float] = time) -> list[ConfigError]:
    """All of it, in the order of the files; `wall` tells the seconds since the epoch, for what has expired."""
    return sorted(
        [
            *_keyless(config),
            *_unsent(config),
            *_many_balances(config),
            *_expired(config, wall()),
            *_open_doors(config),
            *_shared_answers(config),
            *_unreachable(config),
            *_unserved(config),
            *_unused_upstreams(config),
            *_unused_plans(config),
            *_unused_organizations(config),
            *background_warnings(config),
        ]
    )


def _keyless(config: Config) -> Iterator[ConfigError]:
    if any(text for key in config.keys for text in key.key):
        return
    keyed: list[SettingPath] = [("background_refreshes", at) for at, _ in enumerate(config.background_refreshes)]
    keyed += [("routes", at) for at, route in enumerate(config.routes) if route.access == "key"]
    for path in keyed[:1]:
        message = "needs an API key, and `keys` holds none: 401 until one is made with `gateway keys create`"
        yield config.document.error(message, path)


def _unsent(config: Config) -> Iterator[ConfigError]:
    for name, upstream in config.upstreams.items():
        if upstream.credentials == "client" and upstream.headers:
            message = "not sent with `credentials: client`, where the client's fields go on"
            yield config.document.error(message, ("upstreams", name, "headers"))


def _many_balances(config: Config) -> Iterator[ConfigError]:
    keys = keys_by_organization(config)
    for name, organization in config.organizations.items():
        plan = config.plans[organization.plan] if organization.plan else Plan()
        count = len(keys.get(name, ()))
        if count > 1 and organization.balance == "key" and plan.tokens.grant is not None:
            message = f"each of its {count} keys has a balance of its own; `balance: organization` makes it one"
            yield config.document.error(message, ("organizations", name), at_key=True)


def _expired(config: Config, wall: float) -> Iterator[ConfigError]:
    for at, account in enumerate(Accounts(config).configured()):
        if account.expires is not None and account.expires <= wall:
            yield config.document.error("is over: every request with its keys gets 401", ("keys", at, "expires"))


def _open_doors(config: Config) -> Iterator[ConfigError]:
    for at, route in enumerate(config.routes):
        if route.access == "public" and route.credentials == "upstream":
            message = "an open door to a paid API: anyone may call it with the upstream's credentials"
            yield config.document.error(message, ("routes", at, "credentials"))


def _shared_answers(config: Config) -> Iterator[ConfigError]:
    for at, route in enumerate(config.routes):
        shared = route.access == "key" and route.cache is not None and route.cache.share is Share.everyone
        if shared and config.upstreams[upstream_of(config, route)].credentials == "client":
            message = "what the upstream answers to one client's credentials is served to everyone"
            yield config.document.error(message, ("routes", at, "cache", "share"))


def _unreachable(config: Config) -> Iterator[ConfigError]:
    placed = list(placed_routes(config))
    for at, instead, refreshed in unreachable([route for _, route in placed]):
        path, _ = placed[at]
        takers = _takers(config, [placed[first][0] for first in instead], path)
        never = "matches nothing but its POST for a refresh" if refreshed else "never matches"
        yield config.document.error(f"{never}: {takers} all it could", path)


def _takers(config: Config, paths: list[SettingPath], beside: SettingPath) -> str:
    """What stands at `paths`, and that it takes."""
    named = []
    for kind, (one, several) in _KINDS.items():
        places = [config.document.place(path, beside) for path in paths if path[0] == kind]
        named += [f"the {one if len(places) == 1 else several} {' and '.join(places)}"] if places else []
    return f"{' and '.join(named)} {'takes' if len(paths) == 1 else 'take'}"


def _unserved(config: Config) -> Iterator[ConfigError]:
    matches: list[tuple[SettingPath, str]] = [
        *[(("background_refreshes", at), refresh.match.host) for at, refresh in enumerate(config.background_refreshes)],
        *[(("routes", at), route.match.host) for at, route in enumerate(config.routes)],
    ]
    served = served_hosts(config)
    for path, host in matches:
        if not is_served(known_host(config, host), served):
            message = "never matches: `hosts` does not have this one, and others get 421"
            yield config.document.error(message, (*path, "match", "host"))


def _unused_upstreams(config: Config) -> Iterator[ConfigError]:
    used = routes_by_upstream(config)
    for name in config.upstreams:
        if name not in used:
            yield config.document.error("no route goes to it", ("upstreams", name), at_key=True)


def _unused_plans(config: Config) -> Iterator[ConfigError]:
    """Only where there are keys: else all of them are made."""
    used = {plan_of(config, key) for key in config.keys}.union([o.plan for o in config.organizations.values()])
    for name in config.plans if config.keys else ():
        if name not in used:
            yield config.document.error(f"no key and no organization has it{_MADE}", ("plans", name), at_key=True)


def _unused_organizations(config: Config) -> Iterator[ConfigError]:
    """Only where there are keys: else all of them are made."""
    used = keys_by_organization(config)
    for name in config.organizations if config.keys else ():
        if name not in used:
            yield config.document.error(f"no key belongs to it{_MADE}", ("organizations", name), at_key=True)
