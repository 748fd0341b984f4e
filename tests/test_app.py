"""Composition: a gateway in this process, from its doors' opening to its orderly end."""

import asyncio
import socket
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path

import httpx
import pytest
import yaml
from support.addresses import HOST, free_port
from support.config import KEY, Config, config, key_field, plan, product_route
from support.embedded import ledger_of
from support.polling import PATIENCE
from support.scripts import Gate, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Connection

from gateway import app
from gateway.app import Gateway
from gateway.config.fixed import Fixed
from gateway.config.load import load_apart
from gateway.config.load import loaded as read
from gateway.config.schema import Config as Read
from gateway.errors import BadStart
from gateway.keys.keyring import Keyring
from gateway.keys.orders import Creation, ordered
from gateway.keys.planning import Planned
from gateway.logs import Logs
from gateway.provisioning import Provisioned, provisioned

pytestmark = pytest.mark.slow


@pytest.fixture
def logs() -> Iterator[Logs]:
    with Logs() as logs:
        yield logs


async def loaded(logs: Logs, folder: Path, whole: Config, listen: int, admin: int) -> Gateway:
    """A gateway for `whole` on these ports, its store in `folder`."""
    path = folder / "gateway.yaml"
    placed = whole | {"listen": f"{HOST}:{listen}", "admin": {"listen": f"{HOST}:{admin}"}}
    path.write_text(yaml.safe_dump(placed))
    found = read(path)
    return await Gateway.open(found, partial(load_apart, path, Fixed.of(found.config)), logs)


def metered(url: str) -> Config:
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    return config(url, product_route(), keys=keys, plans={"pro": plan(2000)})


async def test_from_open_to_drained(logs: Logs, tmp_path: Path, upstream: ScriptedUpstream) -> None:
    port, admin = free_port(), free_port()
    gateway = await loaded(logs, tmp_path, metered(upstream.url), port, admin)
    await gateway.start()
    async with httpx.AsyncClient(headers=key_field()) as client:
        for _ in range(2):
            answer = await client.get(f"http://{HOST}:{port}/v1/products/1")
        assert (answer.status_code, answer.json()["tokens_remaining"]) == (200, 1998)
        scraped = (await client.get(f"http://{HOST}:{admin}/metrics")).text
        assert 'gateway_tokens_charged_total{reason="lookup",route="product"} 2.0' in scraped
        assert "gateway_stored_responses 1.0" in scraped
        assert (await client.get(f"http://{HOST}:{admin}/readyz")).status_code == 200
    await gateway.drain()
    again = await loaded(logs, tmp_path, metered(upstream.url), port, admin)
    await again.start()
    async with httpx.AsyncClient(headers=key_field()) as client:
        answer = await client.get(f"http://{HOST}:{port}/v1/products/1")
    assert answer.json()["tokens_remaining"] == 1997
    await again.drain()


async def test_one_whose_client_has_left_is_settled_before_the_ledger_closes(
    logs: Logs, tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """Its reservation stayed open, to be released at the next start, whatever the upstream had delivered."""
    port, gate = free_port(), Gate()
    upstream.script("/v1/products/1", gate, json_answer({"a": 1}))
    gateway = await loaded(logs, tmp_path, metered(upstream.url), port, free_port())
    await gateway.start()
    async with await Connection.open((HOST, port)) as client:
        client.request("GET", "/v1/products/1", f"Authorization: Bearer {KEY}")
        await upstream.arrived("/v1/products/1")
        client.hang_up()
    gate.open()
    await gateway.drain()
    balance = ledger_of(gateway).accounts.balance("alpha")
    assert (balance.charged, balance.reserved) == (1, 0)


@pytest.mark.parametrize("taken", ["client", "admin"])
async def test_a_taken_port_leaves_nothing_half_started(
    logs: Logs, tmp_path: Path, upstream: ScriptedUpstream, taken: str
) -> None:
    port, admin = free_port(), free_port()
    with socket.create_server((HOST, port if taken == "client" else admin)):
        gateway = await loaded(logs, tmp_path, metered(upstream.url), port, admin)
        with pytest.raises(BadStart, match="cannot listen"):
            await gateway.start()
    again = await loaded(logs, tmp_path, metered(upstream.url), port, admin)
    await again.start()
    await again.drain()


async def test_keys_made_all_the_time_keep_no_config_out(
    logs: Logs, tmp_path: Path, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key was made during each attempt, and each was begun anew."""
    numbers, making = count(), list[asyncio.Task[Planned]]()

    async def overtaken(config: Read, keyring: Keyring) -> Provisioned:
        ready = await provisioned(config, keyring)
        order = ordered(Creation, {"id": f"made-{next(numbers)}", "plan": "pro"})
        making.append(asyncio.create_task(keyring.create(order)))
        await asyncio.sleep(0)
        return ready

    gateway = await loaded(logs, tmp_path, metered(upstream.url), free_port(), free_port())
    await gateway.start()
    monkeypatch.setattr(app, "provisioned", overtaken)
    assert (await asyncio.wait_for(gateway.reload(), PATIENCE)).ok
    made = [await each for each in making]
    assert all(sha256(each.secret.encode()).digest() in gateway._keyring for each in made)
    await gateway.drain()


async def test_what_was_prepared_under_the_former_config_is_given_back(
    logs: Logs, tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    port = free_port()
    gateway = await loaded(logs, tmp_path, metered(upstream.url), port, free_port())
    await gateway.start()
    former = gateway._memo
    async with httpx.AsyncClient(headers=key_field()) as client:
        await client.get(f"http://{HOST}:{port}/v1/products/1")
        assert former._taken
        assert (await gateway.reload()).ok
        await client.get(f"http://{HOST}:{port}/v1/products/1")
    assert (former._taken, gateway._memo._taken > 0) == (0, True)
    await gateway.drain()
