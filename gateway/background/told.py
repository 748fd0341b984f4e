"""What templates are told of a subject and a date."""

from gateway.admission.background import BackgroundPolicy, Json
from gateway.admission.since import written, zone


def values(background: BackgroundPolicy, subject: str | None, since: float | None) -> dict[str, Json]:
    """What `{subject}` and `{since}` stand for in templates."""
    number = subject is not None and background.subject.kind == "number"
    told = int(subject) if subject is not None and number else subject
    return {"subject": told, "since": date(background, since)}


def date(background: BackgroundPolicy, moment: float | None) -> str | None:
    """A moment as the background refresh's dates are written."""
    if moment is None:
        return None
    return written(moment, zone(background.since.zone if background.since is not None else "UTC"))
