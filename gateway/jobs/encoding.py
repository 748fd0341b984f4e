"""Values as columns hold them, and back."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from gateway.admission.jobs import Job, Kind, Progress, Sending, Stage, State, Step, Target

JOB = (
    "id, kind, name, account, began, state, subject, since, url, host, ended, reason, subjects, subjects_done, "
    "subjects_failed, responses, responses_done, responses_failed, status, cache_status, tokens"
)
"""The columns of `jobs` that `job` reads, in their order."""


def texts(values: Iterable[str]) -> str:
    """As JSON, for SQLite's `json_each` as well."""
    return json.dumps(list(values))


@lru_cache
def allowed(scopes: frozenset[str]) -> str:
    """Scopes as JSON: the same few for all the subjects of a job, so they are kept."""
    return json.dumps(sorted(scopes))


@lru_cache
def scopes(text: str) -> tuple[str, ...]:
    """What `allowed` has written."""
    return tuple(json.loads(text))


def written(sending: Sending) -> str:
    """A request as JSON. Stray bytes in its fields (lone surrogates) are escaped, and so come back."""
    content = b64encode(sending.content).decode()
    return json.dumps([sending.method, sending.target, sending.fields, content, sending.scheme])


def sending(text: str) -> Sending:
    """What `written` has written."""
    method, target, fields, content, scheme = json.loads(text)
    return Sending(method, target, tuple([(name, value) for name, value in fields]), b64decode(content), scheme)


def digest(target: Target) -> bytes:
    """What tells a target from the others of its work."""
    return blake2b(f"{json.dumps(target.scope)}{written(target.sending)}".encode(), digest_size=16).digest()


def job(row: Sequence[Any]) -> Job:
    """The job of a row of `JOB`."""
    id_, kind, name, account, began, state, subject, since, url, host, ended, reason, *counts = row
    return Job(
        id=id_,
        kind=Kind(kind),
        name=name,
        account=account,
        began=began,
        state=State(state),
        subject=subject,
        since=since,
        url=url,
        host=host,
        ended=ended,
        reason=reason,
        subjects=Progress(*counts[:3]),
        responses=Progress(*counts[3:6]),
        status=counts[6],
        cache_status=counts[7],
        tokens=counts[8],
    )


def trigger_step(row: Sequence[Any]) -> Step:
    """A job's own trigger; its id is the job's number below zero, where no work's is."""
    number, name, job_id, account, since, due, attempts, began, reached, sent, text = row
    return Step(
        id=-number,
        stage=Stage.trigger,
        name=name,
        job=job_id,
        account=account,
        subject="",
        since=since,
        scopes=(),
        due=due,
        attempts=attempts,
        began=began,
        stage_began=reached,
        sent=bool(sent),
        sending=sending(text),
    )


def work_step(row: Sequence[Any]) -> Step:
    """What a work does itself: a trigger, a wait or a selection."""
    return _subject_step(row)


def target_step(row: Sequence[Any]) -> Step:
    """A target's fetch: as a work's, and the target behind it."""
    *columns, scope, text = row
    return _subject_step(columns, Target(scope, sending(text)))


def _subject_step(row: Sequence[Any], target: Target | None = None) -> Step:
    id_, stage, name, job_id, account, subject, since, shared, due, attempts, began, reached, sent = row
    return Step(
        id=id_,
        stage=Stage(stage),
        name=name,
        job=job_id,
        account=account,
        subject=subject,
        since=since,
        scopes=scopes(shared),
        due=due,
        attempts=attempts,
        began=began,
        stage_began=reached,
        sent=bool(sent),
        target=target,
    )
