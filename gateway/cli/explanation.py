"""An explanation as text, one question a line."""

from collections.abc import Iterator, Sequence

from gateway.explaining.explanation import (
    Beginning,
    Caching,
    Directives,
    Explanation,
    Limits,
    Onward,
    Quoted,
    Refusal,
    Room,
    Variant,
    Verdict,
)

_WIDTH = 15
_INTENTS = {
    "lookup": "lookup: a stored response will do",
    "force_refresh": "force refresh: fresh from the upstream, whatever is stored",
    "background_refresh": "background refresh: becomes a job, and is answered at once",
    "status": "status: how a background refresh stands, free",
    "pass": "pass: straight to the upstream, past the cache",
    "own": "own: the gateway answers by itself, free",
}
_TRIGGERS = {
    "client": "first the upstream gets this request itself, once for all its subjects",
    "configured": "first the upstream gets a request of the config's for each subject",
    "none": "the upstream is told nothing first",
}
_MISSING = {
    "fetch": "it is fetched",
    "forced fetch": "it is fetched, at the price of a force refresh",
    "only_if_cached": "refused with 504 only_if_cached",
    "not_stored": "refused with 404 not_stored, as a test key gets stored responses only",
}
_SCOPES = {"": "everyone", "p:": "the public"}
_BREAKERS = {
    "closed": "ok",
    "failing": "failing",
    "half-open": "asked whether it is well again: its breaker is half-open",
    "open": "left alone: its breaker is open",
}
_HEEDED = {
    "honour": "honoured",
    "ignore": "ignored: cache.client_directives",
    "price": "honoured, and work that they force costs a force refresh",
    "pass": "the upstream's business",
}
_SOURCES = {
    "client": "",
    "gateway": " (the gateway's)",
    "upstream": " (the upstream's headers)",
    "refresh.upstream": " (the route's refresh.upstream)",
}


def as_text(explanation: Explanation, source: str) -> str:
    """Only the questions that apply; `source` says who has answered them."""
    lines = [("source", source), *_lines(explanation)]
    return "\n".join([f"{label:{_WIDTH}}{text}".rstrip() for label, text in lines])


def _lines(told: Explanation) -> Iterator[tuple[str, str]]:
    yield "request", f"{told.method} {told.target} for {told.host}"
    yield from _several("passed over", [f"{passed.route}: {passed.why}" for passed in told.passed_over])
    yield "route", told.route or "none"
    if told.refusal is not None:
        yield from _refused(told.refusal)
    if told.caller is not None:
        caller = told.caller
        yield "account", f"{caller.account} of the organization {caller.organization}, plan {caller.plan}"
        yield "balance", f"of {caller.balance.removeprefix('org:')}"
    if told.intent is not None:
        yield "intent", _INTENTS[told.intent]
    yield from _several("answer", [f"{name}: {value}" for name, value in told.own or ()])
    yield from _begun(told.begins) if told.begins is not None else ()
    yield from _cached(told.caching) if told.caching is not None else ()
    yield from _several("stored", [_variant(variant) for variant in told.stored or ()])
    yield from [("stored", "nothing under this cache key")] if told.stored == () else ()
    yield from _judged(told.verdict) if told.verdict is not None else ()
    yield from _priced(told.quote) if told.quote is not None else ()
    yield from _limited(told.limits) if told.limits is not None else ()
    yield from _directed(told.directives) if told.directives is not None else ()
    yield from [("answered here", f"{', '.join(told.answered_here)}, by what is stored")] if told.answered_here else ()
    yield from _sent_on(told.onward) if told.onward is not None else ()


def _refused(refusal: Refusal) -> Iterator[tuple[str, str]]:
    yield "refused", f"{refusal.status} {refusal.reason}: {refusal.detail or refusal.title}"
    yield from _several("", [f"{name}: {value}" for name, value in refusal.fields])


def _begun(begins: Beginning) -> Iterator[tuple[str, str]]:
    more = f"each subject costs {begins.per_subject} more than the base"
    then = f"then what is stored with the tags {', '.join(begins.tags)} is fetched again"
    needs = f"{begins.name}, for which an API key needs the scope {begins.scope}"
    yield from _several("begins", [needs, _TRIGGERS[begins.trigger], then, more])


def _cached(caching: Caching) -> Iterator[tuple[str, str]]:
    upstream, scope, *rest = caching.key
    yield "cache key", " | ".join([upstream, _SCOPES.get(scope, scope), *rest])
    yield "share", caching.share
    yield from _several("group", [f"{name}, which a refresh outdates as a whole" for name in caching.outdates])
    yield "if not stored", _MISSING[caching.missing]


def _variant(variant: Variant) -> str:
    """What is stored, for whom, and what speaks for or against it."""
    left = "no lifetime" if variant.ttl is None else f"ttl {variant.ttl:.0f} s"
    selecting = ", ".join([f"{name}: {value or '(none)'}" for name, value in variant.selecting])
    marks = [
        *([f"for {selecting}"] if selecting else []),
        *(["not for this request"] if not variant.matches else []),
        *(["with a validator"] if variant.validator else []),
        *(["fetched by a force refresh"] if variant.forced else []),
        *(["the one selected"] if variant.selected else []),
    ]
    told = [f"{variant.status} {variant.state}", f"age {variant.age:.0f} s", left, f"{variant.size} bytes", *marks]
    return ", ".join(told)


def _judged(verdict: Verdict) -> Iterator[tuple[str, str]]:
    grounds = [f"{ground.words} ({ground.section})" for ground in verdict.grounds]
    yield "decision", verdict.decision + (", with a fetch that is under way" if verdict.collapsed else "")
    yield from _several("because", grounds)
    yield "Cache-Status", verdict.cache_status
    if verdict.tokens is not None:
        yield "charge", f"{verdict.tokens:>5} if it is delivered"
    if verdict.spare is not None:
        yield "if that fails", f"a stored response answers: {verdict.spare}"


def _limited(limits: Limits) -> Iterator[tuple[str, str]]:
    if limits.balance is None:
        yield "limits", "no bound on tokens"
    else:
        renews = "never renewed" if limits.renews is None else f"renewed at {limits.renews}"
        yield "limits", f"{limits.balance} of {limits.granted} tokens left, {limits.reserved} more reserved, {renews}"
    yield from _several("", [_room("throttle", limits.throttle), _room("force refreshes", limits.force_refresh_cap)])


def _room(name: str, room: Room | None) -> str:
    return f"{name}: no limit" if room is None else f"{name}: {room.remaining} of {room.limit} in {room.window} s left"


def _priced(quote: Quoted) -> Iterator[tuple[str, str]]:
    yield from _several("quote", [f"{tokens:>5} {name}" for name, tokens in quote.lines])
    most = "" if quote.forced is None else f"; {quote.forced} where the request's Cache-Control forces a fetch"
    yield "", f"{quote.total:>5} in all{most}"


def _directed(directives: Directives) -> Iterator[tuple[str, str]]:
    asked = [name if seconds is None else f"{name}={seconds:g}" for name, seconds in directives.demands]
    yield "demands", f"{', '.join(asked)}: {_HEEDED[directives.route]}"


def _sent_on(onward: Onward) -> Iterator[tuple[str, str]]:
    state = "" if onward.state is None else f", {_BREAKERS[onward.state]}"
    yield "upstream", f"{onward.upstream}: {onward.method} {onward.url}{state}"
    sent = [f"{field.name}{_shown(field.value)}{_SOURCES[field.source]}" for field in onward.fields]
    yield from _several("goes on", sent)
    yield from _several("stays behind", [f"{name}: {why}" for name, why in onward.left_out])


def _shown(value: str | None) -> str:
    return "" if value is None else f": {value}"


def _several(label: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The label stands before the first only."""
    yield from [("" if number else label, text) for number, text in enumerate(texts)]
