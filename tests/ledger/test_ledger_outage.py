"""The log says once when journal or book cannot be written, why, and when they can be again."""

import os
import sqlite3
from pathlib import Path

import pytest
from ledger.ledgers import failure, full_disk, opened
from ledger.samples import CHARGE, GRANT
from structlog.testing import capture_logs
from structlog.typing import EventDict

from gateway.ledger import outage
from gateway.ledger.records import LedgerCorrupt


def begun(part: str, reason: str) -> EventDict:
    return {"event": "ledger not written", "log_level": "error", "part": part, "reason": reason}


def over(part: str) -> EventDict:
    return {"event": "ledger written again", "log_level": "info", "part": part}


def broken_sql() -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(":memory:").execute("SELECT secret FROM nowhere")
    return caught.value


REASONS = {
    "system": (OSError(28, os.strerror(28)), "No space left on device"),
    "a system that says nothing": (OSError(), "OSError"),
    "database": (broken_sql(), "SQLITE_ERROR"),
    "database without a code": (sqlite3.ProgrammingError("secret"), "ProgrammingError"),
    "damage": (LedgerCorrupt("group 7 is not there any more"), "group 7 is not there any more"),
    "anything else": (TypeError("secret"), "TypeError"),
}


@pytest.mark.parametrize(("error", "reason"), REASONS.values(), ids=REASONS)
def test_the_reason_quotes_nothing_that_was_written(error: Exception, reason: str) -> None:
    with capture_logs() as lines:
        outage.begun("book", error)
    assert lines == [begun("book", reason)]


async def test_a_full_disk_is_told_once_and_when_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(GRANT)
        await ledger.committed()
        with capture_logs() as lines:
            with monkeypatch.context() as broken:
                broken.setattr("os.write", full_disk)
                for _ in range(2):
                    ledger.post(CHARGE)
                    await failure(ledger.committed())
            for _ in range(2):
                ledger.post(CHARGE)
                await ledger.committed()
    assert lines == [begun("journal", "No space left on device"), over("journal")]
