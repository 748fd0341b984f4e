"""The campaign: load, a kill, what it left behind, a restart, the books; as often as wanted, all on one store."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from crash.books import Posted, Reading, read
from crash.clocks import ShiftedClock
from crash.evidence import at_rest, evidence, is_behind
from crash.kills import FEWEST, Kill, Score
from crash.launched import LaunchedGateway
from crash.load import CLIENTS, Asked, Client, Load
from crash.origin import Origin
from crash.points import POINTS
from crash.reconcile import differences
from support.config import Config, config, plan, product_route, route
from support.polling import eventually
from support.wire import Connection

from gateway.ledger.verify import verify

RESTORED_WITHIN = 5.0
_OVERDUE = 30.0
_LONGEST_BREAK = 100.0
_HOUR = 3600.0
_MONTH, _BEGIN = "2026-01", 1_768_478_400.0  # the 15th, so that no campaign comes to its end
_JUMPS = 0.5
_EVERY = 8
_TRIES, _BETWEEN = 10, 0.003


class Campaign:
    """One gateway's store through any number of kills; clocks jump, and go on so that minutes end."""

    def __init__(self, folder: Path, origin: Origin, seed: int, durability: str = "process") -> None:
        self.score = Score()
        self._chance = random.Random(seed)
        self._origin = origin
        self._clock = ShiftedClock(folder / "clock")
        self._clients = [Client(f"c{n:02}", f"campaign-{n:02}-0123456789", self._random()) for n in range(CLIENTS)]
        self._holders = balances(self._clients)
        self._gateway = LaunchedGateway(folder, metered(origin.url, self._clients, durability=durability))
        self._clock.set(_BEGIN)
        self._ahead = False
        self._head: bytes | None = None
        self._asked: list[Asked] = []
        self._calls: Counter[str] = Counter()
        self._unseen: dict[Asked, int] = {}
        self._reading = Reading()

    async def run(self, kills: Sequence[Kill]) -> Score:
        """Every kill, and the books after each. Raises AssertionError with what is unexplained."""
        for kill in kills:
            await self._round(kill)
        assert await self._start(), self._gateway.log
        self._gateway.told("ledger", "verify")
        self._gateway.stop()
        self._gateway.told("ledger", "verify")
        self._compare_usage()
        return self.score

    def _compare_usage(self) -> None:
        """What the month's usage says is what all balances were charged."""
        usage = json.loads(self._gateway.told("usage", "--month", _MONTH, "--format", "json"))
        charged = sum(read(self._gateway.store).charged.values())
        assert usage["total"]["tokens"] == charged > 0, usage["total"]

    async def _round(self, kill: Kill) -> None:
        patches = []
        if kill.point is not None:
            self._clock.advance(POINTS[kill.point].pause)
            patches = [kill.point, str(kill.count)]
        if await self._start(*patches):
            await self._load(kill)
        self._gateway.died()
        self.score.add(kill, evidence(self._gateway.store))

    async def _start(self, *patches: str) -> bool:
        """Start on what is there and hold the books against each other; False where the gateway died meanwhile."""
        self._clock.advance(self._chance.uniform(0, _LONGEST_BREAK))
        self._gateway.patches = ("clock", str(self._clock.path), *patches)
        if not await asyncio.to_thread(self._gateway.begin):
            return False
        await asyncio.to_thread(eventually, self._rests_or_dead, RESTORED_WITHIN)
        return self._gateway.lives and await self._account()

    def _rests_or_dead(self) -> bool:
        return not self._gateway.lives or at_rest(self._gateway.store)

    async def _account(self) -> bool:
        """Everything asked since the last time is explained, and what was charged unseen is given free."""
        self._take_down()
        proof = verify(self._gateway.store / "book.sqlite3", self._gateway.store, self._head)
        self._head = proof.head if proof.last else None
        reading = read(self._gateway.store, self._reading.number)
        found = differences(self._asked, self._reading, reading, self._calls, self._holders)
        assert not found, "\n".join(found)
        for asked in self._asked:
            if asked.lost and not asked.plain:
                tokens = self._unseen[asked] = reading.requests.get(asked.id, Posted()).tokens
                self.score.lost += tokens > 0
        self._asked, self._calls, self._reading = [], Counter(), reading
        await asyncio.gather(*(self._retrieve(asked, tokens) for asked, tokens in self._unseen.items()))
        return not self._unseen

    async def _load(self, kill: Kill) -> None:
        def end() -> None:
            asyncio.get_running_loop().call_later(kill.delay, self._end, _TRIES)

        jump = {self._chance.randrange(FEWEST): self._jump} if self._chance.random() < _JUMPS else {}
        load = Load(self._clients, jump if kill.point else {**jump, kill.count: end})
        try:
            async with asyncio.timeout(_OVERDUE):
                await load.run(self._gateway.address)
        except TimeoutError:
            raise AssertionError(f"{kill}: after {load.done} answers the gateway is still there") from None
        self.score.answers += load.done

    def _end(self, tries: int) -> None:
        """Kill it while the book is behind its journal, if a few looks find it so."""
        if tries and not is_behind(self._gateway.store):
            asyncio.get_running_loop().call_later(_BETWEEN, self._end, tries - 1)
        else:
            self._gateway.process.kill()

    async def _retrieve(self, lost: Asked, charged: int) -> None:
        """Ask once more where that is safe, else for the receipt: what was charged is never charged again.

        A gateway that dies meanwhile is asked again when it is back.
        """
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            if lost.key is not None:
                again = await lost.client.repeat(self._gateway.address, lost, free=charged > 0)
                assert charged == 0 or (again.status, again.consumed) == (200, 0), f"{lost.id}: repeated as {again}"
            elif charged > 0:
                assert await self._receipt(lost) == charged, f"{lost.id}: no receipt for {charged} tokens"
            del self._unseen[lost]
            self.score.retrieved += charged > 0

    async def _receipt(self, lost: Asked) -> int:
        """The tokens that the only receipt of the request names."""
        async with await Connection.open(self._gateway.address) as connection:
            lost.client.send(connection, "GET", f"/-/receipts?request_id={lost.id}")
            answer = await connection.answer()
        assert answer.status == 200, answer
        (receipt,) = answer.json()["receipts"]
        tokens: int = receipt["tokens"]
        return tokens

    def _jump(self) -> None:
        """Somebody sets the clock wrong by an hour, or right again."""
        self._clock.jump(-_HOUR if self._ahead else _HOUR)
        self._ahead = not self._ahead

    def _take_down(self) -> None:
        for client in self._clients:
            self._asked.extend(client.asked)
            client.asked.clear()
        self._calls += self._origin.take_calls()

    def _random(self) -> random.Random:
        return random.Random(self._chance.random())


def metered(upstream: str, clients: Sequence[Client], **store: object) -> Config:
    """Most have enough for any campaign; some share a balance, some run out of tokens, some have no limit."""
    plans: Config = {"ample": plan(10_000_000, "never"), "poor": plan(300, "hour"), "unlimited": {}}
    of: Sequence[Config] = [{"organization": "shared"}, {"plan": "poor"}, {"plan": "unlimited"}]
    ample: Config = {"plan": "ample"}
    keys = [
        {"id": client.account, "key": client.secret, **dict(enumerate(of)).get(n % _EVERY, ample)}
        for n, client in enumerate(clients)
    ]
    price = {"base": 1, "options": [{"name": "deep", "tokens": 4, "when": {"query_any": ["deep"]}}]}
    routes = product_route(), route("/streams/{rest:.*}", "streams", price=price)
    organizations = {"shared": {"plan": "ample", "balance": "organization"}}
    return config(
        upstream, *routes, plans=plans, keys=keys, organizations=organizations, store={"path": "var", **store}
    )


def balances(clients: Sequence[Client]) -> dict[str, str]:
    """Whose tokens each account of `metered` spends."""
    own = {client.account: client.account for client in clients}
    return own | {client.account: "org:shared" for client in clients[::_EVERY]}
