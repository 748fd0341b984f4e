"""Step 2 of a request's way: from its head and the snapshot to route, account, intent, quote and cache key."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from operator import itemgetter
from typing import assert_never

from multidict import CIMultiDict

from gateway.admission.charge import Quote
from gateway.admission.flags import flags_on
from gateway.admission.keys import credential_parameters, find_account, withheld_fields
from gateway.admission.patterns import PathPattern
from gateway.admission.pricing import quote
from gateway.admission.routes import Matched, Router
from gateway.admission.snapshot import Account, CachePolicy, Price, Route, Share, Snapshot
from gateway.admission.target import Query, Target, authority, canonical, component, host, origin_form, without_port
from gateway.errors import Problem, Reason
from gateway.messages import UNSENDABLE, Fields, Request, nominated

_NONE = frozenset[str]()
_KEPT_ALIVE = frozenset({"keep-alive"})


class Intent(Enum):
    """What a request wants of the cache."""

    lookup = auto()
    force_refresh = auto()
    pass_ = auto()


@dataclass(slots=True)
class Prepared:
    """A request whose every pure question is answered.

    `request` has no field left that its Connection nominates, so that all later steps see what the upstream sees.
    `account` and `quote` are None where the route is public. `target` is the upstream's, `key` the cache key of the GET
    that the request is or stands for, `path` the upstream's path. `scope` is the share scope: "" for everyone, `o:` and
    an organization, `k:` and an account, or `p:` for the public, who gets nothing that a key or credentials were for.
    """

    request: Request
    route: Route
    params: dict[str, str]
    account: Account | None
    intent: Intent
    quote: Quote | None
    target: str
    path: str
    key: str
    scope: str

    def for_request(self, request: Request) -> "Prepared":
        """The same for another request with the same head."""
        return Prepared(
            request,
            self.route,
            self.params,
            self.account,
            self.intent,
            self.quote,
            self.target,
            self.path,
            self.key,
            self.scope,
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """What a refresh of this outdates together: by the route's tags, else by path; within upstream and scope."""
        tags = self.route.cache.tags if self.route.cache is not None else ()
        names = [tag.fill(self.params) for tag in tags] or [self.path]
        return tuple([f"{self.route.upstream}\n{self.scope}\n{name}" for name in names])


@dataclass(slots=True, frozen=True)
class _Provision:
    """What preparing for one route needs, worked out once; names and pairs as a canonical query spells them.

    `secret` parameters hold API keys and are in no cache key. `dropped` ones do not reach the upstream on a lookup or
    a force refresh, `dropped_passing` ones not on a pass.
    """

    flags: dict[str, str]
    forcing: frozenset[str]
    secret: frozenset[str]
    dropped: frozenset[str]
    dropped_passing: frozenset[str]
    sorts: bool
    post_query: Query
    upstream_query: Query
    strip_prefix: str
    keyed_fields: tuple[str, ...]
    quotes: dict[tuple[frozenset[str], bool], Quote] = field(default_factory=dict)

    def quoted(self, price: Price, on: frozenset[str], intent: Intent) -> Quote:
        """The quote, worked out once for each set of flags: there are few."""
        asked = on, intent is Intent.force_refresh
        known = self.quotes.get(asked)
        if known is None:
            known = self.quotes[asked] = quote(price, *asked)
        return known


class Preparer:
    """Prepares requests by one snapshot. Raises ValueError for routes that cannot work (`Router`, `strip_prefix`)."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._router = Router(snapshot.routes)
        self._hosts = frozenset([name.lower() for name in snapshot.hosts])
        self._provisions = [_provision(route, snapshot) for route in snapshot.routes]

    def prepare(self, request: Request) -> Prepared:
        """Raises `Problem` for every refusal that needs no state: 400, 401, 404, 405, 417, 421 and 501.

        Once a route has matched, the problem names it.
        """
        matched, query = self._matched(request)
        try:
            return self._prepared(request, matched, query)
        except Problem as problem:
            problem.route = matched.route.name
            raise

    def _prepared(self, request: Request, matched: Matched, query: Query) -> Prepared:
        route, provision = matched.route, self._provisions[matched.place]
        _refuse_expectation(request.fields)
        account = None if route.public else find_account(self.snapshot, request.fields, query)
        request = _without_nominated(request)
        query = _filled(query, provision.post_query) if matched.refresh else query
        on = flags_on(query, provision.flags)
        intent = _intent(request, matched, on, provision)
        scope = _scope(route, account)
        path = _below(matched.path, provision.strip_prefix)
        target, keyed = _targets(path, _kept(query, intent, provision), intent, provision)
        return Prepared(
            request=request,
            route=route,
            params=matched.params,
            account=account,
            intent=intent,
            quote=None if route.price is None else provision.quoted(route.price, on, intent),
            target=target,
            path=path,
            key="\n".join([route.upstream, scope, keyed, *_keyed_fields(request.fields, provision)]),
            scope=scope,
        )

    def _matched(self, request: Request) -> tuple[Matched, Query]:
        if request.method in ("CONNECT", "TRACE"):
            raise Problem(Reason.not_implemented, f"{request.method} is not forwarded.")
        raw, named, scheme = origin_form(request.method, request.target)
        asked = host(request.fields, scheme or request.scheme)
        if named is not None and authority(named, scheme) != asked:
            raise Problem(Reason.malformed_request, "The request target and the Host field name different hosts.")
        target = canonical(raw)
        if target.path.startswith("/-/"):
            raise Problem(Reason.no_route, "Paths below /-/ are the gateway's own.")
        if self._hosts and self._hosts.isdisjoint((asked, without_port(asked))):
            raise Problem(Reason.misdirected_request)
        return self._router.match(request.method, asked, target.path), target.query


def _provision(route: Route, snapshot: Snapshot) -> _Provision:
    cache, refresh, price = route.cache or CachePolicy(), route.refresh, route.price
    forcing = _NONE if refresh is None else frozenset(refresh.query)
    secret = _NONE if route.public else credential_parameters(snapshot)
    dropped_passing = secret if snapshot.upstreams[route.upstream].credentials == "gateway" else _NONE
    priced = [name for option in (price.options if price else ()) for name in option.query_any]
    keyed_fields = {name.lower() for name in (*route.forward, *cache.vary_on)} - withheld_fields(route, snapshot)
    return _Provision(
        flags={component(name): name for name in forcing.union(priced)},
        forcing=forcing,
        secret=secret,
        dropped=dropped_passing.union([component(name) for name in forcing | cache.query_ignore]),
        dropped_passing=dropped_passing,
        sorts=cache.query_sort,
        post_query=_pairs(refresh.post_query if refresh else ()),
        upstream_query=_pairs(refresh.upstream_query if refresh else ()),
        strip_prefix=PathPattern.parse(route.strip_prefix).fill({}).rstrip("/") if route.strip_prefix else "",
        keyed_fields=tuple(sorted(keyed_fields)),
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> Query:
    return tuple([(component(name), component(value)) for name, value in pairs])


def _refuse_expectation(fields: Fields) -> None:
    if "Expect" in fields and any(value.strip().lower() != "100-continue" for value in fields.getall("Expect")):
        raise Problem(Reason.expectation_failed, "Only 100-continue can be expected.")


def _without_nominated(request: Request) -> Request:
    """Drop the fields that Connection nominates (RFC 9110 §7.6.1) before any is keyed, selected by or forwarded."""
    names = nominated(request.fields)
    if names <= _KEPT_ALIVE:
        return request
    kept = [(name, value) for name, value in request.fields.items() if name.lower() not in names]
    return replace(request, fields=CIMultiDict(kept))


def _intent(request: Request, matched: Matched, on: frozenset[str], provision: _Provision) -> Intent:
    if matched.refresh:
        return Intent.force_refresh
    if matched.route.cache is None or request.method not in ("GET", "HEAD"):
        return Intent.pass_
    if request.body is not None:
        raise Problem(Reason.unexpected_body)
    return Intent.lookup if on.isdisjoint(provision.forcing) else Intent.force_refresh


def _filled(query: Query, defaults: Query) -> Query:
    """The query, with those defaults that it leaves out."""
    given = {name for name, _ in query}
    return query + tuple([pair for pair in defaults if pair[0] not in given])


def _without(query: Query, names: Iterable[str]) -> Query:
    return tuple([pair for pair in query if pair[0] not in names]) if query and names else query


def _kept(query: Query, intent: Intent, provision: _Provision) -> Query:
    """The parameters that reach the upstream, in their order unless the route sorts them by name."""
    if intent is Intent.pass_:
        return _without(query, provision.dropped_passing)
    kept = _without(query, provision.dropped)
    return tuple(sorted(kept, key=itemgetter(0))) if provision.sorts and len(kept) > 1 else kept


def _targets(path: str, kept: Query, intent: Intent, provision: _Provision) -> tuple[str, str]:
    """The upstream's target, and that of the cache key: without secrets and what a forced fetch adds."""
    sent, keyed = kept, _without(kept, provision.secret)
    if intent is Intent.force_refresh and provision.upstream_query:
        sent = _without(kept, [name for name, _ in provision.upstream_query]) + provision.upstream_query
    key_target = Target(path, keyed).render()
    return (key_target if sent == keyed else Target(path, sent).render()), key_target


def _below(path: str, prefix: str) -> str:
    """The path with `prefix` taken off, which only whole segments match."""
    if not prefix or not f"{path}/".startswith(f"{prefix}/"):
        return path
    return path[len(prefix) :] or "/"


def _keyed_fields(fields: Fields, provision: _Provision) -> list[str]:
    """One line for each field present; no value can hold a line's end, so the key has one reading only."""
    lines = []
    for name in provision.keyed_fields:
        values = fields.getall(name, None)
        if values is None:
            continue
        value = ", ".join(values)
        if UNSENDABLE.search(value):
            raise Problem(Reason.malformed_request, f"The value of the field {name} is not UTF-8.")
        lines.append(f"{name}:{value}")
    return lines


def _scope(route: Route, account: Account | None) -> str:
    if route.cache is None:
        return ""
    if account is None:
        return "" if route.send_credentials else "p:"
    match route.cache.share:
        case Share.everyone:
            return ""
        case Share.organization:
            return f"o:{account.organization}"
        case Share.key:
            return f"k:{account.id}"
        case _:
            assert_never(route.cache.share)
