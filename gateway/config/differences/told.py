"""What another config changes, in sentences: which setting, from what to what, when it acts and for whom."""

from collections.abc import Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from gateway.config.accounts import Organization, Plan
from gateway.config.differences.background import differing_background_refreshes
from gateway.config.differences.changed import Changed, changes, listed
from gateway.config.differences.effects import organization_effect, plan_effect, top_effect, upstream_effect
from gateway.config.differences.keys import differing_keys
from gateway.config.differences.routes import differing_routes
from gateway.config.differences.sentences import Told, sentences
from gateway.config.references import Users, keys_by_organization, keys_by_plan, routes_by_upstream
from gateway.config.schema import Config, Upstream

# What has names is told by name, and what the last two bring in is told where it ends up.
_ELSEWHERE = (
    *("upstreams", "plans", "organizations", "keys", "background_refreshes", "routes"),
    *("include", "defaults"),
)

_Named = TypeVar("_Named", Upstream, Plan, Organization)


def differences(old: Config, new: Config) -> tuple[str, ...]:
    """A sentence for each change, in the schema's order; none where nothing changes. Never a secret."""
    return sentences(
        [
            *[Told("", "", f"{changed}, {top_effect(changed)}") for changed in changes(old, new, leave=_ELSEWHERE)],
            *_upstreams(old, new),
            *_plans(old, new),
            *_organizations(old, new),
            *differing_keys(old, new),
            *differing_background_refreshes(old, new),
            *differing_routes(old, new),
        ]
    )


def _upstreams(old: Config, new: Config) -> Iterator[Told]:
    yield from _come_and_gone("upstream", old.upstreams, new.upstreams)
    users = routes_by_upstream(new)
    for name, before, after in _both(old.upstreams, new.upstreams):
        whom = _whom(users, name, "no route")
        if before.url != after.url:
            yield Told("upstream", name, f": {_url_changed(before, after)}: {whom}")
        for changed in changes(before, after, leave=("url",)):
            yield Told("upstream", name, f": {changed}, {upstream_effect(changed)}: {whom}")


def _plans(old: Config, new: Config) -> Iterator[Told]:
    gone = ": keys made with it are granted nothing any more"
    yield from _come_and_gone("plan", old.plans, new.plans, gone)
    users = keys_by_plan(new)
    for name, before, after in _both(old.plans, new.plans):
        for changed in changes(before, after):
            yield Told("plan", name, f": {changed}, {plan_effect(changed)}: {_whom(users, name)}")


def _organizations(old: Config, new: Config) -> Iterator[Told]:
    gone = ": keys made with it are granted nothing any more"
    yield from _come_and_gone("organization", old.organizations, new.organizations, gone)
    users = keys_by_organization(new)
    for name, before, after in _both(old.organizations, new.organizations):
        for changed in changes(before, after, leave=("formerly",)):
            yield Told("organization", name, f": {changed}, {organization_effect(changed)}: {_whom(users, name)}")
    for name, organization in new.organizations.items():
        if organization.formerly in old.organizations and name not in old.organizations:
            yield Told("organization", name, f" takes over the balance of `{organization.formerly}`")


def _come_and_gone(kind: str, old: Mapping[str, object], new: Mapping[str, object], gone: str = "") -> Iterator[Told]:
    for name in old:
        if name not in new:
            yield Told(kind, name, f" is gone{gone}", f" are gone{gone.replace(' it ', ' them ')}")
    for name in new:
        if name not in old:
            yield Told(kind, name, " is new", " are new")


def _both(old: Mapping[str, _Named], new: Mapping[str, _Named]) -> Iterator[tuple[str, _Named, _Named]]:
    return ((name, old[name], after) for name, after in new.items() if name in old)


def _whom(users: Users, name: str, nobody: str = "nobody in `keys`") -> str:
    return listed(users.get(name, [nobody]))


def _url_changed(old: Upstream, new: Upstream) -> str:
    """Of URLs the origins alone: a path may be as secret as a key. Stored responses are the first one's."""
    changed = Changed("url", [_origin(url) for url in old.url], [_origin(url) for url in new.url])
    what = str(changed) if changed.old != changed.new else "url changed in its path"
    again = "what is stored of the former one is served no more"
    return f"{what}, {again}" if old.url[0] != new.url[0] else f"{what}, for exchanges that begin from now on"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
