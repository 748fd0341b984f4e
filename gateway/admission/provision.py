"""What preparing for one route needs, worked out once: flags and quotes, and of what its cache keys are made."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from operator import itemgetter

from gateway.admission.charge import Quote
from gateway.admission.keys import credential_parameters, withheld_fields
from gateway.admission.patterns import PathPattern
from gateway.admission.peers import is_claim, without_nodes
from gateway.admission.pricing import quote
from gateway.admission.snapshot import CachePolicy, Price, Route, Snapshot
from gateway.admission.target import Query, Target, authority, component
from gateway.errors import Problem, Reason
from gateway.messages import UNSENDABLE, Request

_NONE = frozenset[str]()
_ASKED_FOR = frozenset({"host"})
_ASKED_FOR_BEFORE = frozenset({"forwarded", "x-forwarded-host", "x-forwarded-proto"})


class Intent(Enum):
    """What a request wants of the cache; `own`: the gateway answers it, and no upstream hears of it.

    `status`: how the background refresh of a subject stands.
    """

    lookup = auto()
    force_refresh = auto()
    background_refresh = auto()
    status = auto()
    pass_ = auto()
    own = auto()


@dataclass(slots=True, frozen=True)
class Provision:
    """One route's; names and pairs as a canonical query spells them.

    `secret` parameters hold API keys and are in no cache key. `dropped` ones do not reach the upstream on a lookup or
    a force refresh, `dropped_passing` ones not on a pass. `upstream` is the upstream's identity.
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
    upstream: str
    keyed_fields: tuple[str, ...]
    quotes: dict[tuple[frozenset[str], bool], Quote] = field(default_factory=dict)

    def quoted(self, price: Price, on: frozenset[str], intent: Intent) -> Quote:
        """The quote, worked out once for each set of flags: there are few."""
        asked = on, intent is Intent.force_refresh
        known = self.quotes.get(asked)
        if known is None:
            known = self.quotes[asked] = quote(price, *asked)
        return known

    def filled(self, query: Query) -> Query:
        """The query of the GET that a refresh stands for: with those of `post_query` that it leaves out."""
        given = {name for name, _ in query}
        return query + tuple([pair for pair in self.post_query if pair[0] not in given])

    def below(self, path: str) -> str:
        """The path with the route's prefix taken off, which only whole segments match."""
        prefix = self.strip_prefix
        if not prefix or not f"{path}/".startswith(f"{prefix}/"):
            return path
        return path[len(prefix) :] or "/"

    def targets(self, path: str, query: Query, intent: Intent) -> tuple[str, str]:
        """The upstream's target, and that of the cache key: without secrets and what a forced fetch adds."""
        sent = self._kept(query, intent)
        keyed = _without(sent, self.secret)
        if intent is Intent.force_refresh and self.upstream_query:
            sent = _without(sent, [name for name, _ in self.upstream_query]) + self.upstream_query
        key_target = Target(path, keyed).render()
        return (key_target if sent == keyed else Target(path, sent).render()), key_target

    def keyed_lines(self, request: Request, trusted: tuple[str, ...]) -> list[str]:
        """One line for each keyed field present; no value can hold a line's end, so the key has one reading only.

        What a peer claims that is not `trusted` reaches no upstream and is not keyed. Raises `Problem` with
        `malformed_request` for a value that is not UTF-8.
        """
        lines = []
        for name in self.keyed_fields:
            values = request.fields.getall(name, None)
            if values is None or is_claim(name, request, trusted):
                continue
            value = _keyed(name, values, request.scheme)
            if UNSENDABLE.search(value):
                raise Problem(Reason.malformed_request, f"The value of the field {name} is not UTF-8.")
            lines.append(f"{name}:{value}")
        return lines

    def _kept(self, query: Query, intent: Intent) -> Query:
        """The parameters that reach the upstream, in their order unless the route sorts them by name."""
        if intent is Intent.pass_:
            return _without(query, self.dropped_passing)
        kept = _without(query, self.dropped)
        return tuple(sorted(kept, key=itemgetter(0))) if self.sorts and len(kept) > 1 else kept


def provision(route: Route, snapshot: Snapshot) -> Provision:
    """Work out what `route` needs. Raises ValueError for a `strip_prefix` that is no path."""
    cache, refresh, price = route.cache or CachePolicy(), route.refresh, route.price
    forcing = _NONE if refresh is None else frozenset(refresh.query)
    secret = _NONE if route.public else credential_parameters(snapshot)
    dropped_passing = secret if snapshot.upstreams[route.upstream].credentials == "gateway" else _NONE
    priced = [name for option in (price.options if price else ()) for name in option.query_any]
    keyed_fields = {name.lower() for name in (*route.forward, *cache.vary_on)} - withheld_fields(route, snapshot)
    keyed_fields |= _asked_for(route, snapshot)
    return Provision(
        flags={component(name): name for name in forcing.union(priced)},
        forcing=forcing,
        secret=secret,
        dropped=dropped_passing.union([component(name) for name in forcing | cache.query_ignore]),
        dropped_passing=dropped_passing,
        sorts=cache.query_sort,
        post_query=_pairs(refresh.post_query if refresh else ()),
        upstream_query=_pairs(refresh.upstream_query if refresh else ()),
        strip_prefix=PathPattern.parse(route.strip_prefix).fill({}).rstrip("/") if route.strip_prefix else "",
        upstream=snapshot.upstreams[route.upstream].identity,
        keyed_fields=tuple(sorted(keyed_fields)),
    )


def _asked_for(route: Route, snapshot: Snapshot) -> frozenset[str]:
    """The fields that hold scheme and host of the URI that a stored response answers (RFC 9111 §2).

    A pure route's upstream is told them and may write them into its answer; those of other routes never hear of them.
    """
    if route.cache is None or not route.cache.policy.pure:
        return _NONE
    return _ASKED_FOR | _ASKED_FOR_BEFORE if snapshot.trusted_proxies else _ASKED_FOR


def _keyed(name: str, values: list[str], scheme: str) -> str:
    """A keyed field's value as the upstream is told it; of Forwarded what does not differ with every client."""
    match name:
        case "host":
            return authority(values[0], scheme)
        case "forwarded":
            return without_nodes(", ".join(values))
        case _:
            return ", ".join(values)


def _pairs(pairs: Iterable[tuple[str, str]]) -> Query:
    return tuple([(component(name), component(value)) for name, value in pairs])


def _without(query: Query, names: Iterable[str]) -> Query:
    return tuple([pair for pair in query if pair[0] not in names]) if query and names else query
