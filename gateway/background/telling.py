"""How the background refresh of one subject stands, in the words of the API that the gateway stands in for."""

from collections.abc import Callable

import orjson

from gateway.admission.asking import asked
from gateway.admission.background import BackgroundPolicy, Json, StatusPolicy
from gateway.admission.filled import filled
from gateway.admission.jobs import Recorded
from gateway.admission.prepared import Prepared
from gateway.admission.target import canonical
from gateway.answering import Answering
from gateway.background.accepting import policy
from gateway.background.subjects import Subjects
from gateway.background.told import date, values
from gateway.background.work import routes
from gateway.errors import Problem, Reason
from gateway.lookup import Live
from gateway.messages import Answer
from gateway.meter import HOUSE
from gateway.operation import Operation
from gateway.ports import Clock, Jobs
from gateway.settlement import Settlement

_NEVER = "none"


class Telling:
    """Answers from what is recorded of the asking account; free, but for the throttle."""

    def __init__(
        self,
        jobs: Jobs,
        subjects: Subjects,
        settlement: Settlement,
        answering: Answering,
        live: Callable[[], Live],
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._subjects = subjects
        self._settlement = settlement
        self._answering = answering
        self._live = live
        self._clock = clock

    async def tell(self, op: Operation, prepared: Prepared) -> Answer:
        """Raises Problem: bad_subject, unknown_subject, throttled, jobs_unavailable, or the upstream's."""
        background, query = policy(prepared.route), canonical(prepared.request.target).query
        status = background.status
        subject = asked(background, query, b"", self._clock.wall()).subject
        if subject is None or status is None:
            raise Problem(Reason.bad_subject, f"`{background.subject.name}` is required.")
        standing = await self._settlement.repeat(op)
        if background.subjects is not None:
            await self._known(background, subject)
        account = prepared.account or HOUSE
        recorded = await self._jobs.recorded(account.id, background.name, subject)
        told = self._answering.made(_content(background, status, subject, recorded), ())
        return self._answering.stored(op, told, 0.0, standing)

    async def _known(self, background: BackgroundPolicy, subject: str) -> None:
        begins = routes(self._live().snapshot).get(background.name)
        if begins is None:
            return
        try:
            await self._subjects.refreshable(begins, subject)
        except Problem as problem:
            if problem.reason is not Reason.not_refreshable:
                raise


def _content(background: BackgroundPolicy, status: StatusPolicy, subject: str, recorded: Recorded) -> bytes:
    word = status.words[_NEVER if recorded.state is None else recorded.state.value]
    told: dict[str, Json] = {
        "status_id": word.id,
        "status": word.text,
        "attempted": date(background, recorded.attempted),
    }
    return orjson.dumps(filled(status.answer, told | values(background, subject, recorded.since)))
