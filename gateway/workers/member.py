"""A worker's end of the channel: what the first one asks of the others, and what all do together."""

import asyncio
import os
import pickle
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol, assert_never

import structlog

from gateway.candidate import Candidate
from gateway.config.load import Loaded
from gateway.config.schema import Config
from gateway.config.unseen import unpickled
from gateway.crew import Question
from gateway.errors import BadStart
from gateway.tasks import Tasks
from gateway.workers.channel import Abandon, Answer, Ask, Begin, Channel, Commit, Failed, Frame, Keep, Ready, Swap
from gateway.workers.supervisor import packed

# Seconds that a worker may take: to answer a question, to prepare a config (100,000 keys take five), to swap it in.
_TO_ANSWER, _TO_PREPARE, _TO_SWAP = 1.0, 60.0, 10.0
# For the answer of one that did not answer the last time.
_TO_HEAR = 0.1

# How often a config is prepared again because a worker has begun to serve meanwhile.
_ROUNDS = 3

Asked = tuple[Question | type[Loaded] | type[Swap] | type[Abandon], Any]
"""A question and its argument. `Loaded` asks to prepare what is packed so, `Swap` to tell once it is swapped in, and
`Abandon` to let go of it."""


@dataclass(slots=True, frozen=True)
class Vote:
    """What came of preparing a config: why it cannot be swapped in, None if it can; and the certificate it shows."""

    refusal: str | None
    certificate: bytes | None = None


class Gateway(Protocol):
    """`app.Gateway`."""

    async def tell(self, question: Question, argument: object) -> object:
        """This worker's answer."""

    async def prepare(self, config: Config) -> Candidate:
        """What the config comes to here. Raises BadStart."""

    async def swap(self, candidate: Candidate) -> None:
        """Have it in operation. Raises BadStart."""

    async def abandon(self, candidate: Candidate) -> None:
        """Let go of it."""


class Member:
    """`crew.Crew`: one worker among all."""

    def __init__(self, channel: Channel, begin: Begin, listening: socket.socket) -> None:
        self.number = begin.number
        self.size = begin.size
        self.listening = listening
        self.started = begin.started
        self.estate = begin.estate
        self._leaving = False
        self._channel = channel
        # No answer to a former first worker is taken for one of this one's.
        self._ids = count(begin.incarnation << 32)
        self._waiting = dict[int, asyncio.Future[bytes | None]]()
        self._deaf = set[int]()
        self._candidate: Candidate | None = None
        self._swapping: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._log = structlog.get_logger("gateway.workers")

    def attend(self, gateway: Gateway) -> None:
        """Tell that it serves, and answer what is asked of it from now on."""
        self._gateway = gateway
        self._channel.send(Ready())
        self._tasks.start(self._listen())

    def leave(self) -> None:
        """It drains: nothing that becomes of the supervisor or of a config has it end sooner."""
        self._leaving = True

    async def _listen(self) -> None:
        """To the end of the supervisor, which is that of the worker, in order."""
        while (frame := await self._channel.receive()) is not None:
            await self._heard(frame)
        self._end()

    async def ask(self, question: Question, argument: object = None) -> dict[int, Any]:
        """What each of the others answers in a second; whoever has not lately is not waited for so long."""
        others = self._others()
        told = await asyncio.gather(*[self._asked(to, (question, argument), self._patience(to)) for to in others])
        found = {to: answer for to, answer in zip(others, told, strict=True) if answer is not None}
        self._deaf = set(others).difference(found)
        # In a thread, as counts may be many: thousands of routes take tens of milliseconds.
        return {to: await asyncio.to_thread(pickle.loads, answer) for to, answer in found.items()}

    def keep(self, estate: bytes) -> None:
        """For the next first worker."""
        self._channel.send(Keep(estate))

    async def adopt(self, loaded: Loaded) -> None:
        """Prepared everywhere, then swapped in everywhere; raises BadStart for the first worker that cannot."""
        content = await asyncio.to_thread(packed, loaded)
        for _ in range(_ROUNDS):
            try:
                voters = await self._voters(loaded.config, content)
                if await self._is_committed(content, voters):
                    break
            except BaseException:
                await self._give_up()
                raise
        else:
            await self._give_up()
            raise BadStart("workers begin to serve again and again")
        await asyncio.gather(*[self._asked(to, (Swap, None), _TO_SWAP) for to in voters if to != self.number])
        await self._swapped()

    def _others(self) -> list[int]:
        return [number for number in range(self.size) if number != self.number]

    def _patience(self, to: int) -> float:
        return _TO_HEAR if to in self._deaf else _TO_ANSWER

    async def _voters(self, config: Config, content: bytes) -> frozenset[int]:
        """The workers that have prepared it: all that serve. Raises BadStart."""
        others = self._others()
        own = await self._prepare(config)
        told = await asyncio.gather(*[self._vote(to, content) for to in others])
        votes = {self.number: own} | {to: vote for to, vote in zip(others, told, strict=True) if vote is not None}
        for number, vote in votes.items():
            if vote.refusal is not None:
                raise BadStart(f"worker {number}: {vote.refusal}")
        if len({vote.certificate for vote in votes.values()}) > 1:
            raise BadStart("tls.cert: has changed while it was loaded")
        return frozenset(votes)

    async def _vote(self, to: int, content: bytes) -> Vote | None:
        """None of one that does not serve, or has ended meanwhile."""
        try:
            answer = await self._answer(_asking(to, (Loaded, content)), _TO_PREPARE)
        except TimeoutError:
            return Vote("does not answer")
        if answer is None:
            return None
        vote: Vote = pickle.loads(answer)  # noqa: S301 - it comes from a process of our own
        return vote

    async def _is_committed(self, content: bytes, voters: frozenset[int]) -> bool:
        """Whether all swap it in now; False where somebody serves who is not among them, and then nobody does."""
        try:
            return bool(await self._answer(lambda id_: Commit(id_, content, voters), _TO_SWAP))
        except TimeoutError:
            raise BadStart("the supervisor does not answer") from None

    async def _give_up(self) -> None:
        await self._abandon()
        await asyncio.gather(*[self._asked(to, (Abandon, None), _TO_ANSWER) for to in self._others()])

    async def _asked(self, to: int, what: Asked, seconds: float) -> bytes | None:
        """What it answers in time, None where it does not."""
        try:
            return await self._answer(_asking(to, what), seconds)
        except TimeoutError:
            return None

    async def _answer(self, frame: Callable[[int], Ask | Commit], seconds: float) -> bytes | None:
        """What the frame with a new id is answered with. Raises TimeoutError."""
        id_, waiting = next(self._ids), asyncio.get_running_loop().create_future()
        self._waiting[id_] = waiting
        self._channel.send(frame(id_))
        try:
            return await asyncio.wait_for(waiting, seconds)
        finally:
            self._waiting.pop(id_, None)

    async def _heard(self, frame: Frame) -> None:
        match frame:
            case Ask():
                self._tasks.start(self._answered(frame))
            case Answer():
                waiting = self._waiting.pop(frame.id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame.content)
            case Swap():
                self._swapping = asyncio.create_task(self._swap())
            case Abandon():
                await self._abandon()
            case Begin() | Ready() | Failed() | Keep() | Commit():
                raise AssertionError("the supervisor is told these")
            case _:
                assert_never(frame)

    async def _answered(self, ask: Ask) -> None:
        what, argument = pickle.loads(ask.what)  # noqa: S301 - of a process of our own
        told = await self._told(what, argument)
        self._channel.send(Answer(ask.id, await asyncio.to_thread(pickle.dumps, told, pickle.HIGHEST_PROTOCOL)))

    async def _told(self, what: Question | type[Loaded] | type[Swap] | type[Abandon], argument: Any) -> object:
        if isinstance(what, Question):
            return await self._gateway.tell(what, argument)
        if what is Loaded:
            loaded: Loaded = await asyncio.to_thread(unpickled, argument)
            return await self._prepare(loaded.config)
        await (self._abandon() if what is Abandon else self._swapped())
        return None

    async def _prepare(self, config: Config) -> Vote:
        await self._abandon()
        try:
            self._candidate = await self._gateway.prepare(config)
        except BadStart as bad:
            return Vote(str(bad))
        return Vote(None, self._candidate.certificate)

    async def _abandon(self) -> None:
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            await self._gateway.abandon(candidate)

    async def _swap(self) -> None:
        """What all go by from now on; one that cannot any more ends, and its successor does."""
        candidate, self._candidate = self._candidate, None
        try:
            if candidate is not None:
                await self._gateway.swap(candidate)
                return
        except BadStart as bad:
            self._log.error("config not swapped in", error=str(bad))
        self._end()

    async def _swapped(self) -> None:
        if self._swapping is not None:
            await self._swapping

    def _end(self) -> None:
        if not self._leaving:
            os.kill(os.getpid(), signal.SIGTERM)


def _asking(to: int, what: Asked) -> Callable[[int], Ask]:
    content = pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
    return lambda id_: Ask(id_, to, content)
