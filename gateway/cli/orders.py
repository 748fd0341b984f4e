"""Operators' orders from the command line: to the gateway that holds the store, else done here under its lock.

What is in Redis needs no lock: an order is done here where no gateway runs on this store's folder.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from time import time

from gateway.admission.snapshot import Account
from gateway.cli.looking import looked
from gateway.cli.remote import Call, ask
from gateway.clock import SystemClock
from gateway.config.compile import snapshot
from gateway.config.schema import Config
from gateway.errors import BadStart, Problem
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.link import Link
from gateway.fleet.log import Log
from gateway.fleet.settings import Settings
from gateway.keys import listing
from gateway.keys.directory import Directory
from gateway.keys.keyring import Keyring
from gateway.keys.listed import ListedKeys
from gateway.keys.listing import Row
from gateway.keys.made import Made, OnDisk
from gateway.keys.orders import Creation, Fault, Grant, Refused, Rotation, Unavailable, ordered
from gateway.keys.planning import Planned
from gateway.keys.shared import SharedKeys
from gateway.ledger.ledger import Ledger
from gateway.ledger.recovery import held, lock
from gateway.meter import Meter
from gateway.roster import Roster
from gateway.till.meter import RedisMeter

# Seconds for a call on Redis, for which nobody waits but the operator.
_PATIENCE = 5.0


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
    call = Call("POST", ("keys", id_, "grant"), values)
    if config.store.kind == "redis":
        return ask(config, call) if held(config.store.path) else asyncio.run(_grant_in_redis(config, id_, order))
    try:
        return asyncio.run(_grant_here(config, id_, order))
    except BadStart as bad:
        if not _is_held(bad):
            raise
    return ask(config, call)


def _changed(config: Config, call: Call, change: Callable[[Keyring], Awaitable[Row]]) -> Row:
    """What comes of a change, made by the gateway that holds the store, or here. Raises BadStart."""
    if config.store.kind == "redis":
        return ask(config, call) if held(config.store.path) else asyncio.run(_change_here(config, change))
    try:
        kept = lock(config.store.path)
    except BadStart as bad:
        if not _is_held(bad):
            raise
        return ask(config, call)
    try:
        return asyncio.run(_change_here(config, change))
    finally:
        os.close(kept)


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
            with _in_order():
                account = _found(ring, id_)
                before, after = meter.correct(account, order.tokens, order.reason)
            await ledger.committed()
            return _granted(account, order, before, after)
    except Problem as problem:
        raise BadStart(f"the ledger in {config.store.path} cannot be written") from problem
    finally:
        await ledger.close()


async def _grant_in_redis(config: Config, id_: str, order: Grant) -> Row:
    clock = SystemClock()
    try:
        async with _connected(config) as connection, _ring_over(await _made(connection), config) as ring:
            account = _found(ring, id_)
            log = Log(connection)
            await log.rejoin()
            link = Link(connection, log, clock, _PATIENCE)
            link.open()
            meter = RedisMeter(link, connection, clock)
            meter.configure(Roster.of(ring.values(), config.timezone))
            try:
                with _in_order():
                    before, after = await meter.correct(account, order.tokens, order.reason)
            finally:
                await link.close()
    except (Problem, Unreachable) as error:
        raise BadStart("Redis does not take it for now, and no gateway runs here") from error
    return _granted(account, order, before, after)


def _found(ring: Keyring, id_: str) -> Account:
    account = ring.account(id_)
    if account is None:
        raise Refused(Fault.unknown, "there is no such account")
    return account


@contextmanager
def _in_order() -> Iterator[None]:
    """What a correction is refused for."""
    try:
        yield
    except ValueError as error:
        raise Refused(Fault.conflict, str(error)) from None


def _granted(account: Account, order: Grant, before: int, after: int) -> Row:
    return {"account": account.id, "tokens": order.tokens, "before": before, "after": after}


@asynccontextmanager
async def _ring(config: Config) -> AsyncIterator[Keyring]:
    """The keyring of a store that this process holds, or of a fleet. Raises BadStart."""
    if config.store.kind == "redis":
        async with _connected(config) as connection, _ring_over(await _made(connection), config) as ring:
            yield ring
    else:
        async with _ring_over(OnDisk.open(config.store.path), config) as ring:
            yield ring


@asynccontextmanager
async def _ring_over(made: Made, config: Config) -> AsyncIterator[Keyring]:
    ring = Keyring(made, SystemClock())
    try:
        await ring.configure(snapshot(config).keys, Directory(config))
        yield ring
    except Unavailable as error:
        where = "key database cannot be written, and nothing has changed"
        raise BadStart(f"the {where}: {error}" if config.store.kind == "embedded" else str(error)) from error
    finally:
        await ring.close()


@asynccontextmanager
async def _connected(config: Config) -> AsyncIterator[Connection]:
    connection = await Connection.open(replace(Settings.of(config.store), timeout=_PATIENCE), SystemClock())
    try:
        yield connection
    finally:
        await connection.close()


async def _made(connection: Connection) -> Made:
    return await SharedKeys.open(connection, None)


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
    if config.store.kind == "redis":
        return asyncio.run(_listed_in_redis(config))
    return listing.read(config.store.path, Directory(config), time())


async def _listed_in_redis(config: Config) -> list[Row]:
    async with _ring(config) as ring:
        return await ring.listed(0, -1)


def _is_held(bad: BadStart) -> bool:
    """Whether another process holds the store."""
    return isinstance(bad.__cause__, BlockingIOError)
