"""What the settings must mean together: names that exist and are unique, and combinations that make sense."""

from collections.abc import Hashable, Iterable, Iterator, Set
from itertools import chain

from gateway.admission.patterns import PathPattern
from gateway.admission.peers import WHENCE
from gateway.admission.snapshot import ClientDirectives, Every, Share
from gateway.admission.tagging import Tag
from gateway.config.background.checks import background_complaints
from gateway.config.complaints import Complaint, parameters, quoted, reference, repeated, upstream_in, upstream_named
from gateway.config.digest import key_digest
from gateway.config.document import SettingPath
from gateway.config.errors import ConfigError
from gateway.config.routes import Route
from gateway.config.schema import Config


def check(config: Config) -> list[ConfigError]:
    """Everything wrong with the settings of a config together."""
    complaints = chain(
        _whole(config),
        _store(config),
        _admin(config),
        _plans(config),
        _accounts(config),
        _formerly(config),
        _keys(config),
        _upstreams(config),
        _routes(config),
        background_complaints(config),
    )
    document = config.document
    return [
        document.error(complaint.message, complaint.path, at_key=complaint.at_key)
        for complaint in complaints
        if not any(document.is_damaged(path) for path in complaint.rests_on)
    ]


def _whole(config: Config) -> Iterator[Complaint]:
    for key, what in (("upstreams", "an upstream"), ("routes", "a route")):
        if not getattr(config, key) and not config.document.names(key):
            yield Complaint((), f"`{key}`: at least {what} is required", ((key,),))


def _store(config: Config) -> Iterator[Complaint]:
    store, said = config.store, config.store.model_fields_set
    if store.kind == "redis" and store.url is None:
        yield Complaint(("store", "kind"), "`redis` needs a `url`", (("store", "url"),), at_key=False)
    needless = ("disk", "durability") if store.kind == "redis" else ("shared", "url", "timeout", "on_failure")
    for name in needless:
        if name in said:
            message = f"means nothing with `kind: {store.kind}`: leave it out"
            yield Complaint(("store", name), message, (("store", "kind"), ("store", name)))


def _admin(config: Config) -> Iterator[Complaint]:
    admin = config.admin
    if not admin.listen.loopback and not admin.token:
        message = "off loopback it needs a `token`, or anyone could change the gateway"
        yield Complaint(("admin", "listen"), message, (("admin", "token"),), at_key=False)


def _plans(config: Config) -> Iterator[Complaint]:
    for name, plan in config.plans.items():
        path: SettingPath = ("plans", name, "tokens")
        if plan.tokens.carry_over and (plan.tokens.grant is None or plan.tokens.every is Every.never):
            message = "needs a `grant` that renews: a prepaid one never lapses, and an unlimited plan has none"
            yield Complaint((*path, "carry_over"), message, ((*path, "grant"), (*path, "every")))


def _accounts(config: Config) -> Iterator[Complaint]:
    for name, organization in config.organizations.items():
        yield from reference(config, ("organizations", name, "plan"), organization.plan, "plans")
    for at, key in enumerate(config.keys):
        yield from reference(config, ("keys", at, "plan"), key.plan, "plans")
        yield from reference(config, ("keys", at, "organization"), key.organization, "organizations")
        if key.plan and key.organization and _has_one_balance(config, key.organization):
            message = "with `balance: organization` the plan is the organization's too"
            yield Complaint(("keys", at, "plan"), message, (("organizations", key.organization, "balance"),))
        if key.organization is None and key.id in config.document.names("organizations"):
            message = "an organization has this name; name it under `organization`, or rename the key"
            yield Complaint(("keys", at, "id"), message, (("keys", at, "organization"),))


def _formerly(config: Config) -> Iterator[Complaint]:
    """A balance goes over from one name to one other, and a name that is still used keeps its own."""
    keys: list[tuple[str | None, SettingPath]] = []
    for at, key in enumerate(config.keys):
        keys.append((key.formerly, ("keys", at, "formerly")))
        if key.formerly and key.organization and _has_one_balance(config, key.organization):
            message = "with `balance: organization` the balance is the organization's: say there what it was"
            yield Complaint(keys[-1][1], message, (("organizations", key.organization, "balance"),))
    organizations: list[tuple[str | None, SettingPath]] = []
    for name, organization in config.organizations.items():
        organizations.append((organization.formerly, ("organizations", name, "formerly")))
        if organization.formerly and not _has_one_balance(config, name):
            message = "needs `balance: organization`: here each key has its own, and says itself what it was"
            yield Complaint(organizations[-1][1], message, (("organizations", name, "balance"),))
    yield from _taken_over(config, keys, {key.id for key in config.keys}, "keys")
    yield from _taken_over(config, organizations, config.document.names("organizations"), "organizations")


def _taken_over(
    config: Config, formers: Iterable[tuple[str | None, SettingPath]], present: Set[str], where: str
) -> Iterator[Complaint]:
    named = [(name, path) for name, path in formers if name is not None]
    yield from repeated(config, named, f"what another of `{where}` was")
    for name, path in named:
        if name in present:
            yield Complaint(path, f"is still in `{where}`, and keeps its balance", at_key=False)


def _has_one_balance(config: Config, name: str) -> bool:
    organization = config.organizations.get(name)
    return organization is not None and organization.balance == "organization"


def _keys(config: Config) -> Iterator[Complaint]:
    ids: list[tuple[Hashable, SettingPath]] = [(key.id, ("keys", at, "id")) for at, key in enumerate(config.keys)]
    yield from repeated(config, ids, "the id of another key")
    owners: dict[bytes, tuple[int, SettingPath]] = {}
    for at, key in enumerate(config.keys):
        for number, text in enumerate(key.key):
            path: SettingPath = ("keys", at, "key", number)
            owner, first = owners.setdefault(key_digest(text), (at, path)) if text else (at, path)
            if owner != at:
                place = config.document.place(first, beside=path)
                yield Complaint(path, f"another account has this API key, {place}", at_key=False)


def _routes(config: Config) -> Iterator[Complaint]:
    named: list[tuple[Hashable, SettingPath]] = [
        (route.name, ("routes", at, "name")) for at, route in enumerate(config.routes) if route.name is not None
    ]
    yield from repeated(config, named, "the name of another route")
    for at, route in enumerate(config.routes):
        path: SettingPath = ("routes", at)
        yield from upstream_named(config, route.upstream, path)
        yield from _credentials(config, route, path)
        yield from _public(route, path)
        yield from _priced(config, route, path)
        yield from _refreshed(config, route, path)
        yield from _tagged(config, route, path)
        yield from _whence(route, path)


def _upstreams(config: Config) -> Iterator[Complaint]:
    for name, upstream in config.upstreams.items():
        if upstream.cost is not None and upstream.credentials == "client":
            message = "with `credentials: client` the upstream charges the client, not you"
            yield Complaint(("upstreams", name, "cost"), message)


def _credentials(config: Config, route: Route, path: SettingPath) -> Iterator[Complaint]:
    found = upstream_in(config, route.upstream)
    if route.credentials and found and found.credentials == "client":
        message = "the upstream has `credentials: client`, so there are none to send"
        yield Complaint((*path, "credentials"), message)


def _public(route: Route, path: SettingPath) -> Iterator[Complaint]:
    if route.access != "public":
        return
    for key in ("price", "refresh", "tokens_in_body"):
        if key in route.model_fields_set and getattr(route, key):
            yield Complaint((*path, key), "not on a public route: nobody is there to be charged")
    if route.cache and route.cache.client_directives is ClientDirectives.price:
        message = "not on a public route: nobody is there to be charged"
        yield Complaint((*path, "cache", "client_directives"), message, at_key=False)
    if route.cache and route.cache.share not in (None, Share.everyone):
        message = "not on a public route: it knows neither keys nor organizations"
        yield Complaint((*path, "cache", "share"), message, at_key=False)


def _priced(config: Config, route: Route, path: SettingPath) -> Iterator[Complaint]:
    options: list[tuple[Hashable, SettingPath]] = [
        (option.name, (*path, "price", "options", at, "name")) for at, option in enumerate(route.price.options)
    ]
    yield from repeated(config, options, "the name of another option")
    for name, place in options:
        if name in ("base", "force_refresh"):
            yield Complaint(place, "this name is taken by the price itself", at_key=False)


def _refreshed(config: Config, route: Route, path: SettingPath) -> Iterator[Complaint]:
    refresh, methods = route.refresh, route.match.methods
    if refresh is None or route.access == "public":
        return
    if route.cache is None:
        yield Complaint((*path, "refresh"), "needs a `cache`: there is nothing to refresh", ((*path, "cache"),))
    if methods is not None and "GET" not in methods:
        message = "a refresh stands for a GET, which `match.methods` leaves out"
        yield Complaint((*path, "refresh"), message, ((*path, "match", "methods"),))
    if refresh.post not in ("auto", "none"):
        yield from _posted(config, route, PathPattern.parse(refresh.post), path)


def _posted(config: Config, route: Route, post: PathPattern, path: SettingPath) -> Iterator[Complaint]:
    place, match = (*path, "refresh", "post"), (*path, "match", "path")
    known = PathPattern.parse(route.match.path).names
    yield from parameters(config, place, post.names, known, match)
    for name in known:
        if name not in post.names:
            message = f"lacks the parameter{quoted(config, match, name)} of the match path"
            yield Complaint(place, message, (match,), at_key=False)


def _tagged(config: Config, route: Route, path: SettingPath) -> Iterator[Complaint]:
    if route.cache is None or not route.cache.tags:
        return
    known = PathPattern.parse(route.match.path).names
    unkeyed = _unkeyed(config, route, path)
    for at, text in enumerate(route.cache.tags):
        place, tag = (*path, "cache", "tags", at), Tag.parse(text)
        yield from parameters(config, place, tag.names, known, (*path, "match", "path"))
        for name in tag.parameters:
            if name in unkeyed:
                key = ".".join(map(str, unkeyed[name][-2:]))
                message = (
                    f"stored responses do not differ by the parameter{quoted(config, place, name)}, as `{key}` says"
                )
                yield Complaint(place, message, (unkeyed[name],), at_key=False)


def _unkeyed(config: Config, route: Route, path: SettingPath) -> dict[str, SettingPath]:
    """The query parameters that are in no cache key, with the setting that keeps each out."""
    cache = route.cache
    keys = [source.name for source in config.auth.accept if source.kind == "query"] if route.access == "key" else []
    return {
        **dict.fromkeys(keys, ("auth", "accept")),
        **dict.fromkeys(route.refresh.query if route.refresh else (), (*path, "refresh", "query")),
        **dict.fromkeys(cache.vary_on.query_ignore if cache else (), (*path, "cache", "vary_on", "query_ignore")),
    }


def _whence(route: Route, path: SettingPath) -> Iterator[Complaint]:
    """A client's word for where it comes from would reach the upstream as the gateway's."""
    named = [((*path, "forward", at), name) for at, name in enumerate(route.forward)]
    keyed = route.cache.vary_on.headers if route.cache else ()
    named += [((*path, "cache", "vary_on", "headers", at), name) for at, name in enumerate(keyed)]
    for place, name in named:
        if name.lower() in WHENCE:
            yield Complaint(place, "the gateway writes this field itself", at_key=False)
