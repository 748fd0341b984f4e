"""What the loop wants of the thread, and how it hears what became of it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from gateway.stores import TierUnavailable
from gateway.stores.disk.shelf import Shelf


class Order(NamedTuple):
    """What is to be done, the bytes that it writes, and who waits for it."""

    call: Callable[[Shelf], Any]
    size: int
    done: asyncio.Future[Any]


def tell(orders: list[Order], results: list[Any] | None, error: Exception | None) -> None:
    """Called in the thread: let all who wait, in one loop, have their results, or the error."""
    if orders:
        # Who ordered it may have gone, and the loop with it.
        with suppress(RuntimeError):
            orders[0].done.get_loop().call_soon_threadsafe(_settle, orders, results, error)


def _settle(orders: list[Order], results: list[Any] | None, error: Exception | None) -> None:
    for number, order in enumerate(orders):
        if order.done.done():
            continue
        if results is None:
            order.done.set_exception(error or TierUnavailable())
        else:
            order.done.set_result(results[number])
