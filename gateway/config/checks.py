"""What the settings must mean together: names that exist and are unique, and combinations that make sense."""

from collections.abc import Hashable, Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import chain

from gateway.admission.patterns import PathPattern, Template
from gateway.admission.peers import WHENCE
from gateway.admission.snapshot import ClientDirectives, Every, Share
from gateway.config.digest import key_digest
from gateway.config.document import SettingPath
from gateway.config.errors import ConfigError
from gateway.config.routes import Route
from gateway.config.salvage import did_you_mean
from gateway.config.schema import Config


@dataclass(slots=True, frozen=True)
class Complaint:
    """Something wrong with the setting at `path`, unless a setting it `rests_on` was itself invalid."""

    path: SettingPath
    message: str
    rests_on: tuple[SettingPath, ...] = ()
    at_key: bool = True


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
    if config.store.kind == "redis":
        yield Complaint(("store", "kind"), "`redis` is not available in this version; use `embedded`", at_key=False)


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
        yield from _reference(config, ("organizations", name, "plan"), organization.plan, "plans")
    for at, key in enumerate(config.keys):
        yield from _reference(config, ("keys", at, "plan"), key.plan, "plans")
        yield from _reference(config, ("keys", at, "organization"), key.organization, "organizations")
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
    yield from _repeated(config, named, f"what another of `{where}` was")
    for name, path in named:
        if name in present:
            yield Complaint(path, f"is still in `{where}`, and keeps its balance", at_key=False)


def _has_one_balance(config: Config, name: str) -> bool:
    organization = config.organizations.get(name)
    return organization is not None and organization.balance == "organization"


def _reference(config: Config, path: SettingPath, name: str | None, to: str) -> Iterator[Complaint]:
    known = config.document.names(to)
    if name is None or name in known:
        return
    word = config.document.literal(path)
    what = f"unknown {to.removesuffix('s')}{_quoted(config, path, name)}"
    hint = did_you_mean(word, known) or (f"; known: {', '.join(sorted(known)[:10])}" if known else "; there are none")
    yield Complaint(path, what + hint, ((to,),), at_key=False)


def _keys(config: Config) -> Iterator[Complaint]:
    ids: list[tuple[Hashable, SettingPath]] = [(key.id, ("keys", at, "id")) for at, key in enumerate(config.keys)]
    yield from _repeated(config, ids, "the id of another key")
    owners: dict[bytes, tuple[int, SettingPath]] = {}
    for at, key in enumerate(config.keys):
        for number, text in enumerate(key.key):
            path: SettingPath = ("keys", at, "key", number)
            owner, first = owners.setdefault(key_digest(text), (at, path)) if text else (at, path)
            if owner != at:
                place = config.document.place(first, beside=path)
                yield Complaint(path, f"another account has this API key, {place}", at_key=False)


def _repeated(config: Config, named: Iterable[tuple[Hashable, SettingPath]], what: str) -> Iterator[Complaint]:
    firsts: dict[Hashable, SettingPath] = {}
    for name, path in named:
        first = firsts.setdefault(name, path)
        if first != path:
            place = config.document.place(first, beside=path)
            yield Complaint(path, f"is {what}, {place}", at_key=False)


def _routes(config: Config) -> Iterator[Complaint]:
    named: list[tuple[Hashable, SettingPath]] = [
        (route.name, ("routes", at, "name")) for at, route in enumerate(config.routes) if route.name is not None
    ]
    yield from _repeated(config, named, "the name of another route")
    for at, route in enumerate(config.routes):
        path: SettingPath = ("routes", at)
        yield from _upstream(config, route, path)
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


def _upstream(config: Config, route: Route, path: SettingPath) -> Iterator[Complaint]:
    known = config.document.names("upstreams")
    yield from _reference(config, (*path, "upstream"), route.upstream, "upstreams")
    if route.upstream is None and len(known) > 1:
        message = f"`upstream` is required where there are several: {', '.join(sorted(known)[:10])}"
        yield Complaint(path, message, ((*path, "upstream"),))
    upstream = config.upstreams.get(route.upstream or next(iter(known), ""))
    if route.credentials and upstream and upstream.credentials == "client":
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
    yield from _repeated(config, options, "the name of another option")
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
    yield from _parameters(config, place, post.names, known, match)
    for name in known:
        if name not in post.names:
            message = f"lacks the parameter{_quoted(config, match, name)} of the match path"
            yield Complaint(place, message, (match,), at_key=False)


def _tagged(config: Config, route: Route, path: SettingPath) -> Iterator[Complaint]:
    if route.cache and route.cache.tags:
        known = PathPattern.parse(route.match.path).names
        for at, tag in enumerate(route.cache.tags):
            place = (*path, "cache", "tags", at)
            yield from _parameters(config, place, Template.parse(tag).names, known, (*path, "match", "path"))


def _whence(route: Route, path: SettingPath) -> Iterator[Complaint]:
    """A client's word for where it comes from would reach the upstream as the gateway's."""
    named = [((*path, "forward", at), name) for at, name in enumerate(route.forward)]
    keyed = route.cache.vary_on.headers if route.cache else ()
    named += [((*path, "cache", "vary_on", "headers", at), name) for at, name in enumerate(keyed)]
    for place, name in named:
        if name.lower() in WHENCE:
            yield Complaint(place, "the gateway writes this field itself", at_key=False)


def _parameters(
    config: Config, place: SettingPath, used: tuple[str, ...], known: tuple[str, ...], match: SettingPath
) -> Iterator[Complaint]:
    """The parameters used at `place` that the path pattern at `match` does not have."""
    for name in used:
        if name not in known:
            shown = _quoted(config, place, name)
            hint = did_you_mean(name, known) if shown and config.document.literal(match) else ""
            yield Complaint(place, f"the match path has no parameter{shown}{hint}", (match,), at_key=False)


def _quoted(config: Config, path: SettingPath, part: str) -> str:
    """A part of the text at `path` for a message; nothing where the text was substituted."""
    return f" `{part}`" if config.document.literal(path) else ""
