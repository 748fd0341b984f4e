"""Transactions: calls that queue share one, each is whole or not at all, and no failure outlives its group."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs

from gateway.errors import Problem, Reason
from gateway.jobs.transactions import Transactions

Action = Callable[[sqlite3.Connection], int]


@pytest.fixture
def db() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE children (n INTEGER REFERENCES numbers DEFERRABLE INITIALLY DEFERRED)")
    return db


@pytest.fixture
async def transactions(db: sqlite3.Connection) -> AsyncIterator[Transactions]:
    transactions = Transactions(db)
    yield transactions
    await transactions.close()


def adding(*numbers: int) -> Action:
    def add(db: sqlite3.Connection) -> int:
        for number in numbers:
            db.execute("INSERT INTO numbers VALUES (?)", (number,))
        return sum(numbers)

    return add


def orphaned(db: sqlite3.Connection) -> int:
    """Makes the commit itself fail."""
    return db.execute("INSERT INTO children VALUES (99)").rowcount


def taken_back(db: sqlite3.Connection) -> int:
    """As SQLite does for some errors: the whole transaction is rolled back."""
    db.execute("ROLLBACK")
    raise sqlite3.OperationalError("disk I/O error")


def buggy(db: sqlite3.Connection) -> int:
    db.execute("INSERT INTO numbers VALUES (50)")
    return 1 // 0


async def numbers(transactions: Transactions) -> list[int]:
    return await transactions.run(lambda db: [n for (n,) in db.execute("SELECT n FROM numbers ORDER BY n")])


async def together(transactions: Transactions, *actions: Action) -> list[int | BaseException]:
    return await asyncio.gather(*map(transactions.run, actions), return_exceptions=True)


async def test_what_queues_shares_a_transaction(db: sqlite3.Connection, transactions: Transactions) -> None:
    statements = list[str]()
    db.set_trace_callback(statements.append)
    assert await together(transactions, *[adding(n) for n in range(100)]) == list(range(100))
    assert statements.count("COMMIT") == 1
    assert await numbers(transactions) == list(range(100))


async def test_a_transaction_takes_no_more_than_so_many(
    db: sqlite3.Connection, transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.jobs.transactions._MOST", 3)
    statements = list[str]()
    db.set_trace_callback(statements.append)
    assert await together(transactions, *[adding(n) for n in range(7)]) == list(range(7))
    assert statements.count("COMMIT") == 3


@pytest.mark.parametrize("value", [1, 2**64, "\ud800"], ids=["a constraint", "too large", "no UTF-8"])
async def test_a_call_that_fails_changes_nothing_and_leaves_the_others(
    transactions: Transactions, value: int | str
) -> None:
    def fails(db: sqlite3.Connection) -> int:
        db.execute("INSERT INTO numbers VALUES (9)")
        return db.execute("INSERT INTO numbers VALUES (?)", (value,)).rowcount

    first, failed, last = await together(transactions, adding(1), fails, adding(2))
    assert (first, last) == (1, 2)
    assert isinstance(failed, Problem)
    assert (failed.reason, failed.retry_after) == (Reason.jobs_unavailable, 1)
    assert await numbers(transactions) == [1, 2]


@pytest.mark.parametrize("failing", [orphaned, taken_back])
async def test_what_is_not_committed_fails_for_all_of_the_group(transactions: Transactions, failing: Action) -> None:
    await transactions.run(adding(1))
    answers = await together(transactions, adding(2), failing, adding(3))
    assert [isinstance(answer, Problem) for answer in answers] == [True] * 3
    assert await numbers(transactions) == [1]
    assert await transactions.run(adding(4)) == 4


async def test_a_bug_is_told_and_changes_nothing(transactions: Transactions) -> None:
    with pytest.raises(ZeroDivisionError):
        await transactions.run(buggy)
    assert await numbers(transactions) == []


async def test_what_nobody_waits_for_any_more_is_done_all_the_same(transactions: Transactions) -> None:
    leaving = asyncio.create_task(transactions.run(adding(1)))
    staying = asyncio.create_task(transactions.run(adding(2)))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 2
    assert await numbers(transactions) == [1, 2]


async def test_closing_performs_what_was_asked_for_and_takes_no_more(db: sqlite3.Connection) -> None:
    transactions = Transactions(db)
    asked = asyncio.gather(*[transactions.run(adding(n)) for n in range(3)])
    await asyncio.sleep(0)
    await transactions.close()
    assert await asked == [0, 1, 2]
    with pytest.raises(Problem) as caught:
        await transactions.run(adding(4))
    assert caught.value.reason is Reason.jobs_unavailable


async def test_a_line_is_logged_when_it_fails_and_when_it_works_again(transactions: Transactions) -> None:
    with capture_logs() as lines:
        for action in (adding(1), adding(1), orphaned, adding(2), adding(3)):
            await together(transactions, action)
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("refreshes not written", "SQLITE_CONSTRAINT_PRIMARYKEY"),
        ("refreshes written again", None),
    ]
