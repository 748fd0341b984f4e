"""The workers of one gateway, as one of them sees the others: the first answers for all at the admin port."""

import socket
from collections.abc import Mapping
from enum import Enum
from typing import Protocol

from gateway.config.load import Loaded


class Question(Enum):
    """What the first worker asks the others, and what these answer with."""

    report = "all that it has counted, and how it stands: `report.Report`"
    refusals = "the last requests that were refused, oldest first"
    stored = "what is stored, by route: `admin.summary.StoredSummary`"
    level = "nothing; it logs from the level on that it is told"


class Crew(Protocol):
    """One worker's place among all: `number` counts from 0, and the first speaks for all; there are `size`.

    `listening` is bound to the client port, `started` is when the gateway was (wall-clock seconds). `estate` is what
    the first worker before this one has kept, empty where there was none.
    """

    number: int
    size: int
    listening: socket.socket
    started: float
    estate: bytes

    async def ask(self, question: Question, argument: object = None) -> Mapping[int, object]:
        """What each other worker answers, by its number; nothing of one that does not run, or takes too long."""

    def keep(self, estate: bytes) -> None:
        """Have the supervisor keep this for the next first worker, should this one die."""

    async def adopt(self, loaded: Loaded) -> None:
        """Swap a config in at every worker, or at none. Raises BadStart for why none does."""
