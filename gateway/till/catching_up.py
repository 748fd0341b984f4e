"""Brings deferred charges to Redis, once each: in every shard it is written how far each journal has been applied."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import orjson
import structlog

from gateway.fleet import names
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.script import Script
from gateway.ledger import encoding
from gateway.ledger.records import Charge
from gateway.ports import Clock
from gateway.till.deferred import Deferred, Group

# Charges of one call that differ: a millisecond of Redis's.
_MOST = 200
_DAY = 86_400_000
_REASON = "served while Redis did not answer"

_APPLY, _HOME = Script("deferred"), Script("home")

Counted = Counter[Charge]
Batch = tuple[int, list[Group]]
"""The number of its last group, and its groups."""


class CatchingUp:
    """Of one node. `written_off` counts the tokens that no balance covered; it only grows."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.written_off = 0
        self._connection = connection
        self._clock = clock
        self._log = structlog.get_logger("gateway.fleet")

    async def apply(self, journal: Deferred, after: int) -> int:
        """Applies what it holds after group `after`, up to which Redis has it; the number of the last group of it.

        Raises Unreachable, Refused, and LedgerCorrupt for what cannot be read; what is applied by then stays so.
        """
        commands = [("GET", names.deferred(number, journal.id)) for number in range(names.SHARDS)]
        applied = [int(found or 0) for found in await self._connection.pipeline(*commands)]
        charges = tokens = uncovered = 0
        for last, groups in _batches(journal.groups(after)):
            for number, counted in (await self._by_shard(groups, applied)).items():
                uncovered += await self._charge(journal, number, applied[number], last, counted)
                applied[number] = last
                charges += counted.total()
                tokens += sum(record.tokens * count for record, count in counted.items())
            after = last
        if charges:
            self._log.info("deferred charges applied", charges=charges, tokens=tokens)
        if uncovered:
            self.written_off += uncovered
            self._log.warning("deferred charges written off", tokens=uncovered)
        return after

    async def forget(self, journal: Deferred) -> None:
        """It is no more; only a call that is still on its way may look for it. Raises Unreachable and Refused."""
        commands = [("PEXPIRE", names.deferred(number, journal.id), _DAY) for number in range(names.SHARDS)]
        await self._connection.pipeline(*commands)

    async def _by_shard(self, groups: Sequence[Group], applied: Sequence[int]) -> dict[int, Counted]:
        """What is not applied yet, by the shard of its holder."""
        holders = {record.holder: record.organization for _, charges in groups for record, _ in charges}
        shards = {holder: await self._shard(holder, organization) for holder, organization in holders.items()}
        found = defaultdict[int, Counted](Counter)
        for number, charges in groups:
            for record, count in charges:
                shard = shards[record.holder]
                if number > applied[shard]:
                    found[shard][record] += count
        return found

    async def _shard(self, holder: str, organization: str) -> int:
        home = await self._connection.run(_HOME, (names.HOMES,), (holder, organization, ""))
        return names.shard(home.decode())

    async def _charge(self, journal: Deferred, number: int, before: int, last: int, counted: Counted) -> int:
        """The tokens that were not covered."""
        parts = names.sequence(number), names.records(number), names.holders(number)
        keys = names.EPOCH, names.deferred(number, journal.id), *parts
        said = orjson.dumps([self._words(record, count) for record, count in counted.items()])
        arguments = self._connection.server, before, last, names.prefix(number), said
        applied, uncovered = await self._connection.run(_APPLY, keys, arguments)
        if applied != last:
            # A call that was given up has been executed after all: how far, is asked anew.
            raise Unreachable("an earlier call was still on its way")
        return int(uncovered)

    def _words(self, record: Charge, count: int) -> list[object]:
        """One kind of charge, as deferred.lua takes it."""
        around = orjson.dumps([_REASON, self._clock.wall()]).decode()[1:]
        before = f'["correction",1,[{orjson.dumps(record.holder).decode()},'
        entry = encoding.entry(record, count).decode()
        return [record.holder, record.tokens * count, record.unlimited, entry, before, f",{around}]"]


def _batches(groups: Iterator[Group]) -> Iterator[Batch]:
    """As many groups at a time as one call takes."""
    batch, records = list[Group](), set[Charge]()
    for number, charges in groups:
        batch.append((number, charges))
        records.update(record for record, _ in charges)
        if len(records) >= _MOST:
            yield number, batch
            batch, records = [], set()
    if batch:
        yield batch[-1][0], batch
