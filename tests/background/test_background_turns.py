"""Waiting without a bound, and its end with the gateway's."""

import asyncio

import pytest

from gateway.background.turns import Ended, Turns


async def test_who_waits_is_let_go_at_the_end() -> None:
    turns, never = Turns(), asyncio.Event()
    waiting = asyncio.create_task(turns.waited(never.wait))
    await asyncio.sleep(0)
    turns.end()
    with pytest.raises(Ended):
        await waiting


async def test_nobody_waits_after_the_end() -> None:
    turns, begun = Turns(), []

    async def wait() -> None:
        begun.append(True)

    turns.end()
    with pytest.raises(Ended):
        await turns.waited(wait)
    assert not begun


async def test_what_has_come_is_handed_on() -> None:
    turns = Turns()
    assert await turns.waited(lambda: asyncio.sleep(0, "it")) == "it"
    turns.end()


async def test_another_cancellation_is_no_end() -> None:
    turns = Turns()
    waiting = asyncio.create_task(turns.waited(asyncio.Event().wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
