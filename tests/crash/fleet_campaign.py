"""The campaign on a fleet: load over all nodes of one Redis, kill -9 of any of them all the while, then the books."""

import asyncio
import random
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from time import monotonic

from crash.books import Reading, read
from crash.campaign import balances, metered
from crash.evidence import at_rest
from crash.load import CLIENTS, Client
from crash.origin import Origin
from crash.reconcile import differences
from support.gateway import RunningGateway
from support.polling import eventually

NODES = 3
_LONGEST_LIFE, _LONGEST_DEATH = 1.5, 0.5
_ELSEWHERE = 0.01
# Until the reservations of who died last are given back, and every book has all of it.
_RESTS_WITHIN = 30.0


@dataclass(slots=True)
class FleetScore:
    """What a campaign has seen: answers whole, and `lost` ones, of which nobody was told what became of them."""

    kills: int = 0
    answers: int = 0
    lost: int = 0

    @property
    def is_proof(self) -> bool:
        """Whether kills met requests under way."""
        return self.lost >= self.kills > 0


class _Over(Exception):
    """Nothing more is to be asked."""


class FleetCampaign:
    """Three gateways on the Redis at `url`; clients ask any of them, another one once theirs is gone."""

    def __init__(self, folder: Path, origin: Origin, url: str, seed: int) -> None:
        self.score = FleetScore()
        self._over = False
        self._chance = random.Random(seed)
        self._origin = origin
        self._clients = [
            Client(f"c{n:02}", f"campaign-{n:02}-0123456789", random.Random(self._chance.random()))
            for n in range(CLIENTS)
        ]
        whole = metered(origin.url, self._clients, kind="redis", url=url)
        self._nodes = []
        for number in range(NODES):
            own = folder / f"node-{number}"
            own.mkdir(parents=True)
            self._nodes.append(RunningGateway(own, whole))

    async def run(self, seconds: float) -> FleetScore:
        """Kill and start nodes for so long, then hold the books against each other. Raises AssertionError."""
        with ExitStack() as running:
            for node in self._nodes:
                await asyncio.to_thread(running.enter_context, node)
            asking = [asyncio.create_task(self._ask(client)) for client in self._clients]
            await self._kill_until(monotonic() + seconds)
            self._over = True
            await asyncio.gather(*asking)
            await asyncio.to_thread(self._account)
        return self.score

    async def _ask(self, client: Client) -> None:
        while not self._over:
            # Whose node dies while it connects asks the next one.
            with suppress(OSError, _Over):
                await client.ask(client.random.choice(self._nodes).address, self._count)
            for asked in takewhile(lambda asked: asked.status is None, reversed(client.asked)):
                # Another node's next answer does not tell that this one's has broken off by itself.
                asked.cut = False
            await asyncio.sleep(_ELSEWHERE)

    def _count(self) -> None:
        self.score.answers += 1
        if self._over:
            raise _Over

    async def _kill_until(self, end: float) -> None:
        while monotonic() < end:
            await asyncio.sleep(self._chance.uniform(0, _LONGEST_LIFE))
            node = self._chance.choice(self._nodes)
            await asyncio.to_thread(node.kill9)
            self.score.kills += 1
            await asyncio.sleep(self._chance.uniform(0, _LONGEST_DEATH))
            await asyncio.to_thread(node.start)

    def _account(self) -> None:
        """All is explained, by the book of each node alike, and by the balances in Redis."""
        eventually(self._rests, _RESTS_WITHIN)
        asked = [request for client in self._clients for request in client.asked]
        self.score.lost = sum(request.lost for request in asked)
        calls = self._origin.take_calls()
        for node in self._nodes:
            reading = read(node.folder / "var")
            found = differences(asked, Reading(), reading, calls, balances(self._clients))
            assert not found, "\n".join([f"{len(found)} differences in {node.folder}:", *found[:20]])
            ended = node.command("ledger", "verify")
            assert ended.returncode == 0, ended

    def _rests(self) -> bool:
        return all(at_rest(node.folder / "var") for node in self._nodes) and all(
            node.metrics().value("gateway_ledger_drift_tokens") == 0 for node in self._nodes
        )
