"""Operators' orders from the command line: to the gateway that holds the store, else done here under its lock."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import time

from gateway.admission.snapshot import Account
from gateway.cli.looking import looked
from gateway.cli.remote import Call, ask
from gateway.clock import SystemClock
from gateway.config.compile import snapshot
from gateway.config.schema import Config
from gateway.errors import BadStart, Problem
from gateway.keys import listing
from gateway.keys.directory import Directory
from gateway.keys.keyring import Keyring
from gateway.keys.listed import ListedKeys
from gateway.keys.listing import Row
from gateway.keys.orders import Creation, Fault, Grant, Refused, Rotation, Unavailable, ordered
from gateway.keys.planning import Planned
from gateway.ledger.ledger import Ledger
from gateway.ledger.recovery import lock
from gateway.meter import Meter
from gateway.roster import Roster


@contextmanager
def _in_one_line() -> Iterator[None]:
    """What is refused here ends the command as what the gateway refuses does."""
    try:
        yield
    except Refused as refused:
        raise BadStart(str(refused)) from None


@_in_one_line()
def created(config: Config, values: Mapping[str, object]) -> Row:
    """The new key as `listing.made` tells it; `values` are those of `orders.Creation`. Raises BadStart, as all here."""
    order = ordered(Creation, values)
    given = {name: value for name, value in values.items() if value is not None}
    return _changed(config, Call("POST", ("keys",), given), lambda ring: _told(listing.made, ring.create(order)))


@_in_one_line()
def rotated(config: Config, id_: str, values: dict[str, object]) -> Row:
    """The new key, as `created` tells it."""
    order = ordered(Rotation, values)
    call = Call("POST", ("keys", id_, "rotate"), values)
    return _changed(config, call, lambda ring: _told(listing.made, ring.rotate(id_, order)))


@_in_one_line()
def revoked(config: Config, name: str) -> Row:
    """The keys revoked, as `listing.revoked` tells them."""
    return _changed(config, Call("DELETE", ("keys", name)), lambda ring: _told(listing.revoked, ring.revoke(name)))


@_in_one_line()
def granted(config: Config, id_: str, values: dict[str, object]) -> Row:
    """`{"account", "tokens", "before", "after"}`: what was granted, and the balance then."""
    order = ordered(Grant, values)
    try:
        return asyncio.run(_grant_here(config, id_, order))
    except BadStart as bad:
        if not _is_held(bad):
            raise
    return ask(config, Call("POST", ("keys", id_, "grant"), values))


def _changed(config: Config, call: Call, change: Callable[[Keyring], Awaitable[Row]]) -> Row:
    """What comes of a change, made by the gateway that holds the store, or here. Raises BadStart."""
    try:
        held = lock(config.store.path)
    except BadStart as bad:
        if not _is_held(bad):
            raise
        return ask(config, call)
    try:
        return asyncio.run(_change_here(config, change))
    finally:
        os.close(held)


async def _change_here(config: Config, change: Callable[[Keyring], Awaitable[Row]]) -> Row:
    async with _ring(config) as ring:
        return await change(ring)


async def _grant_here(config: Config, id_: str, order: Grant) -> Row:
    clock = SystemClock()
    ledger = Ledger.open(config.store.path, config.store.durability, clock)
    try:
        async with _ring(config) as ring:
            meter = Meter(ledger, clock)
            meter.configure(Roster.of(ring.values(), config.timezone))
            row = _corrected(meter, ring.account(id_), order)
            await ledger.committed()
            return row
    except Problem as problem:
        raise BadStart(f"the ledger in {config.store.path} cannot be written") from problem
    finally:
        await ledger.close()


def _corrected(meter: Meter, account: Account | None, order: Grant) -> Row:
    if account is None:
        raise Refused(Fault.unknown, "there is no such account")
    try:
        before, after = meter.correct(account, order.tokens, order.reason)
    except ValueError as error:
        raise Refused(Fault.conflict, str(error)) from None
    return {"account": account.id, "tokens": order.tokens, "before": before, "after": after}


@asynccontextmanager
async def _ring(config: Config) -> AsyncIterator[Keyring]:
    """The keyring of a store that this process holds. Raises BadStart."""
    ring = Keyring.open(config.store.path, SystemClock())
    try:
        ring.configure(snapshot(config).keys, Directory(config))
        yield ring
    except Unavailable as error:
        raise BadStart(f"the key database cannot be written, and nothing has changed: {error}") from error
    finally:
        await ring.close()


async def _told(as_row: Callable[[Planned], Row], planned: Awaitable[Planned]) -> Row:
    return as_row(await planned)


def listed(config: Config) -> list[Row]:
    """Every made key, as `listing.rows` tells it; none where no database is. Raises BadStart."""
    return looked(config, lambda: list(_told_keys(config)), lambda: _read_keys(config))


def _told_keys(config: Config) -> Iterator[Row]:
    """Page by page. Raises ValueError where the gateway tells otherwise than this version."""
    after: int | None = 0
    while after is not None:
        page = ListedKeys.model_validate(ask(config, Call("GET", ("keys",), query=(("after", str(after)),))))
        yield from [key.model_dump() for key in page.keys]
        if page.next is not None and page.next <= after:
            raise ValueError("the next page is not behind this one")
        after = page.next


def _read_keys(config: Config) -> list[Row]:
    return listing.read(config.store.path, Directory(config), time())


def _is_held(bad: BadStart) -> bool:
    """Whether another process holds the store."""
    return isinstance(bad.__cause__, BlockingIOError)
