"""A shard that is read some balances at a time is the one that it was when the last of them were read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from ledger.fleets import ACME, Money, connected, granted
from ledger.samples import CHARGE, reserve

from gateway.fleet import names
from gateway.fleet.connection import Connection
from gateway.ledger import held as holding
from gateway.ledger.held import held
from gateway.ledger.records import Renamed, Settle, Term
from gateway.ledger.streaming import Gap

HOLDERS = [f"key{number}" for number in range(600)]


@pytest.fixture
def money(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Money]:
    """Many balances, of which one call reads only a few."""
    monkeypatch.setattr(holding, "_AT_ONCE", 50)
    with closing(Money(redis_url)) as money:
        money.post(*(granted(1000, holder) for holder in HOLDERS), reserve(1)._replace(holder="key1"))
        yield money


class Between:
    """A connection, something happening after each of its first calls."""

    def __init__(self, connection: Connection, happens: Sequence[Callable[[], object]]) -> None:
        self._connection = connection
        self._happens = list(happens)

    async def run(self, *call: Any) -> Any:
        reply = await self._connection.run(*call)
        if self._happens:
            self._happens.pop(0)()
        return reply

    async def ask(self, *command: Any) -> Any:
        return await self._connection.ask(*command)


def others(money: Money) -> Sequence[Callable[[], object]]:
    """What changes all balances, and leaves, ends and begins some, while they are read."""
    began = reserve(2)._replace(holder="key2")
    money.redis.hset(names.HOMES, mapping=dict.fromkeys((*HOLDERS, "new"), "acme"))
    here, there = Term(7, 1000), Term(-1, 0)
    renamed = Renamed("elsewhere", "key3", 5, 5, 0, 0, here, there, here, 60.0)
    return (
        lambda: money.post(*(CHARGE._replace(holder=holder) for holder in HOLDERS)),
        lambda: money.post(began, Settle(reserve(1)._replace(holder="key1"), 4, False, "refreshed", 51.0)),
        lambda: money.post(granted(50, "new"), CHARGE._replace(holder="new")),
        lambda: (money.post(renamed), money.redis.srem(names.holders(ACME), "elsewhere")),
    )


async def test_what_changes_meanwhile_counts_once(redis_url: str, money: Money) -> None:
    async with connected(redis_url) as connection:
        found = await held(Between(connection, others(money)), ACME)  # type: ignore[arg-type]  # as much as is used
        del money.accounts.balances["elsewhere"]
        assert found.balances == money.accounts.balances
        assert [one.id for one in found.open] == [2]
        assert found.place.number == 5
        assert found == await held(connection, ACME)


async def test_records_that_are_gone_meanwhile_are_missed(redis_url: str, money: Money) -> None:
    async with connected(redis_url) as connection:

        def cut() -> None:
            money.post(CHARGE._replace(holder="key1"))
            money.redis.xtrim(names.records(ACME), maxlen=0)

        with pytest.raises(Gap, match="missing"):
            await held(Between(connection, [cut]), ACME)  # type: ignore[arg-type]  # as much as is used
