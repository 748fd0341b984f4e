"""A process that works through orders until it kills itself: `python -m jobs.labourer FOLDER STATEMENTS`.

It does so as SQLite begins the given statement, wherever that is. It prints a line for whatever was acknowledged:
`accepted`, `sent` and `fetched`, each with the job, and the latter with its target.
"""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path

from jobs.asked import NAME, REQUEST, order, target

from gateway.admission.jobs import Stage, Step
from gateway.jobs.register import JobRegister

SUBJECTS = ("1", "2", "3")
PAGES = 3


def say(*words: str) -> None:
    """One line, whole."""
    os.write(sys.stdout.fileno(), f"{' '.join(words)}\n".encode())


async def take(register: JobRegister, step: Step, now: float) -> None:
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


async def labour(folder: Path, statements: int) -> None:
    """Work until the end comes."""
    register = JobRegister.open(folder, "process")
    numbers = count(1)

    def die(statement: str) -> None:
        if next(numbers) == statements:
            os.kill(os.getpid(), signal.SIGKILL)

    register._transactions._db.set_trace_callback(die)
    for now in map(float, count(100)):
        steps = await register.steps(NAME, now, 10, ())
        await asyncio.gather(*(take(register, step, now) for step in steps))
        if not steps:
            say("accepted", (await register.accept(order(*SUBJECTS, whole=True, sending=REQUEST), now)).job)


if __name__ == "__main__":
    asyncio.run(labour(Path(sys.argv[1]), int(sys.argv[2])))
