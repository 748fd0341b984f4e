"""`python -m crash.launch PATCH ARGUMENT … serve …`: the gateway's command with the tests' patches in its process.

A patch is a crash point of `points` or `job_points` with what `points.arm` takes; `clock FILE`, for `clocks`; or
`journal-fails FILE`: as long as FILE exists, the journal cannot be written (EIO).
"""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from crash import clocks
from crash.job_points import JOB_POINTS
from crash.points import POINTS, arm

from gateway.__main__ import main
from gateway.ledger import journal
from gateway.ledger.journal import Journal


def journal_fails(path: str) -> None:
    """Every write of a group fails while the file is there."""
    append, flag = Journal.append, Path(path)

    def failing(self: Journal, payload: bytes) -> int:
        if flag.exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return append(self, payload)

    journal.Journal.append = failing  # type: ignore[method-assign]  # what this launcher is for


_POINTS = POINTS | JOB_POINTS

FAULTS: dict[str, Callable[[str], None]] = {"clock": clocks.follow, "journal-fails": journal_fails}


def patch(name: str, argument: str) -> None:
    """Apply one patch. Raises KeyError for an unknown one."""
    if name in FAULTS:
        FAULTS[name](argument)
    else:
        arm(_POINTS[name], argument)


def launch(arguments: list[str]) -> None:
    """Apply the patches, then run the command behind them."""
    command = arguments.index("serve")
    for name, argument in zip(arguments[:command:2], arguments[1:command:2], strict=True):
        patch(name, argument)
    sys.argv = ["gateway", *arguments[command:]]
    main()


if __name__ == "__main__":
    launch(sys.argv[1:])
