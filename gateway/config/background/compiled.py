"""From an entry of `background_refreshes` to the routes that take its requests, and what these begin."""

from collections.abc import Iterator
from functools import partial
from typing import Literal, assert_never

from gateway.admission.background import (
    BackgroundPolicy,
    Call,
    Condition,
    Json,
    ListPolicy,
    PacePolicy,
    PagesPolicy,
    RetryPolicy,
    SincePolicy,
    StatusPolicy,
    SubjectPolicy,
    TriggerPolicy,
    WaitPolicy,
    Word,
)
from gateway.admission.patterns import PathPattern
from gateway.admission.snapshot import Price, Route
from gateway.config.background import sections

_ASKED = frozenset({"GET", "HEAD"})

_WORDS = {
    "none": Word(0, "Never refreshed"),
    "pending": Word(1, "Pending"),
    "running": Word(2, "Refreshing"),
    "done": Word(3, "Done"),
    "failed": Word(4, "Failed"),
    "cancelled": Word(5, "Cancelled"),
}

_STATUS: Json = {name: f"{{{name}}}" for name in ("subject", "status_id", "status", "attempted", "since")}


def background_routes(refresh: sections.BackgroundRefresh, upstream: str) -> Iterator[Route]:
    """The route that takes its requests, and the one that tells its status where clients may ask; `upstream` is the
    name of the one that it goes to."""
    route = partial(
        Route,
        host=refresh.match.host,
        upstream=upstream,
        public=False,
        send_credentials=True,
        strip_prefix=refresh.rewrite.strip_prefix,
        background=policy(refresh, upstream),
    )
    match = refresh.match
    path, price = PathPattern.parse(match.path), Price(base=refresh.price.base)
    yield route(name=refresh.name, path=path, methods=frozenset(match.methods), price=price)
    if refresh.status is not None:
        path = PathPattern.parse(refresh.status.path)
        yield route(name=status_name(refresh.name), path=path, methods=_ASKED, price=Price(base=0), tells_status=True)


def status_name(name: str) -> str:
    """What the status of the background refresh `name` is called in metrics."""
    return f"{name}-status"


def policy(refresh: sections.BackgroundRefresh, upstream: str) -> BackgroundPolicy:
    """What a valid entry means."""
    initiated = f"A background refresh of {refresh.name} has been initiated"
    under_way = f"A background refresh of {refresh.name} is under way already for {{subject}}"
    return BackgroundPolicy(
        name=refresh.name,
        upstream=upstream,
        subject=SubjectPolicy(refresh.subject.name, refresh.subject.kind),
        since=None if refresh.since is None else SincePolicy(refresh.since.name, refresh.since.zone),
        subjects=None if refresh.subjects is None else _list(refresh.subjects),
        trigger=_trigger(refresh.trigger),
        tags=refresh.tags,
        pages=_pages(refresh.pages),
        per_subject=refresh.price.per_subject,
        pace=PacePolicy(refresh.pace.concurrency, refresh.pace.rate),
        retry=RetryPolicy(refresh.retry.attempts, refresh.retry.first, refresh.retry.longest, refresh.retry.within),
        one=_answer(refresh.answer.one, f"{initiated} for {{subject}}"),
        all=_answer(refresh.answer.all, f"{initiated} for all"),
        joined=_answer(refresh.answer.joined, under_way),
        status=None if refresh.status is None else _status(refresh.status),
    )


def _answer(said: Json, message: str) -> Json:
    return {"success": True, "message": message} if said is None else said


def _list(subjects: sections.Subjects) -> ListPolicy:
    return ListPolicy(
        target=subjects.get,
        id=subjects.id,
        items=subjects.items,
        refreshable=_conditions(subjects.refreshable),
        pages=_pages(subjects.pages),
        keep=subjects.keep,
    )


def _pages(pages: sections.Pages | None) -> PagesPolicy | None:
    return None if pages is None else PagesPolicy(pages.query, pages.page, pages.pages, pages.most)


def _conditions(conditions: sections.Conditions) -> tuple[Condition, ...]:
    return tuple([Condition(member, values) for member, values in conditions.items()])


def _trigger(trigger: sections.Trigger) -> TriggerPolicy:
    wait = None if trigger.wait is None else _wait(trigger.wait)
    return TriggerPolicy(_request(trigger), trigger.repeatable, wait)


def _request(trigger: sections.Trigger) -> Literal["client", "none"] | Call:
    match trigger.request:
        case "client" | "none" as word:
            return word
        case sections.Call() as call:
            return Call(call.method, call.path, tuple(call.query.items()), call.body)
        case request:
            assert_never(request)


def _wait(wait: sections.Wait) -> WaitPolicy:
    return WaitPolicy(wait.get, _conditions(wait.until), _conditions(wait.failed), wait.every, wait.within)


def _status(status: sections.Status) -> StatusPolicy:
    said: dict[str, Word] = {state: Word(word.id, word.text) for state, word in status.words.items()}
    return StatusPolicy(_STATUS if status.answer is None else status.answer, _WORDS | said)
