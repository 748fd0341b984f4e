"""The thread that has the register's file. Calls that queue share a transaction; each returns when it is committed."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

import structlog

from gateway.errors import Problem, Reason

T = TypeVar("T")

# Calls in one transaction at most: the first of them waits for the last.
_MOST = 256


class _Call(Generic[T]):
    """One call and what came of it. It leaves nothing half done: it has a savepoint of its own."""

    __slots__ = ("_action", "_error", "_result", "future")

    def __init__(self, action: Callable[[sqlite3.Connection], T], future: asyncio.Future[T]) -> None:
        self._action = action
        self._error: Exception | None = None
        self._result: T | None = None
        self.future = future

    def perform(self, db: sqlite3.Connection) -> None:
        """Raises sqlite3.Error where the transaction cannot go on, for nobody in it."""
        db.execute("SAVEPOINT call")
        try:
            self._result = self._action(db)
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            if not db.in_transaction:
                raise
            db.execute("ROLLBACK TO call")
            self._error = error
        db.execute("RELEASE call")

    def resolve(self, failure: BaseException | None) -> BaseException | None:
        """Tell the caller, unless it has gone; why the call failed, if it did."""
        error = failure or self._error
        if self.future.done():
            return error
        if error is None:
            self.future.set_result(self._result)  # type: ignore[arg-type]  # T may be None, so it cannot be tested
        else:
            self.future.set_exception(translated(error))
        return error


class Transactions:
    """Calls on the file, in their order, from one event loop."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._waiting: list[_Call[Any]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._failing = False
        self._closed = False

    async def run(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """What `action` returns, once what it has written is durable. It runs in the thread.

        Raises Problem(jobs_unavailable), and then it has changed nothing. It runs even if nobody waits for it any more.
        """
        if self._closed:
            raise unavailable()
        loop = asyncio.get_running_loop()
        call: _Call[T] = _Call(action, loop.create_future())
        self._waiting.append(call)
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._start)
        return await call.future

    async def close(self) -> None:
        """Perform what is asked for already, and close the file."""
        self._closed = True
        await self._idle.wait()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._db.close)
        self._thread.shutdown()

    def _start(self) -> None:
        calls, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        performed = asyncio.get_running_loop().run_in_executor(self._thread, self._perform, calls)
        performed.add_done_callback(lambda performed: self._end(calls, performed.exception()))

    def _end(self, calls: Sequence[_Call[Any]], failure: BaseException | None) -> None:
        errors = [call.resolve(failure) for call in calls]
        self._tell(next((error for error in errors if error is not None), None))
        if self._waiting:
            self._start()
        else:
            self._idle.set()

    def _perform(self, calls: Sequence[_Call[Any]]) -> None:
        """One transaction. Raises sqlite3.Error where it is not committed, and then nothing of it is."""
        db = self._db
        try:
            db.execute("BEGIN")
            for call in calls:
                call.perform(db)
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                # An error of its own would hide the first; SQLite has taken everything back then.
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")

    def _tell(self, error: BaseException | None) -> None:
        """Log a line when calls begin to fail, and when they no longer do."""
        if (error is not None) == self._failing:
            return
        self._failing = error is not None
        log = structlog.get_logger("gateway.jobs")
        if error is None:
            log.info("refreshes written again")
        else:
            log.error("refreshes not written", reason=_name(error))


def translated(error: BaseException) -> BaseException:
    """What a caller is told of an error: SQLite's, and those of values that it does not take, as a Problem."""
    match error:
        case sqlite3.Error() | OverflowError() | UnicodeError():
            problem = unavailable()
            problem.__cause__ = error
            return problem
        case _:
            return error


def _name(error: BaseException) -> str:
    """The error without its message, which may quote what was written."""
    return getattr(error, "sqlite_errorname", type(error).__name__)


def unavailable() -> Problem:
    """The register cannot be read or written."""
    return Problem(Reason.jobs_unavailable, retry_after=1)
