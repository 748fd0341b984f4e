"""What the log says of jobs, each line once."""

from collections import deque

from structlog.testing import capture_logs

from gateway.admission.jobs import Job, Kind, Progress, Stage, State, Step
from gateway.background.reporting import Reporting


class Looked:
    """As much of a register as is asked: each job as it stands at the next look, the last one from then on."""

    def __init__(self, **states: tuple[State, ...]) -> None:
        self._states = {id_: deque(following) for id_, following in states.items()}

    async def find(self, id_: str, account: str | None = None) -> Job | None:
        states = self._states.get(id_)
        if not states:
            return None
        state = states.popleft() if len(states) > 1 else states[0]
        ended = 12.5 if state.final else None
        return Job(id_, Kind.background, "stores", "ci", 10.0, state, ended=ended, responses=Progress(3, 2, 1))


def step(job: str) -> Step:
    return Step(1, Stage.fetch, "stores", job, "ci", "1", None, ("",), 0.0)


async def told(looked: Looked, *looks: str) -> list[tuple[str, str]]:
    """The lines, and their jobs, of one look after each touch."""
    one = Reporting(looked)  # type: ignore[arg-type]
    with capture_logs() as logs:
        for id_ in looks:
            one.touch(step(id_))
            await one.look()
            await one.look()
    return [(entry["event"].rpartition(" ")[2], entry["refresh"]) for entry in logs]


async def test_a_job_is_told_of_when_it_is_met_and_when_it_has_ended() -> None:
    states = (State.running, State.running, State.done)
    assert await told(Looked(a=states), "a", "a", "a") == [("way", "a"), ("ended", "a")]


async def test_one_that_was_forgotten_is_not_told_of() -> None:
    assert await told(Looked(), "a") == []


async def test_the_end_of_a_job_whose_name_its_work_still_bears_is_told_once() -> None:
    """One that was cancelled while others shared its work was told of for each step that was left: two lines."""
    looked = Looked(a=(State.running, State.cancelled), b=(State.running,))
    assert await told(looked, "a", "a", "b", "a", "a") == [("way", "a"), ("ended", "a"), ("way", "b")]


async def test_how_it_ended() -> None:
    one = Reporting(Looked(a=(State.failed,)))  # type: ignore[arg-type]
    one.touch(step("a"))
    with capture_logs() as logs:
        await one.look()
    ended = logs[-1]
    assert (ended["state"], ended["responses_done"], ended["responses_failed"], ended["seconds"]) == (
        "failed",
        2,
        1,
        2.5,
    )
