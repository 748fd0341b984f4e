"""The other campaign: refreshes in the background under way as the gateway dies, as often as wanted, on one store."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from crash.books import read as ledger
from crash.job_books import read as register
from crash.job_load import Shopper, Shopping
from crash.job_origin import OrderOrigin, order_routes, stores_refreshed
from crash.job_points import JOB_POINTS
from crash.job_reconcile import differences
from crash.kills import LATEST, Kill
from crash.launched import LaunchedGateway
from support.config import Config, config, plan, product_route
from support.polling import eventually

from gateway.ledger.verify import verify

SHOPPERS = 8
FEWEST, MOST = 5, 50
_OVERDUE = 60.0
_ENDED_WITHIN = 60.0
# One without which the journal is never written again, and so no order ever accepted after the first.
_REACHED = tuple(name for name in JOB_POINTS if not name.startswith("withdr"))


@dataclass(slots=True)
class JobScore:
    """What a campaign has seen: kills, those that left jobs under way, and what became of all jobs in the end.

    `how` counts what the answers to orders said: initiated, joined or widened.
    """

    kills: int = 0
    under_way: int = 0
    acknowledged: int = 0
    lost: int = 0
    imports: int = 0
    how: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)

    @property
    def is_proof(self) -> bool:
        """Whether two thirds of the kills left work behind, and most of the jobs came to a good end all the same."""
        return 3 * self.under_way >= 2 * self.kills and 2 * self.states["done"] >= self.states.total() > self.kills


class JobCampaign:
    """One gateway's store through any number of kills. It is left alone in the end, until every job has ended."""

    def __init__(self, folder: Path, origin: OrderOrigin, seed: int) -> None:
        self.score = JobScore()
        self._origin = origin
        chance = random.Random(seed)
        self._shoppers = [
            Shopper(f"s{n}", f"shopper-{n}-0123456789", random.Random(chance.random())) for n in range(SHOPPERS)
        ]
        self._gateway = LaunchedGateway(folder, _config(origin.url, self._shoppers))

    async def run(self, kills: Sequence[Kill]) -> JobScore:
        """Every kill, and all the books in the end. Raises AssertionError with what is unexplained."""
        for kill in kills:
            await self._round(kill)
        await asyncio.to_thread(self._rest)
        self._judge()
        return self.score

    async def _round(self, kill: Kill) -> None:
        self._gateway.patches = () if kill.point is None else (kill.point, str(kill.count))
        if await asyncio.to_thread(self._gateway.begin):
            await self._load(kill)
        self._gateway.died()
        left = register(self._gateway.store)
        assert not left.unsound, "\n".join([str(kill), *left.unsound])
        self.score.kills += 1
        self.score.under_way += left.under_way > 0
        self.score.points[kill.point or "anywhere"] += 1

    async def _load(self, kill: Kill) -> None:
        def end() -> None:
            if kill.point is None:
                asyncio.get_running_loop().call_later(kill.delay, self._gateway.process.kill)

        shopping = Shopping(self._shoppers, kill.count, end)
        try:
            async with asyncio.timeout(_OVERDUE):
                await shopping.run(self._gateway.address)
        except TimeoutError:
            raise AssertionError(f"{kill}: after {shopping.done} orders the gateway is still there") from None

    def _rest(self) -> None:
        """Nobody orders, nothing fails, and all that is under way ends."""
        self._origin.well = True
        self._gateway.patches = ()
        assert self._gateway.begin(), self._gateway.log
        with httpx.Client(base_url=self._gateway.admin_url, trust_env=False) as client:
            eventually(lambda: _all_ended(client), _ENDED_WITHIN)
        self._gateway.stop()

    def _judge(self) -> None:
        store = self._gateway.store
        verify(store / "book.sqlite3", store)
        orders = [order for shopper in self._shoppers for order in shopper.ordered]
        left, begun = register(store), self._origin.begun
        found = differences(orders, ledger(store), left, begun)
        assert not found, "\n".join(found)
        self.score.acknowledged = sum(order.acknowledged for order in orders)
        self.score.lost = sum(order.status is None for order in orders)
        self.score.imports = begun.total()
        self.score.how.update(order.how for order in orders if order.how is not None)
        self.score.states.update(job.state for job in left.jobs.values())


def schedule(kills: int, chance: random.Random) -> list[Kill]:
    """Kills at random moments, and as every second one at the next of the points."""
    return [_at(_REACHED[n // 2 % len(_REACHED)], chance) if n % 2 else anywhere(chance) for n in range(kills)]


def anywhere(chance: random.Random) -> Kill:
    """A kill while all shoppers order."""
    return Kill(None, chance.randrange(FEWEST, MOST), chance.uniform(0, LATEST))


def _at(point: str, chance: random.Random) -> Kill:
    return Kill(point, chance.randint(1, JOB_POINTS[point].most))


def _all_ended(client: httpx.Client) -> bool:
    """Whether no job that the register has is under way."""
    after: str | None = None
    while True:
        page = client.get("/-/refreshes", params={"most": "1000"} | ({} if after is None else {"after": after})).json()
        if any(job["ended"] is None for job in page["refreshes"]):
            return False
        after = page["next"]
        if after is None:
            return True


def _config(upstream: str, shoppers: Sequence[Shopper]) -> Config:
    keys = [{"id": shopper.account, "key": shopper.secret, "plan": "ample"} for shopper in shoppers]
    routes, plans = [*order_routes(), product_route()], {"ample": plan(10_000_000, "never")}
    # So that some are given up.
    background = stores_refreshed(retry={"attempts": 2, "first": "50ms", "longest": "200ms", "within": "1m"})
    return config(upstream, *routes, keys=keys, plans=plans, background_refreshes=[background])
