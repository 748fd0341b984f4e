"""Telling: what the fleet's log has not taken yet holds until it has, and too much of it becomes one of everything."""

import asyncio

import pytest
from stores.samples import sample

from gateway.errors import Overtaken, Problem, Reason
from gateway.stores.selection import Everything, read
from gateway.stores.telling import Telling, Untold, marked, place

EVERYTHING = b"everything"


class Held:
    """A link that answers when it is told to."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, bytes, bytes]] = []
        self.told: list[asyncio.Future[int]] = []
        self.asked = 0
        self.answer: Exception | None = None

    def append(self, entry: bytes, marks: bytes = b"", purge: bytes = b"") -> asyncio.Future[int]:
        self.entries.append((entry, marks, purge))
        self.told.append(asyncio.get_running_loop().create_future())
        return self.told[-1]

    def verify(self) -> asyncio.Future[None]:
        self.asked += 1
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.answer is None:
            answer.set_result(None)
        else:
            answer.set_exception(self.answer)
        return answer


class Told:
    """What has been told, and to whom."""

    def __init__(self) -> None:
        self.link = Held()
        self.heard: list[Untold] = []
        self.telling = Telling(self.link, self.heard.append, lambda: EVERYTHING)

    @property
    def waiting(self) -> list[Untold]:
        """What has not been told."""
        return list(self.telling.waiting)


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr("gateway.stores.telling.AGAIN", 0.0)
    monkeypatch.setattr("gateway.stores.telling.SELDOM", 0.0)
    return Told()


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_an_entry_waits_until_it_has_a_number(told: Told) -> None:
    untold = told.telling.tell(b"entry", ("a", "b", "a"))
    assert told.link.entries == [(b"entry", marked(("a", "b")), b"")]
    assert told.waiting == [untold]
    told.link.told[0].set_result(5)
    await told.telling.told()
    await turns()
    assert told.waiting == []
    assert told.heard == [untold]


async def test_a_purge_goes_as_it_is_written(told: Told) -> None:
    told.telling.tell(b"entry", (), read(("prefix", "api", "/v1")))
    assert told.link.entries == [(b"entry", b"", b'["prefix","api","/v1"]')]


@pytest.mark.parametrize("answer", [None, Overtaken()], ids=["nothing-new", "overtaken"])
async def test_one_that_takes_too_long_is_there_once_anything_is_answered(told: Told, answer: Exception | None) -> None:
    untold = told.telling.tell(b"entry", ("a",))
    told.link.answer = Problem(Reason.ledger_unavailable)
    told.link.told[0].set_exception(Problem(Reason.ledger_unavailable))
    with pytest.raises(Problem):
        await told.telling.told()
    await turns()
    assert told.link.asked > 1
    assert told.waiting == [untold]
    told.link.answer = answer
    await turns()
    assert told.heard == [untold]
    assert len(told.link.entries) == 1


async def test_one_of_too_many_stands_for_all_further_ones(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.telling.UNTOLD", 2)
    told.link.answer = Problem(Reason.ledger_unavailable)
    first = [told.telling.tell(b"entry", (group,)) for group in "ab"]
    rest = [told.telling.tell(b"entry", (group,)) for group in "cd"]
    assert told.waiting == [*first, rest[0]]
    assert rest[0] is rest[1]
    assert rest[0].outdates(sample(), ())
    with pytest.raises(Problem):
        await asyncio.shield(rest[0].told)
    for waiting in told.link.told:
        waiting.set_exception(Problem(Reason.ledger_unavailable))
    told.link.answer = None
    await turns()
    assert told.link.entries[2:] == [(EVERYTHING, b"", b'["everything"]')]
    [left] = told.waiting
    assert left.purge == Everything()
    told.link.told[2].set_result(9)
    await turns()
    assert told.waiting == []


@pytest.mark.parametrize("fails", [False, True])
async def test_closing_waits_for_what_is_under_way_and_leaves_the_rest(told: Told, fails: bool) -> None:
    told.telling.tell(b"entry", ("a",))
    closing = asyncio.create_task(told.telling.close())
    await turns()
    assert not closing.done()
    if fails:
        told.link.answer = Problem(Reason.ledger_unavailable)
        told.link.told[0].set_exception(Problem(Reason.ledger_unavailable))
    else:
        told.link.told[0].set_result(1)
    await closing
    assert told.waiting == []


def test_places_differ_by_key_and_by_each_selecting_field() -> None:
    fields = [(), (("accept", "a"),), (("accept", ""),), (("accept", "a"), ("x", ""))]
    assert len({place(key, selecting) for key in ("a", "b") for selecting in fields}) == 8


def test_any_name_has_a_mark() -> None:
    assert len(marked(("a", "\udcff", "é", "a"))) == 3 * 16
