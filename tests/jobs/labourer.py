"""A process that works through orders until it kills itself: `python -m jobs.labourer FOLDER STATEMENTS`.

It does so as SQLite begins the given statement, wherever that is. With a Redis's URL instead of a folder it is a node
of a fleet, and dies at the given call: every other time before it is sent, else once it is answered. It prints a line
for whatever was acknowledged: `accepted`, `sent` and `fetched`, each with the job, and the latter with its target.
"""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from jobs.asked import NAME, REQUEST, order, target
from jobs.nodes import node_on

from gateway.admission.jobs import Stage, Step
from gateway.jobs.register import JobRegister
from gateway.ports import Jobs

SUBJECTS = ("1", "2", "3")
PAGES = 3


def say(*words: str) -> None:
    """One line, whole."""
    os.write(sys.stdout.fileno(), f"{' '.join(words)}\n".encode())


async def take(register: Jobs, step: Step, now: float) -> None:
    """Bring a step to its good end."""
    match step.stage:
        case Stage.trigger:
            if not step.sent and await register.sent(step, now):
                say("sent", step.job)
            await register.passed(step, Stage.wait, now, now)
        case Stage.wait:
            await register.passed(step, Stage.select, now, now)
        case Stage.select:
            path = f"/orders?storeId={step.subject}"
            await register.found(step, [target(f"{path}&page=1")], last=False, now=now)
            await register.found(step, [target(f"{path}&page=1"), target(path)], last=True, now=now)
        case Stage.fetch:
            assert step.target is not None
            path = step.target.sending.target
            further = [target(f"{path[:-1]}{page}") for page in range(2, PAGES + 1)] if "page" in path else []
            await register.fetched(step, further, now)
            say("fetched", step.job, path)


async def labour(register: Jobs) -> None:
    """Work until the end comes."""
    for now in map(float, count(100)):
        steps = await register.steps(NAME, now, 10, ())
        await asyncio.gather(*(take(register, step, now) for step in steps))
        if not steps:
            say("accepted", (await register.accept(order(*SUBJECTS, whole=True, sending=REQUEST), now)).job)


def die() -> None:
    """At once."""
    os.kill(os.getpid(), signal.SIGKILL)


async def alone(folder: Path, statements: int) -> None:
    register = JobRegister.open(folder, "process")
    numbers = count(1)
    register._transactions._db.set_trace_callback(lambda _: die() if next(numbers) == statements else None)
    await labour(register)


async def in_a_fleet(url: str, calls: int) -> None:
    numbers = count(1)

    async def dying(*asked: Any) -> Any:
        last = next(numbers) == calls
        if last and calls % 2:
            die()
        answer = await run(*asked)
        if last:
            die()
        return answer

    async with node_on(url) as node:
        run = node.connection.run
        node.trust()
        setattr(node.connection, "run", dying)  # noqa: B010  # a method
        await labour(node.register)


if __name__ == "__main__":
    place, moment = sys.argv[1], int(sys.argv[2])
    asyncio.run(in_a_fleet(place, moment) if place.startswith("redis:") else alone(Path(place), moment))
