"""Orders and targets as the register's tests ask for them."""

from collections.abc import Iterable, Sequence

from gateway.admission.jobs import Job, Kind, Order, Sending, Stage, State, Step, Target
from gateway.ports import Jobs

NAME = "stores"
REQUEST = Sending("POST", "/stores/refreshstore?storeId=1", (("Accept", "*/*"), ("X-Raw", "\udcff")), b"\x00{}")


def order(
    *subjects: str,
    account: str = "acme",
    whole: bool = False,
    since: float | None = None,
    scopes: Sequence[str] = ("",),
    first: Stage = Stage.trigger,
    sending: Sending | None = None,
) -> Order:
    """An order of an account, whose subjects are triggered one by one unless there is a request to send."""
    return Order(NAME, account, subjects, whole, since, tuple(scopes), first, sending)


def target(path: str) -> Target:
    """A GET of everyone's."""
    return Target("", Sending("GET", path, (("Accept", "application/json"),)))


def single(id_: str, account: str | None = "acme", began: float = 100.0) -> Job:
    """A single refresh that has just begun."""
    return Job(id_, Kind.single, "product", account, began, State.running, url="/v1/products/1", host="shop.example")


async def due(jobs: Jobs, now: float, busy: Iterable[tuple[str, int]] = ()) -> tuple[Step, ...]:
    """Every step that is due."""
    return await jobs.steps(NAME, now, 1000, busy)


async def only(jobs: Jobs, now: float) -> Step:
    """The one step that is due."""
    [step] = await due(jobs, now)
    return step


async def known(jobs: Jobs, id_: str) -> Job:
    """The job of this id, which there is."""
    job = await jobs.find(id_)
    assert job is not None
    return job


async def selected(jobs: Jobs, now: float, *paths: str) -> tuple[Step, ...]:
    """Bring the one work that is due from its trigger to its fetches, which are due then."""
    await jobs.passed(await only(jobs, now), Stage.select, now, now)
    await jobs.found(await only(jobs, now), map(target, paths), last=True, now=now)
    return await due(jobs, now)


async def finished(jobs: Jobs, now: float) -> None:
    """Bring all that is due to a good end."""
    while steps := await due(jobs, now):
        for step in steps:
            match step.stage:
                case Stage.trigger | Stage.wait:
                    await jobs.passed(step, Stage.select, now, now)
                case Stage.select:
                    await jobs.found(step, [target(f"/orders?storeId={step.subject}")], last=True, now=now)
                case Stage.fetch:
                    await jobs.fetched(step, (), now)
