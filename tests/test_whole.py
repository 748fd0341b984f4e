"""What the first worker tells of all, and what it knows of those that do not answer."""

import socket
from collections.abc import Mapping

import pytest
from support.clock import FakeClock
from support.in_process import no_gauges

from gateway.config.load import Loaded
from gateway.crew import Crew, Question
from gateway.health import Health
from gateway.logs.logs import Level
from gateway.metrics import Metrics
from gateway.watch import MOST_REFUSALS, Refused, Watch
from gateway.whole import Document, Whole


class Logs:
    def __init__(self) -> None:
        self.level: Level = "info"


class Others:
    """A crew of as many as there are in `asked`; one that is `None` does not answer."""

    def __init__(self, *others: "Worker | None") -> None:
        self.number, self.size, self.started, self.estate = 0, len(others) + 1, 0.0, b""
        self.listening = socket.socket()
        self.listening.close()
        self.others = list(others)
        self.kept: list[bytes] = []

    async def ask(self, question: Question, argument: object = None) -> Mapping[int, object]:
        return {
            number: await other.whole.tell(question, argument)
            for number, other in enumerate(self.others, 1)
            if other is not None
        }

    def keep(self, estate: bytes) -> None:
        self.kept.append(estate)

    async def adopt(self, loaded: Loaded) -> None:
        raise NotImplementedError


class Worker:
    """One that is ready and has stored `stored`; with a crew it is the first."""

    def __init__(self, crew: Crew | None = None, stored: str = "0") -> None:
        self.clock = FakeClock()
        self.metrics = Metrics(no_gauges(), "0")
        self.watch = Watch(self.metrics, self.clock)
        self.health = Health({})
        self.health.serving = True
        self.logs = Logs()
        self.document: Document = {"stored": stored}
        self.whole = Whole(
            metrics=self.metrics,
            watch=self.watch,
            health=self.health,
            logs=self.logs,  # type: ignore[arg-type]  # a level is all that is asked of it
            stored=self.stored,
            upstreams=dict,
            crew=crew,
        )

    async def stored(self) -> Document:
        return self.document


def refused(at: float) -> Refused:
    return Refused(at, "r", "throttled", 429, "GET", None, None, "id")


async def test_one_alone_tells_its_own() -> None:
    alone = Worker()
    assert await alone.whole.metrics() is alone.metrics
    assert await alone.whole.stored() == [alone.document]
    assert (alone.whole.ready, alone.whole.failing()) == (True, [])
    told = alone.whole.answer("/readyz?verbose")
    assert told is not None
    assert told.body == b"serving: ok\nok\n"


async def test_what_one_has_told_last_counts_while_it_does_not_answer() -> None:
    other = Worker()
    crew = Others(other)
    first = Worker(crew)
    other.metrics.retry("api")
    first.metrics.retry("api")
    for _ in range(2):
        assert (await first.whole.metrics()).retries["api",] == 2
        crew.others = [None]
    # And is kept before it is told.
    assert len(crew.kept) == 2
    crew.estate = crew.kept[-1]
    assert (await Worker(crew).whole.metrics()).retries["api",] == 2


async def test_the_last_refusals_of_all_in_their_order() -> None:
    other = Worker()
    first = Worker(Others(other))
    first.watch.refusals.extend([refused(1), refused(3)])
    other.watch.refusals.extend([refused(2), refused(4)])
    assert [one.at for one in await first.whole.refusals()] == [1, 2, 3, 4]
    other.watch.refusals.extend([refused(at) for at in range(MOST_REFUSALS)])
    assert len(await first.whole.refusals()) == MOST_REFUSALS


async def test_what_each_stores() -> None:
    first = Worker(Others(Worker(stored="1"), None, Worker(stored="3")))
    assert await first.whole.stored() == [{"stored": "0"}, {"stored": "1"}, {"stored": "3"}]


async def test_a_level_is_everybodys_at_once_or_with_the_next_look() -> None:
    other, later = Worker(), Worker()
    crew = Others(other, None)
    first = Worker(crew)
    await first.whole.set_level("debug")
    assert (first.whole.level, other.logs.level) == ("debug", "debug")
    crew.others[1] = later
    await first.whole.metrics()
    assert later.logs.level == "debug"


@pytest.mark.parametrize(
    ("own", "other", "status", "body"),
    [
        pytest.param(True, True, 200, b"serving: ok\nworker 1: ok\nok\n", id="all"),
        pytest.param(True, False, 200, b"serving: ok\nworker 1: failing\nok\n", id="the first one"),
        pytest.param(False, True, 200, b"serving: failing\nworker 1: ok\nok\n", id="another one"),
        pytest.param(False, False, 503, b"serving: failing\nworker 1: failing\nnot ready: serving\n", id="none"),
    ],
)
async def test_all_are_ready_where_any_is(own: bool, other: bool, status: int, body: bytes) -> None:
    worker = Worker()
    worker.health.serving = other
    first = Worker(Others(worker))
    first.health.serving = own
    await first.whole.metrics()
    told, briefly = first.whole.answer("/readyz?verbose"), first.whole.answer("/readyz")
    assert told is not None
    assert briefly is not None
    assert (told.status, told.body) == (status, body)
    assert (briefly.status, briefly.body) == (status, body.splitlines(keepends=True)[-1])
    assert (first.whole.ready, "worker 1" in first.whole.failing()) == (status == 200, not other)


@pytest.mark.parametrize("target", ["/livez", "/other"])
async def test_anything_else_is_this_workers(target: str) -> None:
    first = Worker(Others(None))
    assert first.whole.answer(target) == first.health.answer(target)
