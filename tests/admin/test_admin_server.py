"""The operators' door over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from support.addresses import HOST, free_port
from support.in_process import no_gauges

from gateway.admin import Admin
from gateway.errors import BadStart
from gateway.health import Health
from gateway.metrics import Metrics


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[str, Health]]:
    health, port = Health({}), free_port()
    admin = Admin(Metrics(no_gauges(), "0"), health)
    await admin.open(HOST, port)
    try:
        yield f"http://{HOST}:{port}", health
    finally:
        await admin.close()


async def test_what_is_there() -> None:
    async with opened() as (url, health), httpx.AsyncClient(base_url=url) as client:
        metrics = await client.get("/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain")
        assert "gateway_build_info" in metrics.text
        assert (await client.get("/livez")).text == "ok\n"
        assert (await client.get("/readyz")).status_code == 503
        health.serving = True
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/readyz?verbose")).text == "serving: ok\nok\n"
        assert (await client.get("/else")).status_code == 404
        assert (await client.post("/livez")).status_code == 405


async def test_a_taken_port_is_one_clear_line() -> None:
    async with opened() as (url, _):
        port = int(url.rpartition(":")[2])
        with pytest.raises(BadStart, match=rf"cannot listen on {HOST}:{port} \(admin\): .*[Aa]ddress already in use"):
            await Admin(Metrics(no_gauges(), "0"), Health({})).open(HOST, port)
