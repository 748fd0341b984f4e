"""How much of their present grants all accounts have used: read some at a time, and nothing is granted in passing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from gateway.admission.snapshot import Account, Every
from gateway.admission.standing import Standing
from gateway.errors import Problem
from gateway.fleet import names
from gateway.fleet.call import unavailable
from gateway.fleet.connection import Connection, Unreachable
from gateway.fleet.script import Script
from gateway.ports import Clock
from gateway.quotas import Near
from gateway.till.places import Places

# Accounts that are read by one call: a third of a millisecond of Redis's, and of this process's.
_SLICE = 250

_USED = Script("used")
_NOBODY = names.balance(0, "")


class Used(NamedTuple):
    """What `remains` of the `given` tokens of the grant in `period`."""

    remains: int
    period: int
    given: int

    @property
    def part(self) -> float:
        """How much of it is used, 1 for all."""
        return (self.given - self.remains) / self.given if self.given else 0.0


class Survey:
    """As `quotas.Quotas` does it for one process: of all who have a grant in the present period."""

    def __init__(
        self,
        connection: Connection,
        places: Places,
        clock: Clock,
        standing: Callable[[Account], Awaitable[Standing]],
    ) -> None:
        self._connection = connection
        self._places = places
        self._clock = clock
        self._standing = standing
        self._above: dict[int, int] = {}
        # A holder stays for good where it is.
        self._keys: dict[str, str] = {}

    async def above(self, percents: Sequence[int]) -> dict[int, int]:
        """How many accounts have used each of `percents` of their present grant, or more; what was last known of it."""
        with suppress(Problem):
            self._above = await self._counted(percents)
        return {percent: self._above.get(percent, 0) for percent in percents}

    async def _counted(self, percents: Sequence[int]) -> dict[int, int]:
        above = dict.fromkeys(percents, 0)
        async for some in self._slices():
            for _, found in some:
                used = 100 * (found.given - found.remains)
                for percent in percents:
                    above[percent] += used >= percent * found.given
        return above

    async def nearest(self, most: int) -> list[Near]:
        """The `most` that have used the largest part, it first; who has used nothing is not among them.

        A balance that several accounts spend from is there once, with the first of them.
        """
        found: dict[str, tuple[float, Account]] = {}
        async for some in self._slices():
            for account, one in some:
                if one.part > 0:
                    found.setdefault(account.holder, (one.part, account))
            found = dict(sorted(found.items(), key=lambda each: each[1][0], reverse=True)[:most])
        return [Near(account, used, await self._standing(account)) for used, account in found.values()]

    async def _slices(self) -> AsyncIterator[list[tuple[Account, Used]]]:
        """Raises Problem(ledger_unavailable)."""
        roster, wall = self._places.roster, self._clock.wall()
        present = {every: roster.calendar.period(every, wall).id for every in Every}
        limited = (account for account in list(roster.accounts.values()) if account.plan.grant is not None)
        while some := list(islice(limited, _SLICE)):
            try:
                used = await self._used([account.holder for account in some])
            except Unreachable as error:
                raise unavailable() from error
            yield [
                (account, found)
                for account, found in zip(some, used, strict=True)
                if found.period >= present[account.plan.every]
            ]

    async def _used(self, holders: Sequence[str]) -> list[Used]:
        """In a period before all others for who has no balance yet. Raises Unreachable."""
        await self._find([holder for holder in holders if holder not in self._keys])
        told = await self._connection.run(_USED, [self._keys.get(holder, _NOBODY) for holder in holders], ())
        return [Used(*told[place : place + 3]) for place in range(0, len(told), 3)]

    async def _find(self, holders: Sequence[str]) -> None:
        """Where their balances are, of those that have one."""
        homes = await self._connection.ask("HMGET", names.HOMES, *holders) if holders else ()
        for holder, home in zip(holders, homes, strict=True):
            if home is not None:
                self._keys[holder] = names.balance(names.shard(home.decode()), holder)
