"""Two-phase reloads and questions between workers in one process: real members and channels, a supervisor's hub."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from support.polling import PATIENCE

from gateway.candidate import Candidate
from gateway.config.load import Loaded, single
from gateway.config.schema import Config
from gateway.config.sources import Sources
from gateway.crew import Question
from gateway.errors import BadStart
from gateway.workers import member as members
from gateway.workers.channel import Begin, Channel, Failed, Frame, Ready
from gateway.workers.hub import Hub
from gateway.workers.member import Member
from gateway.workers.supervisor import packed


def loaded(ttl: str) -> Loaded:
    return Loaded(single("http://up.example", ttl), (), Sources())


OLD, NEW = loaded("1m"), loaded("2m")


@dataclass
class Prepared:
    config: Config
    certificate: bytes | None


@dataclass
class Serving:
    """What a worker does with configs: those swapped in and abandoned, and why it refuses to prepare one."""

    refusal: str | None = None
    certificate: bytes | None = None
    swapped: list[Config] = field(default_factory=list)
    abandoned: int = 0
    told: list[object] = field(default_factory=list)
    preparing: asyncio.Event = field(default_factory=asyncio.Event)
    may_prepare: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_prepare.set()

    async def tell(self, question: Question, argument: object) -> object:
        self.told.append(argument)
        return question.name

    async def prepare(self, config: Config) -> Candidate:
        self.preparing.set()
        await self.may_prepare.wait()
        if self.refusal is not None:
            raise BadStart(self.refusal)
        return cast("Candidate", Prepared(config, self.certificate))

    async def swap(self, candidate: Candidate) -> None:
        self.swapped.append(cast("Prepared", candidate).config)

    async def abandon(self, candidate: Candidate) -> None:
        self.abandoned += 1


class Place:
    """A worker's place at the hub; `replaced` counts how often another process was asked for."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ready = False
        self.served = asyncio.Event()
        self.asked = set[int]()
        self.replaced = 0
        self.channel: Channel | None = None

    def serves(self, now: float) -> None:
        self.ready = True
        self.served.set()

    def send(self, frame: Frame) -> None:
        if self.channel is not None:
            self.channel.send(frame)

    def replace(self) -> None:
        self.replaced += 1


class Team:
    """A hub and the workers that serve; `ends` are the workers' ends of their channels."""

    def __init__(self, size: int = 3) -> None:
        self.places = [Place(number) for number in range(size)]
        self.hub = Hub(self.places, packed(OLD))
        self.serving = [Serving() for _ in range(size)]
        self.members = list[Member]()
        self.ends = list[Channel]()
        self._listening = list[asyncio.Task[None]]()

    async def begin(self, number: int) -> None:
        """Have the worker with that number serve, after all those before it."""
        ours, theirs = socket.socketpair()
        place = self.places[number]
        place.channel = await Channel.over(ours)
        end = await Channel.over(theirs)
        begin = Begin(number, len(self.places), number + 1, 0.0, Path("gateway.yaml"), self.hub.loaded, self.hub.estate)
        member = Member(end, begin, theirs)
        member.leave()
        self.members.append(member)
        self.ends.append(end)
        self._listening.append(asyncio.create_task(self._hear(place)))
        member.attend(self.serving[number])
        await asyncio.wait_for(place.served.wait(), PATIENCE)

    async def end(self, number: int) -> None:
        """Have its process end."""
        self.ends[number].close()
        await asyncio.wait_for(self._listening[number], PATIENCE)

    async def _hear(self, place: Place) -> None:
        assert place.channel is not None
        while (frame := await place.channel.receive()) is not None:
            self.hub.heard(place, frame)
        place.channel.close()
        place.ready, place.channel = False, None
        self.hub.lost(place)


@asynccontextmanager
async def team(serving: int = 3) -> AsyncIterator[Team]:
    whole = Team()
    for number in range(serving):
        await whole.begin(number)
    try:
        yield whole
    finally:
        for number in range(len(whole.ends)):
            await whole.end(number)


def ttl(config: Config) -> str:
    return str(config.routes[0].cache)


def test_what_keeps_all_from_serving_is_told_once_until_one_serves(capsys: pytest.CaptureFixture[str]) -> None:
    team = Team()
    for place in team.places:
        team.hub.heard(place, Failed("no Redis"))
    team.hub.heard(team.places[1], Failed("no room"))
    assert capsys.readouterr().err == "gateway: no Redis\ngateway: no room\n"
    team.hub.heard(team.places[0], Ready())
    team.hub.heard(team.places[1], Failed("no room"))
    assert capsys.readouterr().err == "gateway: no room\n"


async def test_each_of_the_others_is_asked_and_those_that_do_not_serve_are_left_out() -> None:
    async with team(serving=2) as whole:
        assert await whole.members[0].ask(Question.level, "debug") == {1: "level"}
        assert [serving.told for serving in whole.serving] == [[], ["debug"], []]


async def test_one_that_ends_has_no_answer() -> None:
    async with team() as whole:
        whole.serving[1].may_prepare.clear()
        adopting = asyncio.create_task(whole.members[0].adopt(NEW))
        await asyncio.wait_for(whole.serving[1].preparing.wait(), PATIENCE)
        await whole.end(1)
        await asyncio.wait_for(adopting, PATIENCE)
        assert [len(serving.swapped) for serving in whole.serving] == [1, 0, 1]
        whole.serving[1].may_prepare.set()


async def test_a_config_is_swapped_in_by_all_and_is_what_a_later_one_begins_with() -> None:
    async with team(serving=2) as whole:
        whole.members[0].keep(b"counted")
        await whole.members[0].adopt(NEW)
        assert [[ttl(config) for config in serving.swapped] for serving in whole.serving] == [
            [ttl(NEW.config)],
            [ttl(NEW.config)],
            [],
        ]
        # It may have begun by the former one.
        assert [place.replaced for place in whole.places] == [0, 0, 1]
        assert (whole.hub.loaded, whole.hub.estate) == (packed(NEW), b"counted")


@pytest.mark.parametrize("number", range(3))
async def test_none_swaps_in_what_one_cannot(number: int) -> None:
    async with team() as whole:
        whole.serving[number].refusal = "the key database cannot be read"
        with pytest.raises(BadStart, match=f"worker {number}: the key database cannot be read"):
            await whole.members[0].adopt(NEW)
        assert [(len(serving.swapped), serving.abandoned) for serving in whole.serving] == [
            (0, int(of != number)) for of in range(3)
        ]
        assert whole.hub.loaded == packed(OLD)


async def test_none_swaps_in_a_certificate_that_others_have_read_otherwise() -> None:
    async with team() as whole:
        whole.serving[2].certificate = b"another"
        with pytest.raises(BadStart, match="has changed while it was loaded"):
            await whole.members[0].adopt(NEW)
        assert not any(serving.swapped for serving in whole.serving)


async def test_one_that_begins_to_serve_meanwhile_is_asked_as_well() -> None:
    async with team(serving=2) as whole:
        whole.serving[0].may_prepare.clear()
        adopting = asyncio.create_task(whole.members[0].adopt(NEW))
        await asyncio.wait_for(whole.serving[0].preparing.wait(), PATIENCE)
        # The first round has not asked it, or it has; either way it is not left behind.
        await whole.begin(2)
        whole.serving[0].may_prepare.set()
        await asyncio.wait_for(adopting, PATIENCE)
        assert [len(serving.swapped) for serving in whole.serving] == [1, 1, 1]


async def test_where_the_first_dies_the_others_let_go_of_what_they_have_prepared() -> None:
    async with team() as whole:
        whole.serving[0].may_prepare.clear()
        await whole.members[1]._prepare(NEW.config)
        await whole.end(0)
        # What it was sent before comes before the end.
        await whole.end(1)
        assert (whole.serving[1].abandoned, whole.serving[1].swapped) == (1, [])


async def test_one_that_does_not_answer_keeps_a_config_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "_TO_PREPARE", 0.01)
    async with team() as whole:
        whole.serving[1].may_prepare.clear()
        with pytest.raises(BadStart, match="worker 1: does not answer"):
            await whole.members[0].adopt(NEW)
        whole.serving[1].may_prepare.set()
        assert not any(serving.swapped for serving in whole.serving)
