"""What a turn call costs Redis, and what it leaves where Redis refuses it or its reply is lost."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from admission.snapshots import ROUTE
from redis.exceptions import OutOfMemoryError
from support.clock import FakeClock
from support.fleet import Node, recorded, sound
from support.metering import FULL, LOOKUP, account
from support.redis_server import RedisServer

from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate, ThrottlePolicy
from gateway.fleet import names
from gateway.fleet.connection import Unreachable
from gateway.fleet.script import Script
from gateway.ledger.records import Charge
from gateway.till import items

PLAN = Plan("p", 1000, Every.month, ThrottlePolicy(Rate(100, 60.0), 100))
KEYS = names.CLOCK, names.SEQUENCE, names.LOG, names.MARKS, names.PURGES, names.FLOOR
MANY = [account(PLAN, f"key{number}") for number in range(32)]


async def called(node: Node) -> dict[str, int]:
    """How often each command has been, within scripts as well."""
    told = (await node.connection.ask("INFO", "commandstats")).decode().splitlines()
    stats = (line.removeprefix("cmdstat_").partition(":calls=") for line in told if line.startswith("cmdstat_"))
    return {name: int(rest.partition(",")[0]) for name, _, rest in stats}


async def opened(url: str, *accounts: Account) -> Node:
    node = await Node.open(url, FakeClock(), *accounts)
    for who in accounts:
        await node.meter.standing(who)
    return node


async def test_charges_of_many_accounts_read_once_and_write_once(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        node = await opened(server.url, *MANY)
        before = await called(node)
        await asyncio.gather(*(node.charge(who, LOOKUP) for who in MANY))
        after = await called(node)
        times = {name: number - before.get(name, 0) for name, number in after.items()}
        shards = times.pop("xadd")
        assert {name for name, number in times.items() if number} == {"evalsha", "mget", "mset", "info"}
        assert (times["evalsha"], times["mget"], times["mset"]) == (1, 1, 1)
        assert shards == len({who.organization for who in MANY})
        await sound(node.connection)
        await node.close()


async def test_a_redis_whose_memory_is_short_has_done_nothing(tmp_path: Path) -> None:
    who = MANY[0]
    with RedisServer(tmp_path) as server, server.client() as client:
        node = await opened(server.url, who)
        held = await node.reserve(who, FULL)
        place, wall = node.meter.seat(who), node.clock.wall()
        charge = place.tab(ROUTE, 1, "hit", wall).words(1)
        close = items.settle(place.holder, place, held.reserve, 1, "refreshed", wall)
        before = [client.dump(key) for key in sorted(client.keys())]
        client.config_set("maxmemory", 1)
        for words in (charge, close, (*charge, *close), items.look(place, wall, forced=False, take=True)):
            arguments = node.connection.server, 1 << 40, 0, 0, 0, 0, *words
            keys = names.EPOCH, names.call(node.connection.incarnation), *KEYS
            with pytest.raises(OutOfMemoryError):
                client.eval(Script("turn").text, len(keys), *keys, *arguments)
        assert [client.dump(key) for key in sorted(client.keys())] == before
        client.config_set("maxmemory", 0)
        await sound(node.connection)
        await node.close()


async def test_a_name_may_have_any_letter(redis_url: str) -> None:
    who = account(PLAN, '100%d "größer"')
    node = await opened(redis_url, who)
    await node.charge(who, LOOKUP)
    await node.meter.settle(await node.reserve(who, FULL), Outcome.refreshed)
    assert {record.account for record, _ in await recorded(node.connection) if isinstance(record, Charge)} == {who.id}
    await sound(node.connection)
    await node.close()


async def test_what_the_node_lacks_is_in_a_reply_that_was_lost(redis_url: str) -> None:
    one, two = [await opened(redis_url, MANY[0]) for _ in range(2)]
    assert await one.link.append(b'["one"]') == 1
    assert await one.link.append(b'["two"]') == 2
    losing = [True]

    async def around(call: Any) -> Any:
        reply = await call()
        if losing.pop() if losing else False:
            raise Unreachable("no answer in time")
        return reply

    two.door.around = around
    assert (await two.reserve(MANY[0], LOOKUP)).reserve.tokens == LOOKUP.total
    assert (two.news.applied, two.link.known) == ([b'["one"]', b'["two"]'], 2)
    for node in (one, two):
        await sound(node.connection)
        await node.close()
