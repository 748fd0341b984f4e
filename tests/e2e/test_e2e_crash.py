"""kill -9 at the worst moment: what was acknowledged stays charged, what was reserved comes back, caps still count."""

import asyncio
import itertools
import resource
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from support.answers import tokens
from support.config import KEY, OTHER_KEY, Config, config, key_field, plan, product_route
from support.gateway import RunningGateway, StartGateway
from support.polling import eventually
from support.scripts import Gate, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"
GRANT = 1_000_000
AUTHORIZED = f"Authorization: Bearer {KEY}"


def metered(upstream: ScriptedUpstream, grant: int = GRANT, **rest: object) -> Config:
    keys = [{"id": name, "key": key, "organization": "acme"} for name, key in (("a", KEY), ("b", OTHER_KEY))]
    organizations = {"acme": {"plan": "pro", "caps": {"force_refresh": "5/min"}}}
    plans = {"pro": plan(grant, "never")}
    return config(upstream.url, product_route(), keys=keys, organizations=organizations, plans=plans, **rest)


class Spent:
    """What the answers said they cost, added up as they arrive."""

    def __init__(self) -> None:
        self.tokens = 0
        self.answers: asyncio.Queue[None] = asyncio.Queue()

    async def load(self, address: tuple[str, int], number: int) -> None:
        """Ask for hits and misses in turn until the connection dies."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            async with await Connection.open(address) as connection:
                for count in itertools.count():
                    target = f"{PRODUCT}/{number}-{count}?include_offers=true" if count % 2 else f"{PRODUCT}/1"
                    connection.request("GET", target, AUTHORIZED)
                    reply = await connection.answer()
                    self.tokens += int(reply.field("X-Tokens-Consumed") or 0) if reply.complete else 0
                    self.answers.put_nowait(None)


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_acknowledged_charges_survive(gateway: StartGateway, upstream: ScriptedUpstream, durability: str) -> None:
    running = gateway(metered(upstream, store={"path": "var", "durability": durability}))
    clients, charged = 16, 0
    for _ in range(3):
        spent = Spent()
        load = [asyncio.create_task(spent.load(running.address, number)) for number in range(clients)]
        async with asyncio.timeout(60):
            for _ in range(500):
                await spent.answers.get()
        running.kill9()
        await asyncio.gather(*load)
        await asyncio.to_thread(running.restart)
        own, remaining = tokens(running.client(key_field()).get(f"{PRODUCT}/1"))
        # Each client had at most one request in flight, the dearest of which costs 6.
        assert 0 <= GRANT - remaining - own - charged - spent.tokens <= 6 * clients
        charged = GRANT - remaining


async def test_reservations_of_a_dead_process_are_released(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(metered(upstream, grant=10))
    upstream.script(f"{PRODUCT}/1", Gate(), json_answer({}))
    async with await Connection.open(running.address) as connection:
        connection.request("GET", f"{PRODUCT}/1?include_offers=true", AUTHORIZED)
        await upstream.arrived(f"{PRODUCT}/1")
        running.kill9()
    await asyncio.to_thread(running.restart)
    assert tokens(running.client(key_field()).get(f"{PRODUCT}/2?include_offers=true&force_refresh=true")) == (9, 1)


def test_the_cap_still_counts_what_was_admitted_before(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(metered(upstream))
    refresh = f"{PRODUCT}/1/refresh"
    assert [running.client(key_field()).post(refresh).status_code for _ in range(3)] == [200] * 3
    running.kill9()
    running.restart()
    after = [running.client(key_field(OTHER_KEY)).post(refresh).status_code for _ in range(3)]
    assert after == [200, 200, 429]
    running.restart()
    assert running.client(key_field()).post(refresh).status_code == 429


def test_a_full_disk_is_503_without_an_upstream_call_until_there_is_room(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running = gateway(metered(upstream))
    client = running.client(key_field())
    # Hits are in the journal and not in the log, so that the journal is the file that meets the limit first.
    for _ in range(400):
        assert client.get(f"{PRODUCT}/1").status_code == 200
    before = tokens(client.get(f"{PRODUCT}/1"))[1]
    journal = max(path.stat().st_size for path in (running.folder / "var").rglob("*") if "journal" in str(path))
    assert journal > 2 * len(running.log)
    limit_files(running, journal)
    for target in (f"{PRODUCT}/1", f"{PRODUCT}/2", f"{PRODUCT}/1?force_refresh=true"):
        refused = client.get(target)
        assert (refused.status_code, refused.json()["reason"]) == (503, "ledger_unavailable")
    assert not upstream.calls(f"{PRODUCT}/2")
    limit_files(running, resource.RLIM_INFINITY)
    healed = eventually(lambda: healthy(client.get(f"{PRODUCT}/1")))
    assert tokens(healed) == (1, before - 1)
    running.kill9()
    running.start()
    assert tokens(running.client(key_field()).get(f"{PRODUCT}/1")) == (1, before - 2)


def limit_files(running: RunningGateway, size: int) -> None:
    """No file of the process may grow past `size` bytes from now on."""
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def healthy(reply: httpx.Response) -> httpx.Response | None:
    return reply if reply.status_code == 200 else None


def test_balances_survive_an_orderly_restart(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(metered(upstream, grant=2000))
    assert tokens(running.client(key_field()).post(f"{PRODUCT}/1/refresh")) == (9, 1991)
    running.restart()
    assert tokens(running.client(key_field()).get(f"{PRODUCT}/1")) == (1, 1990)
    assert tokens(running.client(key_field(OTHER_KEY)).get(f"{PRODUCT}/1")) == (1, 1999)


def test_a_store_in_use_is_refused(gateway: StartGateway, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    running = gateway(metered(upstream))
    second = tmp_path / "second"
    second.mkdir()
    store = {"path": str(running.folder / "var")}
    ended = RunningGateway(second, metered(upstream, store=store)).refused()
    assert ended.status == 2
    assert "Traceback" not in ended.output
    assert str(running.folder / "var") in ended.output
    assert running.client(key_field()).get(f"{PRODUCT}/1").status_code == 200
    running.kill9()
    running.start()
    assert running.client(key_field()).get(f"{PRODUCT}/1").status_code == 200
