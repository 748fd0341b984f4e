"""Step 2 of a request's way: from its head and the snapshot to route, account, intent, quote and cache key."""

from dataclasses import replace
from math import inf
from typing import NamedTuple, assert_never

from multidict import CIMultiDict

from gateway.admission.charge import Quote
from gateway.admission.cors import answer_fields, asked_method, is_preflight
from gateway.admission.entitlement import max_tokens, refuse_beyond
from gateway.admission.flags import flags_on
from gateway.admission.keys import find_account
from gateway.admission.options import max_forwards
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent, Provision, provision
from gateway.admission.routes import Matched, Router
from gateway.admission.snapshot import Account, ClientDirectives, Route, Share, Snapshot
from gateway.admission.target import Query, Target, authority, canonical, host, origin_form, without_port
from gateway.errors import Problem, Reason
from gateway.messages import Fields, Request, nominated
from gateway.rfc9111.conditions import is_conditional
from gateway.rfc9111.demands import Demands, demands
from gateway.rfc9111.ranges import asks_for_part

_KEPT_ALIVE = frozenset({"keep-alive"})
_HOST = frozenset({"host"})

# What a test key asks for: whatever is stored, however old, as long as its origin allows that.
_STORED_ONLY = Demands(only_if_cached=True, max_stale=inf)

# Whose answer is there before the request, whole or in part: what the others do is told to whoever asks.
_NARROWED = (Intent.lookup, Intent.force_refresh)


class _Asked(NamedTuple):
    """What is asked for, and what it may cost; as in `Prepared`."""

    intent: Intent
    quote: Quote | None
    demands: Demands | None
    demanded_quote: Quote | None


class Sought(NamedTuple):
    """What a request line seeks: the route that takes it, the canonical query, the route's flags that are on."""

    matched: Matched
    query: Query
    on: frozenset[str]


class Preparer:
    """Prepares requests by one snapshot. Raises ValueError for routes that cannot work (`Router`, `strip_prefix`)."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._router = Router(snapshot.routes)
        self._hosts = frozenset([name.lower() for name in snapshot.hosts])
        self._provisions = [provision(route, snapshot) for route in snapshot.routes]

    def prepare(self, request: Request, account: Account | None = None) -> Prepared:
        """Raises `Problem` for every refusal that needs no state: 400, 401, 404, 405, 417, 421 and 501.

        Once a route has matched, the problem names it, and says what its pages need to read the answer; it names the
        account once its key was recognised. With an `account` the request is that one's, whatever key it carries.
        """
        asked, target = self.asked(request)
        matched = self.taken(request, asked, target.path)
        route = matched.route
        try:
            if route.cors is not None and is_preflight(request):
                return _preflight(request, matched)
            return self._prepared(request, matched, target.query, account)
        except Problem as problem:
            problem.route = route.name
            if route.cors is not None:
                problem.fields += answer_fields(route.cors, request.fields.get("Origin"))
            raise

    def sought(self, request: Request) -> Sought:
        """What a GET or HEAD seeks. Raises `Problem` as `prepare` does, for all that its target and Host tell."""
        asked, target = self.asked(request)
        matched = self.taken(request, asked, target.path)
        return Sought(matched, target.query, flags_on(target.query, self._provisions[matched.place].flags))

    def like(self, known: Prepared, request: Request, account: Account | None, sought: Sought) -> Prepared:
        """A lookup that seeks the same as `known` but elsewhere, by the same method, with the same fields but the key.

        Route and flags are the same, so that path and query alone make a difference. The `account` has the same share
        scope, and may look up.
        """
        provision = self._provisions[sought.matched.place]
        path = provision.below(sought.matched.path)
        target, keyed = provision.targets(path, sought.query, known.intent)
        key = self._key(request, provision, known.scope, keyed)
        return known.elsewhere(request, account, sought.matched.params, target, path, key)

    def account_of(self, request: Request) -> Account:
        """Who asks for one of the gateway's own resources. Raises `Problem` as `prepare` does."""
        return find_account(self.snapshot, request.fields, canonical(request.target).query)

    def asked(self, request: Request) -> tuple[str, Target]:
        """The host and the target that a request asks for, in canonical form. Raises `Problem`: 400, 404, 421, 501."""
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
        return asked, target

    def taken(self, request: Request, asked: str, path: str) -> Matched:
        """The route that takes a request for the host `asked`. Raises `Problem` as `Router.match` does."""
        if is_preflight(request):
            preflight = self._router.match_preflight(asked_method(request), asked, path)
            if preflight is not None:
                return preflight
        return self._router.match(request.method, asked, path)

    def _prepared(self, request: Request, matched: Matched, query: Query, account: Account | None) -> Prepared:
        _refuse_expectation(request.fields)
        account = None if matched.route.public else account or find_account(self.snapshot, request.fields, query)
        try:
            return self._prepared_for(account, request, matched, query)
        except Problem as problem:
            problem.asker = None if account is None else (account.id, account.organization)
            raise

    def _prepared_for(self, account: Account | None, request: Request, matched: Matched, query: Query) -> Prepared:
        route, provision = matched.route, self._provisions[matched.place]
        most = None if account is None else max_tokens(request.fields)
        request = _without_nominated(request)
        query = provision.filled(query) if matched.refresh else query
        asked = _asked(request, matched, flags_on(query, provision.flags), provision)
        if account is not None and asked.quote is not None:
            refuse_beyond(account, asked.quote, most, asked.intent)
        if account is not None and account.test:
            asked = _tested(asked)
        path, scope = provision.below(matched.path), _scope(route, account)
        target, keyed = provision.targets(path, query, asked.intent)
        narrowed = asked.intent in _NARROWED
        ranged = narrowed and _is_ranged(request, route)
        return Prepared(
            *(request, route, matched.params, account, asked.intent, asked.quote, target, path),
            key=self._key(request, provision, scope, keyed),
            scope=scope,
            demands=asked.demands,
            demanded_quote=asked.demanded_quote,
            conditional=ranged or (narrowed and is_conditional(request.fields)),
            ranged=ranged,
            max_tokens=most,
        )

    def _key(self, request: Request, provision: Provision, scope: str, keyed: str) -> str:
        lines = provision.keyed_lines(request, self.snapshot.trusted_proxies)
        return "\n".join([provision.upstream, scope, keyed, *lines])


def _preflight(request: Request, matched: Matched) -> Prepared:
    """Asked without credentials, answered for nothing, kept nowhere."""
    path = matched.path
    return Prepared(request, matched.route, matched.params, None, Intent.own, None, path, path, "", "")


def _refuse_expectation(fields: Fields) -> None:
    if "Expect" in fields and any(value.strip().lower() != "100-continue" for value in fields.getall("Expect")):
        raise Problem(Reason.expectation_failed, "Only 100-continue can be expected.")


def _without_nominated(request: Request) -> Request:
    """Drop the fields that Connection nominates (RFC 9110 §7.6.1) before any is keyed, selected by or forwarded.

    Host is for everyone on the way and stays.
    """
    names = nominated(request.fields) - _HOST
    if names <= _KEPT_ALIVE:
        return request
    kept = [(name, value) for name, value in request.fields.items() if name.lower() not in names]
    return replace(request, fields=CIMultiDict(kept))


def _asked(request: Request, matched: Matched, on: frozenset[str], provision: Provision) -> _Asked:
    route, intent = matched.route, _intent(request, matched, on, provision)
    quote = None if route.price is None else provision.quoted(route.price, on, intent)
    heeded = _demands(request, route)
    return _Asked(intent, quote, heeded, None if heeded is None else _demanded_quote(route, on, provision))


def _intent(request: Request, matched: Matched, on: frozenset[str], provision: Provision) -> Intent:
    if matched.refresh:
        return Intent.force_refresh
    if max_forwards(request.method, request.fields) == 0:
        return Intent.own
    if matched.route.background is not None:
        return Intent.status if matched.route.tells_status else Intent.background_refresh
    if matched.route.cache is None or request.method not in ("GET", "HEAD"):
        return Intent.pass_
    if request.body is not None:
        raise Problem(Reason.unexpected_body)
    return Intent.lookup if on.isdisjoint(provision.forcing) else Intent.force_refresh


def _tested(asked: _Asked) -> _Asked:
    """What a test key gets instead: it never reaches an upstream, so a force refresh is a lookup, a pass nothing.

    No upstream call is no refresh to the organization's cap either.
    """
    quote = None if asked.quote is None else asked.quote.unforced()
    stored = asked._replace(quote=quote, demands=_STORED_ONLY, demanded_quote=None)
    match asked.intent:
        case Intent.pass_ | Intent.background_refresh:
            raise Problem(Reason.not_stored)
        case Intent.lookup | Intent.force_refresh:
            return stored._replace(intent=Intent.lookup)
        case Intent.own | Intent.status:
            return stored
        case _:
            assert_never(asked.intent)


def _demands(request: Request, route: Route) -> Demands | None:
    if route.cache is None or route.cache.client_directives is ClientDirectives.ignore:
        return None
    return demands(request.fields)


def _demanded_quote(route: Route, on: frozenset[str], provision: Provision) -> Quote | None:
    if route.price is None or route.cache is None or route.cache.client_directives is not ClientDirectives.price:
        return None
    return provision.quoted(route.price, on, Intent.force_refresh)


def _is_ranged(request: Request, route: Route) -> bool:
    """RFC 9110 §14.2: only a GET has ranges; content that tokens go into has none either."""
    if request.method != "GET" or route.tokens_in_body:
        return False
    return asks_for_part(request.fields)


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
