"""What the log says of jobs: one line where the worker meets one, and one when it has ended."""

import structlog

from gateway.admission.jobs import Job, Step
from gateway.background.firsts import Firsts
from gateway.ports import Jobs


class Reporting:
    """Follows the jobs of the steps that are done. One that only joined others' work is not told of by itself."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        # A cancelled job may go on lending its name to work that others share, so that its end is not forgotten.
        self._begun, self._ended = Firsts(), Firsts()
        self._touched: dict[str, None] = {}
        self._log = structlog.get_logger("gateway.background")

    def touch(self, step: Step) -> None:
        """A step of its job is about to be done."""
        self._touched[step.job] = None

    async def look(self) -> None:
        """Tell what has begun or ended since. Raises Problem(jobs_unavailable)."""
        while self._touched:
            id_ = next(iter(self._touched))
            job = await self._jobs.find(id_)
            self._touched.pop(id_, None)
            if job is not None:
                self._tell(job)

    def _tell(self, job: Job) -> None:
        if self._begun.is_first(job.id):
            subjects = job.subjects.total
            self._log.info("background refresh under way", **_named(job), subject=job.subject, subjects=subjects)
        if job.state.final and self._ended.is_first(job.id):
            self._log.info("background refresh ended", **_named(job), **_ended(job))


def _named(job: Job) -> dict[str, object]:
    return {"refresh": job.id, "background": job.name, "account": job.account}


def _ended(job: Job) -> dict[str, object]:
    return {
        "state": job.state.value,
        "reason": job.reason,
        "subjects_done": job.subjects.done,
        "subjects_failed": job.subjects.failed,
        "responses_done": job.responses.done,
        "responses_failed": job.responses.failed,
        "seconds": None if job.ended is None else round(max(0.0, job.ended - job.began), 3),
    }
