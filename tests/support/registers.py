"""A real register of refreshes, and one that is out of reach for a while."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NoReturn

from gateway.errors import Problem, Reason
from gateway.jobs.register import JobRegister


@asynccontextmanager
async def register_in(folder: Path) -> AsyncIterator[JobRegister]:
    """Open meanwhile."""
    register = JobRegister.open(folder, "process")
    try:
        yield register
    finally:
        await register.close()


@contextmanager
def out_of_reach(register: JobRegister) -> Iterator[list[str]]:
    """Nothing can be read or written meanwhile; the methods that were called, by name, as they are called."""
    refused: list[str] = []

    def refusing(name: str) -> Callable[..., Awaitable[NoReturn]]:
        async def refuse(*_: object, **__: object) -> NoReturn:
            refused.append(name)
            raise Problem(Reason.jobs_unavailable, retry_after=1)

        return refuse

    names = [name for name in vars(JobRegister) if not name.startswith("_") and name not in ("open", "close")]
    for name in names:
        setattr(register, name, refusing(name))
    try:
        yield refused
    finally:
        for name in names:
            delattr(register, name)
