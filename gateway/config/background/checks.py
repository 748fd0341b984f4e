"""What background refreshes must mean by themselves, and together with the rest of a config."""

from collections.abc import Iterator
from itertools import chain

from gateway.admission.background import Json
from gateway.admission.covering import covers
from gateway.admission.filled import placeholders
from gateway.admission.patterns import PathPattern
from gateway.config.background.compiled import status_name
from gateway.config.background.sections import BackgroundRefresh, Call
from gateway.config.complaints import Complaint, only_upstream, quoted, upstream_in, upstream_named
from gateway.config.document import SettingPath
from gateway.config.salvage import did_you_mean
from gateway.config.schema import Config

_SENT = frozenset({"subject", "since"})
_ANSWERED = frozenset({"subject", "subjects", "since", "job", "how"})
_STATUS = frozenset({"subject", "status", "status_id", "attempted", "since"})

_Template = tuple[SettingPath, Json, frozenset[str]]
"""Where a template stands, and the placeholders that have a value there."""


def background_complaints(config: Config) -> Iterator[Complaint]:
    """Everything wrong with `background_refreshes` that no key alone is at fault for."""
    yield from _named(config)
    for at, refresh in enumerate(config.background_refreshes):
        path: SettingPath = ("background_refreshes", at)
        yield from chain(
            upstream_named(config, refresh.upstream, path),
            _credentials(config, refresh, path),
            _parameters(refresh, path),
            _triggered(refresh, path),
            _conditions(config, refresh, path),
            _patient(refresh, path),
            _status(refresh, path),
            *[_filled(config, *template) for template in _templates(refresh, path)],
        )


def _named(config: Config) -> Iterator[Complaint]:
    """Each has a name of its own among all routes, and so has its status: metrics and the register go by them."""
    only = only_upstream(config)
    firsts: dict[str, SettingPath] = {}
    for at, route in enumerate(config.routes):
        firsts.setdefault(route.name or route.upstream or only, ("routes", at))
    for at, refresh in enumerate(config.background_refreshes):
        own: SettingPath = ("background_refreshes", at)
        for name, what in _names(refresh):
            first = firsts.setdefault(name, own)
            if first != own:
                place = config.document.place((*first, "name"), beside=(*own, "name"))
                said = ((*first, "name"), (*first, "upstream"))
                yield Complaint((*own, "name"), f"{what} the name of another route, {place}", said, at_key=False)


def _names(refresh: BackgroundRefresh) -> Iterator[tuple[str, str]]:
    yield refresh.name, "is"
    if refresh.status is not None:
        yield status_name(refresh.name), "with `-status`, as its status is called, it is"


def _credentials(config: Config, refresh: BackgroundRefresh, path: SettingPath) -> Iterator[Complaint]:
    upstream = upstream_in(config, refresh.upstream)
    if upstream is not None and upstream.credentials == "client":
        message = "its upstream has `credentials: client`, and no client's key is kept for what comes later"
        yield Complaint((*path, "upstream") if refresh.upstream else path, message, at_key=False)


def _parameters(refresh: BackgroundRefresh, path: SettingPath) -> Iterator[Complaint]:
    if refresh.since is not None and refresh.since.name == refresh.subject.name:
        message = "is the subject's parameter as well"
        yield Complaint((*path, "since", "name"), message, ((*path, "subject", "name"),), at_key=False)


def _triggered(refresh: BackgroundRefresh, path: SettingPath) -> Iterator[Complaint]:
    trigger, path = refresh.trigger, (*path, "trigger")
    if trigger.request == "none" and trigger.repeatable:
        message = "with `request: none` nothing is sent that could be repeated"
        yield Complaint((*path, "repeatable"), message, ((*path, "request"),))
    call = trigger.request
    if isinstance(call, Call) and call.method in ("GET", "HEAD") and call.body is not None:
        yield Complaint((*path, "request", "body"), f"a {call.method} has no content", ((*path, "request", "method"),))


def _conditions(config: Config, refresh: BackgroundRefresh, path: SettingPath) -> Iterator[Complaint]:
    until = (*path, "trigger", "wait", "until")
    if refresh.trigger.wait is not None and not refresh.trigger.wait.until:
        conditions = config.document.at(until)
        # Those that were invalid are none any more.
        if conditions is not None and not conditions.dropped:
            yield Complaint(until, "must not be empty: nothing would be waited for", at_key=False)


def _patient(refresh: BackgroundRefresh, path: SettingPath) -> Iterator[Complaint]:
    """Durations of which one cannot be shorter than another."""
    retry, wait = refresh.retry, refresh.trigger.wait
    for name, seconds in (("longest", retry.longest), ("within", retry.within)):
        if seconds < retry.first:
            yield _too_short((*path, "retry"), name, "first")
    if wait is not None and wait.within < wait.every:
        yield _too_short((*path, "trigger", "wait"), "within", "every")


def _too_short(section: SettingPath, name: str, other: str) -> Complaint:
    path = (*section, name)
    return Complaint(path, f"must be at least as long as `{other}`", (path, (*section, other)), at_key=False)


def _status(refresh: BackgroundRefresh, path: SettingPath) -> Iterator[Complaint]:
    match = refresh.match
    if refresh.status is None or "GET" not in match.methods:
        return
    if covers(PathPattern.parse(match.path), PathPattern.parse(refresh.status.path)):
        message = "`match` takes every GET of this path"
        said = ((*path, "match", "path"), (*path, "match", "methods"))
        yield Complaint((*path, "status", "path"), message, said, at_key=False)


def _templates(refresh: BackgroundRefresh, path: SettingPath) -> Iterator[_Template]:
    """Every template of the entry."""
    for at, tag in enumerate(refresh.tags):
        yield (*path, "tags", at), tag, frozenset({"subject"})
    trigger = refresh.trigger
    if isinstance(trigger.request, Call):
        call, place = trigger.request, (*path, "trigger", "request")
        yield (*place, "path"), call.path, _SENT
        yield (*place, "query"), dict(call.query), _SENT
        yield (*place, "body"), call.body, _SENT
    if trigger.wait is not None:
        yield (*path, "trigger", "wait", "get"), trigger.wait.get, _SENT
    if refresh.status is not None:
        yield (*path, "status", "answer"), refresh.status.answer, _STATUS
    yield (*path, "answer", "one"), refresh.answer.one, _ANSWERED
    yield (*path, "answer", "all"), refresh.answer.all, _ANSWERED - {"subject"}
    yield (*path, "answer", "joined"), refresh.answer.joined, _ANSWERED


def _filled(config: Config, path: SettingPath, template: Json, known: frozenset[str]) -> Iterator[Complaint]:
    for place, text in _texts(path, template):
        try:
            unknown = sorted(placeholders(text) - known)
        except ValueError as error:
            yield Complaint(place, str(error), at_key=False)
            continue
        for name in unknown:
            shown = quoted(config, place, name)
            hint = (did_you_mean(name, known) if shown else "") or f"; known: {', '.join(sorted(known))}"
            yield Complaint(place, f"unknown placeholder{shown}{hint}", at_key=False)


def _texts(path: SettingPath, template: Json) -> Iterator[tuple[SettingPath, str]]:
    """The texts of a template, each with its place."""
    match template:
        case str():
            yield path, template
        case list():
            for at, item in enumerate(template):
                yield from _texts((*path, at), item)
        case dict():
            for name, member in template.items():
                yield from _texts((*path, name), member)
        case _:
            return
