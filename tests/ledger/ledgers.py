"""A ledger on a folder of the test's, and a disk that fails or waits."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.clock import FakeClock

from gateway.errors import Problem, Reason
from gateway.ledger.encoding import decode
from gateway.ledger.journal import replay
from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Entry
from gateway.ledger.tables import Durability


@asynccontextmanager
async def opened(folder: Path, durability: Durability = "process") -> AsyncIterator[Ledger]:
    ledger = Ledger.open(folder, durability, FakeClock())
    try:
        yield ledger
    finally:
        await ledger.close()


def journal(folder: Path) -> list[list[Entry]]:
    return [decode(payload) for _, payload in replay(folder / "journal", 0)]


def is_healthy(ledger: Ledger) -> bool:
    """Asked anew each time, which a type checker does not expect of a property."""
    return ledger.healthy


def full_disk(file: int, data: bytes) -> int:
    raise OSError(28, os.strerror(28))


async def failure(waiter: asyncio.Future[None]) -> Reason:
    with pytest.raises(Problem) as caught:
        await waiter
    assert caught.value.retry_after == 1
    return caught.value.reason


class Disk:
    """fdatasync that waits for the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.works = True
        monkeypatch.setattr("os.fdatasync", self)

    def __call__(self, file: int) -> None:
        self.reached.release()
        assert self.go.acquire(timeout=20)
        if not self.works:
            raise OSError(5, "disk")

    async def is_asked(self) -> None:
        assert await asyncio.to_thread(self.reached.acquire, timeout=20)
