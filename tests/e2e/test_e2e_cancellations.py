"""Hundreds of clients that hang up at any point: what the others get is theirs, and the books still balance."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.config import config, key_field, plan, route
from support.config import origin as own
from support.gateway import RunningGateway
from support.polling import eventually
from support.scripts import Pause, Received, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Answer, Connection

pytestmark = pytest.mark.slow

SEED = 20_250_611
CLIENTS = 300
REQUESTS = 8
GRANT = 1_000_000
KEYS = [f"rk_live_cancelled_{number}" for number in range(6)]
PATHS = [f"/{kind}/{number}" for kind in ("shared", "own", "pass") for number in range(12)]
# Some are larger than a socket's buffers, so that their readers can leave in the middle.
PADDING = (0, 0, 40, 3000, 400_000)


def named(request: Received) -> bytes:
    """Which target was asked for, and with whose credentials."""
    padding = "x" * PADDING[sum(request.target.encode()) % len(PADDING)]
    return json_answer({"target": request.target, "key": request.field("Authorization"), "padding": padding})


@pytest.fixture
def crowded(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[RunningGateway]:
    routes = [
        route("/shared/{id}", "shared", upstream="origin", cache={"ttl": "200ms", "stale_while_revalidate": "200ms"}),
        route("/own/{id}", "own", upstream="theirs", cache={"ttl": "200ms", "share": "key"}),
        route("/pass/{id}", "pass", upstream="theirs"),
    ]
    upstreams = {"origin": own(upstream.url), "theirs": {"url": upstream.url, "credentials": "client"}}
    keys = [{"id": f"key-{number}", "key": key, "plan": "rich"} for number, key in enumerate(KEYS)]
    for at, path in enumerate(PATHS):
        upstream.script(path, *([Pause(0.005 * (at % 4))] if at % 4 else []), named)
    whole = config(upstream.url, *routes, upstreams=upstreams, keys=keys, plans={"rich": plan(GRANT, "never")})
    with RunningGateway(tmp_path, whole) as running:
        yield running


@dataclass
class Count:
    """What the clients have sent, and what of it they have seen answered whole."""

    sent: int = 0
    answered: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and all that its answer must name."""

    target: str
    key: str
    id: str

    def raw(self) -> bytes:
        lines = [f"GET {self.target} HTTP/1.1", "Host: a", f"X-Request-Id: {self.id}", f"X-Api-Key: {self.key}"]
        return "\r\n".join([*lines, f"Authorization: Bearer {self.key}", "", ""]).encode()

    def is_answered_by(self, reply: Answer) -> bool:
        if not reply.complete or reply.status != 200 or reply.field("X-Request-Id") != self.id:
            return False
        body = reply.json()
        whose = body["key"] == f"Bearer {self.key}" or self.target.startswith("/shared/")
        return body["target"] == self.target and whose and len(body["padding"]) in PADDING


class Client:
    """Asks again and again, on one connection as long as it does not hang up."""

    def __init__(self, address: tuple[str, int], number: int, count: Count) -> None:
        self.address = address
        self.number = number
        self.count = count
        self.chance = random.Random(SEED + number)

    async def run(self) -> None:
        connection = await Connection.open(self.address)
        for turn in range(REQUESTS):
            asked = [
                self._asked(f"{self.number}-{turn}-{behind}") for behind in range(self.chance.choice((1, 1, 1, 3)))
            ]
            if not await self._exchange(connection, asked):
                connection.hang_up()
                connection = await Connection.open(self.address)
        connection.writer.transport.abort()

    def _asked(self, name: str) -> Asked:
        target = f"{self.chance.choice(PATHS)}?page={self.chance.randrange(3)}"
        return Asked(target, self.chance.choice(KEYS), name)

    async def _exchange(self, connection: Connection, asked: list[Asked]) -> bool:
        """Whether it stayed to the end."""
        raw = b"".join([one.raw() for one in asked])
        self.count.sent += len(asked)
        match self.chance.randrange(6):
            case 0:
                connection.send(raw[: self.chance.randrange(1, len(raw))])
                return False
            case 1:
                connection.send(raw)
                for _ in range(self.chance.randrange(100)):
                    await asyncio.sleep(0)
                return False
            case 2:
                connection.send(raw)
                await connection.reader.read(self.chance.randrange(1, 2000))
                return False
            case _:
                connection.send(raw)
                for one in asked:
                    assert one.is_answered_by(await connection.answer()), one
                    self.count.answered += 1
                return True


class Balances:
    """What all accounts have paid, as their balances say; asking costs one token each."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self.client = running.client()
        self.asked = 0

    def spent(self) -> int:
        paid = 0
        for key in KEYS:
            reply = self.client.get("/shared/0", headers=key_field(key))
            paid += GRANT - int(reply.headers["X-Tokens-Remaining"])
        self.asked += len(KEYS)
        return paid

    def charged(self) -> float:
        return self.running.metrics().total("gateway_tokens_charged_total")

    def agree(self) -> bool:
        """Whether nothing is under way any more, and balances and metrics say the same."""
        before = self.charged()
        return before + len(KEYS) == self.spent() == self.charged()


async def test_whoever_hangs_up_changes_nothing_for_the_others(crowded: RunningGateway) -> None:
    count, balances = Count(), Balances(crowded)
    await asyncio.gather(*[Client(crowded.address, number, count).run() for number in range(CLIENTS)])
    eventually(balances.agree)
    assert count.answered <= balances.charged() - balances.asked <= count.sent
    after = crowded.metrics()
    assert after.total("gateway_ledger_drift_tokens") == 0
    assert after.total("gateway_fetches_in_flight") == 0
