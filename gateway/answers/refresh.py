"""A refresh as both doors tell it: `/-/refreshes` on the client port, and on the operators'."""

from datetime import UTC, datetime

from gateway.admission.jobs import Job, Kind, Progress, State
from gateway.ledger.records import HOUSE

Document = dict[str, object]


def refresh_document(job: Job) -> Document:
    """A dict for JSON; moments are in ISO 8601, and what a job of its kind does not have is None."""
    single = job.kind is Kind.single
    return {
        "id": job.id,
        "kind": job.kind.value,
        "state": job.state.value,
        "reason": job.reason,
        "account": None if job.account == HOUSE else job.account,
        "background": None if single else job.name,
        "subject": job.subject,
        "since": _instant(job.since),
        "route": job.name if single else None,
        "url": job.url if single else None,
        "host": job.host if single else None,
        "began": _instant(job.began),
        "ended": _instant(job.ended),
        "progress": _counts(_of_one(job.state) if single else job.responses),
        "subjects": None if single else _counts(job.subjects),
        "status": job.status,
        "cache_status": job.cache_status,
        "tokens": job.tokens,
    }


def page_document(found: tuple[Job, ...], most: int) -> Document:
    """`{"refreshes": […], "next": id | null}` of at most `most`; one more than that was looked for."""
    page = found[:most]
    return {
        "refreshes": [refresh_document(job) for job in page],
        "next": page[-1].id if len(found) > most else None,
    }


def _of_one(state: State) -> Progress:
    return Progress(1, int(state is State.done), int(state is State.failed))


def _counts(progress: Progress) -> Document:
    return {"total": progress.total, "done": progress.done, "failed": progress.failed}


def _instant(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    # `strftime` writes the year 20 with two digits.
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"
