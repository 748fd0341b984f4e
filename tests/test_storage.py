"""What a gateway keeps, by the config's `store.kind`: opened whole or not at all, closed for the next to find it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jobs.asked import order
from redis.asyncio import Redis
from structlog.testing import capture_logs
from support.addresses import HOST
from support.config import config, route
from support.gateway import write
from support.polling import PATIENCE

from gateway.clock import SystemClock
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.fleet import names
from gateway.gauges import InRedis
from gateway.storage import Storage, opened
from gateway.storage.fleet import Fleet

PLACES = {"GATEWAY_LISTEN": f"{HOST}:0", "GATEWAY_ADMIN": f"{HOST}:0"}


def stored(folder: Path, **store: Any) -> Config:
    whole = config("http://127.0.0.1:1", route("/{rest:.*}", "all"), store={"path": "var"} | store)
    return load(write(folder, whole), PLACES)


@pytest.fixture(params=["embedded", "redis", "serve_stored"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """Of each kind."""
    if request.param == "embedded":
        return stored(tmp_path)
    url = request.getfixturevalue("redis_url")
    on_failure = "deny" if request.param == "redis" else "serve_stored"
    return stored(tmp_path, kind="redis", url=url, timeout="1s", on_failure=on_failure)


@asynccontextmanager
async def storage_of(whole: Config) -> AsyncIterator[Storage]:
    storage = await opened(whole, SystemClock())
    try:
        yield storage
    finally:
        await storage.close()


async def _nothing() -> None:
    """Nobody has left anything."""


async def test_what_is_opened_is_up_and_the_next_finds_what_was_kept(kept: Config) -> None:
    async with storage_of(kept) as storage:
        left: Callable[[], Awaitable[None]] = _nothing
        storage.listen(lambda: None, left)
        storage.configure(kept)
        assert (storage.up, storage.recorded.healthy, storage.on_disk()) == (True, True, None)
        await storage.metering.verify()
        accepted = await storage.jobs.accept(order("1"), 1.0)
    async with storage_of(kept) as storage:
        found = await storage.jobs.find(accepted.job)
        assert found is not None


async def test_of_the_shared_tier_it_tells_what_all_have_stored_and_goes_by_another_room(
    tmp_path: Path, redis_url: str
) -> None:
    whole = stored(tmp_path, kind="redis", url=redis_url, timeout="1s")
    async with Redis.from_url(redis_url) as redis:
        await redis.hset(names.SHARED, mapping={"responses": 3, "bytes": 4_000})
        async with storage_of(whole) as storage:
            assert isinstance(storage, Fleet)
            async with asyncio.timeout(PATIENCE):
                while storage.in_redis() != InRedis(3, 4_000, 0):  # noqa: ASYNC110 - it tells nobody of that
                    await asyncio.sleep(0.005)
            assert storage._tier.room == 1 << 30
            storage.configure(stored(tmp_path, kind="redis", url=redis_url, timeout="1s", shared="16MiB"))
            assert storage._tier.room == 16 << 20
    async with storage_of(stored(tmp_path, path="alone")) as storage:
        assert storage.in_redis() is None


async def test_what_is_doubtful_of_redis_is_logged_once(tmp_path: Path, redis_url: str) -> None:
    with capture_logs() as lines:
        async with storage_of(stored(tmp_path, kind="redis", url=redis_url, timeout="1s")) as storage:
            assert isinstance(storage, Fleet)
            storage._doubt(up=False)
            storage._doubt(up=True)
            told = list(storage.doubts)
    assert told == [line["reason"] for line in lines if line["event"] == "store at risk"]
    assert len(told) == 1


async def test_nothing_is_left_open_where_it_cannot_begin(tmp_path: Path, redis_url: str) -> None:
    whole = stored(tmp_path, kind="redis", url=redis_url, timeout="1s")
    async with Redis.from_url(redis_url) as redis:
        await redis.set(names.MOVING, "another")
        others = len(await redis.client_list())
        with pytest.raises(BadStart):
            await opened(whole, SystemClock())
        # Redis sees the end of a connection a moment later.
        async with asyncio.timeout(PATIENCE):
            while len(await redis.client_list()) > others:  # noqa: ASYNC110 - Redis tells nobody of that
                await asyncio.sleep(0.005)
