"""What the log says when journal or book cannot be written, and when they can be again."""

import sqlite3
from typing import Literal

import structlog

from gateway.ledger.records import LedgerCorrupt

Part = Literal["journal", "book"]


def begun(part: Part, error: BaseException) -> None:
    """It fails from now on, for this reason; messages that may quote what was written are left out."""
    structlog.get_logger("gateway.ledger").error("ledger not written", part=part, reason=_reason(error))


def over(part: Part) -> None:
    """It works again."""
    structlog.get_logger("gateway.ledger").info("ledger written again", part=part)


def _reason(error: BaseException) -> str:
    match error:
        case OSError(strerror=str() as reason):
            return reason
        case LedgerCorrupt():
            return str(error)
        case sqlite3.Error():
            return getattr(error, "sqlite_errorname", type(error).__name__)
        case _:
            return type(error).__name__
