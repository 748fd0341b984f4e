"""`gateway explain`: a request from the command line, and what would become of it as text or JSON."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict

import typer
from multidict import CIMultiDict

from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account
from gateway.admission.target import origin_form
from gateway.config.compile import accounts_by_id, snapshot
from gateway.config.digest import key_digest
from gateway.config.salvage import did_you_mean
from gateway.config.schema import Config
from gateway.errors import Problem
from gateway.explaining.explain import explain
from gateway.explaining.explanation import Caching, Directives, Explanation, Onward, Quoted, Refusal
from gateway.listener.body import declared_body
from gateway.messages import TOKEN, UNSENDABLE, Request

_WIDTH = 15
_INTENTS = {
    "lookup": "lookup: a stored response will do",
    "force_refresh": "force refresh: fresh from the upstream, whatever is stored",
    "pass": "pass: straight to the upstream, past the cache",
    "own": "own: the gateway answers by itself, free",
}
_MISSING = {
    "fetch": "it is fetched",
    "forced fetch": "it is fetched, at the price of a force refresh",
    "only_if_cached": "refused with 504 only_if_cached",
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


def explained(config: Config, method: str, url: str, lines: Sequence[str], key: str | None) -> Explanation:
    """What would become of a request to `url` with these field `lines`; as the account `key`, where that is given."""
    account = None if key is None else _account(config, key)
    return explain(Preparer(snapshot(config)), _request(method, url, lines), account)


def as_json(explanation: Explanation) -> str:
    """The whole explanation; what does not apply is null."""
    return json.dumps(asdict(explanation), indent=2)


def as_text(explanation: Explanation) -> str:
    """One question a line, only those that apply."""
    return "\n".join([f"{label:{_WIDTH}}{text}".rstrip() for label, text in _lines(explanation)])


def _account(config: Config, key: str) -> Account:
    known = accounts_by_id(config)
    if key in known:
        return known[key]
    # What was given may be the secret itself: it is not repeated.
    owner = snapshot(config).keys.get(key_digest(key)) if key.isascii() and not key.startswith("sha256:") else None
    hint = f", it is an API key of `{owner.id}`" if owner else did_you_mean(key, known)
    raise typer.BadParameter(f"no account has this id{hint}", param_hint="--key")


def _request(method: str, url: str, lines: Sequence[str]) -> Request:
    if not TOKEN.fullmatch(method):
        raise typer.BadParameter("a method is one word, such as GET", param_hint="METHOD")
    fields = CIMultiDict([_field(line) for line in lines])
    target, host = _placed(method, url)
    fields.setdefault("Host", host)
    return Request(method.upper(), target, fields, body=_content() if declared_body(fields) else None)


def _placed(method: str, url: str) -> tuple[str, str]:
    """The target as a client sends it, and its Host; what is no URL is the gateway's to refuse."""
    try:
        target, host, _ = origin_form(method, url)
    except Problem:
        return url, "localhost"
    return target, "localhost" if host is None else host


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not TOKEN.fullmatch(name) or UNSENDABLE.search(value.strip()):
        raise typer.BadParameter("a field is `Name: value`", param_hint="-H")
    return name, value.strip(" \t")


async def _content() -> AsyncIterator[bytes]:
    """Announced, and read by nobody."""
    yield b""


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
    yield from _cached(told.caching) if told.caching is not None else ()
    yield from _priced(told.quote) if told.quote is not None else ()
    yield from _directed(told.directives) if told.directives is not None else ()
    yield from [("answered here", f"{', '.join(told.answered_here)}, by what is stored")] if told.answered_here else ()
    yield from _sent_on(told.onward) if told.onward is not None else ()


def _refused(refusal: Refusal) -> Iterator[tuple[str, str]]:
    yield "refused", f"{refusal.status} {refusal.reason}: {refusal.detail or refusal.title}"
    yield from _several("", [f"{name}: {value}" for name, value in refusal.fields])


def _cached(caching: Caching) -> Iterator[tuple[str, str]]:
    upstream, scope, *rest = caching.key
    yield "cache key", " | ".join([upstream, scope or "everyone", *rest])
    yield "share", caching.share
    yield from _several("group", [f"{name}, which a refresh outdates as a whole" for name in caching.outdates])
    yield "if not stored", _MISSING[caching.missing]


def _priced(quote: Quoted) -> Iterator[tuple[str, str]]:
    yield from _several("quote", [f"{tokens:>5} {name}" for name, tokens in quote.lines])
    most = "" if quote.forced is None else f"; {quote.forced} where the request's Cache-Control forces a fetch"
    yield "", f"{quote.total:>5} in all{most}"


def _directed(directives: Directives) -> Iterator[tuple[str, str]]:
    asked = [name if seconds is None else f"{name}={seconds:g}" for name, seconds in directives.demands]
    yield "demands", f"{', '.join(asked)}: {_HEEDED[directives.route]}"


def _sent_on(onward: Onward) -> Iterator[tuple[str, str]]:
    yield "upstream", f"{onward.upstream}: {onward.method} {onward.url}"
    sent = [f"{field.name}{_shown(field.value)}{_SOURCES[field.source]}" for field in onward.fields]
    yield from _several("goes on", sent)
    yield from _several("stays behind", [f"{name}: {why}" for name, why in onward.left_out])


def _shown(value: str | None) -> str:
    return "" if value is None else f": {value}"


def _several(label: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The label stands before the first only."""
    yield from [("" if number else label, text) for number, text in enumerate(texts)]
