"""Two hundred reloads, fifty of them broken, under load: no request fails, and every charge is in all the books."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import httpx
import pytest
import yaml
from support.answers import cache_status
from support.config import Config, config, origin, plan, route
from support.gateway import RunningGateway, StartGateway
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

RELOADS = 200
RATE = 1000
CALLERS = 20
GRANT = 10**9
BROKEN = "listen: nowhere"
HITS = 4
"""So many of five requests are for what is stored."""


def key(number: int) -> str:
    return f"rk_live_caller_{number:04}"


def numbered(upstream: ScriptedUpstream, number: int) -> Config:
    """The config of one reload: its price, and every other time other timeouts, which take another client."""
    api = origin(upstream.url, timeout={"total": f"{50 + number % 2}s"})
    keys = [{"id": f"caller-{caller}", "key": key(caller), "plan": "pro"} for caller in range(CALLERS)]
    price = 1 + number % 7
    return config(
        upstream.url,
        route("/stored/{id}", "stored", price=price, cache="1h"),
        route("/{rest:.*}", "passed", price=price),
        upstreams={"origin": api},
        plans={"pro": plan(GRANT, throttle={"rate": f"{10_000 + number}/s", "burst": 10_000})},
        keys=keys,
        log={"level": "warning"},
    )


@dataclass(slots=True)
class Load:
    """What the answers said, over all callers."""

    running: RunningGateway
    answers: int = 0
    spent: Counter[int] = field(default_factory=Counter)
    fetched: int = 0
    over: bool = False
    answered: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def goes_on(self) -> None:
        """Return once each caller might have had another answer."""
        enough = self.answers + CALLERS
        async with self.answered:
            await self.answered.wait_for(lambda: self.answers >= enough)

    async def call(self, caller: int) -> None:
        """One caller's requests at its part of the rate, on one connection, until it is over."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with await Connection.open(self.running.address) as connection:
            for number in count():
                await self._ask(connection, caller, f"/stored/{caller}" if number % 5 < HITS else f"/new/{number}")
                if self.over:
                    return
                due = max(due + CALLERS / RATE, loop.time() - 1.0)
                await asyncio.sleep(due - loop.time())

    async def _ask(self, connection: Connection, caller: int, target: str) -> None:
        connection.request("GET", target, f"Authorization: Bearer {key(caller)}")
        answer = await connection.answer()
        assert answer.status == 200, answer
        async with self.answered:
            self.answers += 1
            self.answered.notify_all()
        self.spent[caller] += int(answer.field("X-Tokens-Consumed") or 0)
        self.fetched += not cache_status(answer.field("Cache-Status")).hit


async def reload(running: RunningGateway, text: str) -> int:
    await asyncio.to_thread(running.path.write_text, text)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as admin:
        return (await admin.post(f"{running.admin_url}/-/config/reload")).status_code


async def test_reloads_under_load(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = await asyncio.to_thread(gateway, numbered(upstream, 0))
    load = Load(running)
    callers = [asyncio.create_task(load.call(caller)) for caller in range(CALLERS)]
    for number in range(RELOADS):
        broken = number % 4 == 3
        text = yaml.safe_dump(numbered(upstream, number)) + (f"\n{BROKEN}\n" if broken else "")
        assert await reload(running, text) == (409 if broken else 200), number
        await load.goes_on()
    load.over = True
    await asyncio.gather(*callers)
    assert load.answers >= RELOADS * CALLERS
    await asyncio.to_thread(judge, load, upstream)


def judge(load: Load, upstream: ScriptedUpstream) -> None:
    """What the clients were told, the balances, the metrics and the upstream's count are the same."""
    running, metrics = load.running, load.running.metrics()
    assert metrics.total("gateway_tokens_charged_total") == load.spent.total()
    assert metrics.value("gateway_ledger_drift_tokens") == 0
    assert metrics.total("gateway_upstream_requests_total") == len(upstream.requests) == load.fetched
    for caller in range(CALLERS):
        standing = running.client({"Authorization": f"Bearer {key(caller)}"}).get("/-/balance").json()
        assert standing["balance"] == GRANT - load.spent[caller]
        assert standing["reserved"] == 0
