"""Each question of a request's way, answered as the gateway answers it."""

from collections.abc import Iterable
from dataclasses import fields
from math import inf

from gateway.admission.asking import Asked
from gateway.admission.forwarding import forwarded
from gateway.admission.masking import HIDDEN, masked
from gateway.admission.options import own_fields
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.routes import mismatch
from gateway.admission.snapshot import Account, Route, Snapshot
from gateway.answers.problem import problem_fields
from gateway.errors import Problem, Reason
from gateway.explaining.background import beginning, priced, trigger, wanted
from gateway.explaining.explanation import Caching, Caller, Directives, Explanation, PassedOver, Quoted, Refusal
from gateway.explaining.fields import onward, secret_fields
from gateway.lookup import Live, Lookup
from gateway.messages import Outgoing, Request
from gateway.onward import for_head, for_lookup, for_pass
from gateway.operation import Operation
from gateway.rfc9111.demands import demands
from gateway.rfc9111.reuse import Decision, Fetch, Refuse

_ALWAYS = ("Cache-Control",)
_UNROUTED = frozenset({Reason.no_route, Reason.method_not_allowed})


def explain(preparer: Preparer, request: Request, account: Account | None = None) -> Explanation:
    """What would become of `request` while nothing is stored for it; with an `account`, as that one's."""
    told = routed(preparer, request)
    if told.intent is not None:
        return told
    try:
        prepared = preparer.prepare(request, account)
        return told.model_copy(update=_known(preparer, request, prepared))
    except Problem as problem:
        return refused(told, problem)


def routed(preparer: Preparer, request: Request) -> Explanation:
    """The routes that do not take the request, and the one that does; below `/-/` no route is asked, ever."""
    host, target = request.fields.get("Host", ""), masked(request.target, preparer.snapshot)
    if request.target.startswith("/-/"):
        return Explanation(method=request.method, host=_shown(host), target=_shown(target), intent=Intent.own.name)
    passed_over, route = _routed(preparer, request)
    return Explanation(
        method=request.method, host=_shown(host), target=_shown(target), passed_over=passed_over, route=route
    )


def refused(told: Explanation, problem: Problem) -> Explanation:
    """What is told, and that the request is refused."""
    reason = problem.reason
    fields = tuple([field for field in problem_fields(problem).items() if field[0] not in _ALWAYS])
    refusal = Refusal(reason.status, reason.name, reason.title, problem.detail, fields)
    return told.model_copy(update={"refusal": refusal})


def described(request: Request, prepared: Prepared) -> dict[str, object]:
    """What the request's head and the config say besides, by the names of `Explanation`."""
    account = prepared.account
    known: dict[str, object] = {
        "caller": None if account is None else _caller(account),
        "intent": prepared.intent.name.rstrip("_"),
    }
    if prepared.intent is Intent.own:
        return known | {"own": tuple(own_fields(request, prepared.route))}
    return known | {
        "quote": _quote(prepared),
        "directives": _directives(prepared),
        "answered_here": _answered_here(prepared),
    }


def _routed(preparer: Preparer, request: Request) -> tuple[tuple[PassedOver, ...], str | None]:
    try:
        host, target = preparer.asked(request)
    except Problem:
        return (), None
    routes = preparer.snapshot.routes
    try:
        place = preparer.taken(request, host, target.path).place
    except Problem as problem:
        place = len(routes) if problem.reason in _UNROUTED else 0
        return _passed_over(routes[:place], host, target.path), None
    return _passed_over(routes[:place], host, target.path), routes[place].name


def _passed_over(routes: Iterable[Route], host: str, path: str) -> tuple[PassedOver, ...]:
    return tuple([PassedOver(route.name, mismatch(route, host, path).value) for route in routes])


def _known(preparer: Preparer, request: Request, prepared: Prepared) -> dict[str, object]:
    """With what becomes of it while nothing is stored."""
    snapshot = preparer.snapshot
    match prepared.intent:
        case Intent.own:
            return described(request, prepared)
        case Intent.background_refresh | Intent.status:
            # No date is in the future of a config.
            return begun(request, prepared, snapshot, wanted(prepared, inf))
        case _:
            return described(request, prepared) | _answered(preparer, request, prepared)


def begun(request: Request, prepared: Prepared, snapshot: Snapshot, asked: Asked | None) -> dict[str, object]:
    """The same of a background refresh, or of how one stands: what is `asked` for by the head alone.

    Raises `Problem` for one beyond what it may cost, and for what cannot be sent on.
    """
    known = described(request, priced(prepared, asked))
    if prepared.intent is Intent.status:
        return known
    return known | {"begins": beginning(prepared), "onward": trigger(prepared, snapshot, asked)}


def _answered(preparer: Preparer, request: Request, prepared: Prepared) -> dict[str, object]:
    """How it stands to the cache, and what goes on."""
    snapshot = preparer.snapshot
    lookup = _lookup(preparer, prepared)
    decision = lookup.decide((), 0.0) if lookup is not None else None
    outgoing = _outgoing(prepared, snapshot, lookup, demanded=isinstance(decision, Fetch) and decision.demanded)
    return {
        "caching": None if lookup is None else caching(lookup, snapshot, decision),
        "onward": onward(request, prepared, snapshot, outgoing),
    }


def _caller(account: Account) -> Caller:
    return Caller(account.id, account.organization, account.plan.name, account.holder)


def _lookup(preparer: Preparer, prepared: Prepared) -> Lookup | None:
    """What asks the cache, where the request does."""
    cache = prepared.route.cache
    if cache is None or prepared.intent is Intent.pass_:
        return None
    op = Operation(prepared.request, "", 0.0, prepared)
    return Lookup(op, prepared, cache, Live(preparer.snapshot, preparer, {}))


def _outgoing(prepared: Prepared, snapshot: Snapshot, lookup: Lookup | None, *, demanded: bool) -> Outgoing:
    request_id = prepared.request.fields.get("X-Request-Id", "")
    if lookup is None:
        return for_pass(prepared, snapshot, request_id)
    selecting = forwarded(prepared, snapshot)
    if lookup.goes_on_as_head:
        return for_head(prepared, selecting, request_id, demanded=demanded)
    return for_lookup(prepared, selecting, request_id, ranged=lookup.goes_on_with_range, demanded=demanded)


def caching(lookup: Lookup, snapshot: Snapshot, decision: Decision | None) -> Caching:
    """How a lookup stands to the cache; `decision` is what comes of it while nothing is stored."""
    prepared = lookup.prepared
    upstream, scope, keyed, *lines = prepared.key.split("\n")
    hidden = secret_fields(snapshot)
    shown = [
        f"{name}:{HIDDEN if name in hidden else value}" for name, _, value in [line.partition(":") for line in lines]
    ]
    forced = isinstance(decision, Fetch) and decision.demanded and prepared.demanded_quote is not None
    return Caching(
        share="public" if prepared.account is None else lookup.cache.share.value,
        key=(upstream, scope, masked(keyed, snapshot), *shown),
        outdates=prepared.tags or (prepared.path,),
        missing=_refusal(lookup) if isinstance(decision, Refuse) else "forced fetch" if forced else "fetch",
    )


def _refusal(lookup: Lookup) -> str:
    """What a lookup that wants nothing but what is stored gets."""
    return (Reason.not_stored if lookup.op.tested else Reason.only_if_cached).name


def _quote(prepared: Prepared) -> Quoted | None:
    quote, demanded = prepared.quote, prepared.demanded_quote
    if quote is None:
        return None
    forced = demanded is not None and prepared.intent is Intent.lookup
    return Quoted(quote.lines, quote.total, demanded.total if demanded is not None and forced else None)


def _directives(prepared: Prepared) -> Directives | None:
    asked, cache = demands(prepared.request.fields), prepared.route.cache
    if asked is None:
        return None
    named = [(item.name.replace("_", "-"), getattr(asked, item.name)) for item in fields(asked)]
    # By identity: a max-age of 0 is a demand.
    said = [
        (name, None if value is True or value == inf else value)
        for name, value in named
        if value is not None and value is not False
    ]
    heeds = cache.client_directives.value if cache is not None and prepared.intent is not Intent.pass_ else "pass"
    return Directives(tuple(said), heeds)


def _answered_here(prepared: Prepared) -> tuple[str, ...]:
    if not prepared.conditional:
        return ()
    given = prepared.request.fields
    ranges = ("Range", "If-Range") if prepared.ranged else ()
    return tuple([name for name in ("If-None-Match", "If-Modified-Since", *ranges) if name in given])


def _shown(text: str) -> str:
    """Without the lone surrogates that stand for stray bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")
