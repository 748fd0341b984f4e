"""Stored responses on disk from outside: what a restart finds again, and what no kill -9 brings back."""

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from support.config import Config, config, key_field, product_route
from support.gateway import RunningGateway, StartGateway
from support.polling import eventually
from support.scripts import numbered
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"
FILE = Path("var") / "responses.sqlite3"


def warm(upstream: ScriptedUpstream, **store: object) -> Config:
    return config(upstream.url, product_route(), store={"path": "var", "disk": "64MiB"} | store)


def on_disk(running: RunningGateway, count: int) -> None:
    """Wait until so many responses are."""
    eventually(lambda: running.metrics().value("gateway_stored_disk_responses") >= count)


def counts(running: RunningGateway, items: range) -> list[int]:
    """Which of the upstream's answers each item is, for the gateway's clients."""
    client = running.client(key_field())
    return [client.get(f"{PRODUCT}/{item}").json()["call"] for item in items]


async def fetched(running: RunningGateway, count: int) -> list[str]:
    """What Cache-Status says of so many items, each asked for once."""
    async with await Connection.open(running.address) as connection:
        found = []
        for item in range(count):
            connection.request("GET", f"{PRODUCT}/{item}", f"Authorization: {key_field()['Authorization']}")
            found.append((await connection.answer()).field("Cache-Status") or "")
    return found


async def test_a_restart_buys_nothing_again(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(warm(upstream))
    await fetched(running, 1000)
    on_disk(running, 1000)
    running.kill9()
    for _ in range(2):
        await asyncio.to_thread(running.restart)
        found = await fetched(running, 1000)
        assert [said for said in found if not said.startswith("gateway; hit")] == []
        assert running.metrics().total("gateway_upstream_requests_total") == 0


def _refresh(running: RunningGateway, client: httpx.Client, item: int) -> httpx.Response:
    return client.get(f"{PRODUCT}/{item}?force_refresh=true")


def _change(running: RunningGateway, client: httpx.Client, item: int) -> httpx.Response:
    return client.put(f"{PRODUCT}/{item}", content=b"{}")


def _purge(running: RunningGateway, client: httpx.Client, item: int) -> httpx.Response:
    return httpx.post(f"{running.admin_url}/-/purge", json={"url": f"{PRODUCT}/{item}"})


def _purge_below(running: RunningGateway, client: httpx.Client, item: int) -> httpx.Response:
    return httpx.post(f"{running.admin_url}/-/purge", json={"prefix": f"{PRODUCT}/{item}", "hard": True})


ACTS: list[Callable[[RunningGateway, httpx.Client, int], httpx.Response]] = [_refresh, _change, _purge, _purge_below]


def test_nothing_older_than_what_was_answered_outlasts_kill_9(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    """Each process is killed at the moment after an answer; the second knows of what it replaces from disk alone."""
    route = product_route(match={"path": f"{PRODUCT}/{{id}}", "methods": ["GET", "HEAD", "POST", "PUT"]})
    running = gateway(warm(upstream) | {"routes": [route]})
    some, others, rest = (range(start, start + len(ACTS)) for start in (10, 20, 30))
    before = [counts(running, items) for items in (some, others, rest)]
    on_disk(running, 3 * len(ACTS))
    for acts, items in ((ACTS, some), (ACTS[::-1], others)):
        client = running.client(key_field())
        for act, item in zip(acts, items, strict=True):
            assert act(running, client, item).status_code == 200
        running.kill9()
        running.start()
    after = [counts(running, items) for items in (some, others, rest)]
    assert after[2] == before[2]
    assert all(new > old for replaced in (0, 1) for new, old in zip(after[replaced], before[replaced], strict=True))


def test_explain_tells_what_is_on_disk_and_the_survey_what_is_in_memory(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    running = gateway(warm(upstream))
    counts(running, range(1))
    on_disk(running, 1)
    running.restart()
    told = httpx.post(
        f"{running.admin_url}/-/explain",
        json={"url": f"{PRODUCT}/0", "account": "alpha"},
    )
    assert told.status_code == 200, told.text
    assert told.json()["verdict"]["decision"] == "reuse"
    assert httpx.get(f"{running.admin_url}/-/stored").json()["stored"] == []
    counts(running, range(1))
    assert len(httpx.get(f"{running.admin_url}/-/stored").json()["stored"]) == 1


def test_turning_it_off_leaves_no_file_behind(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(warm(upstream))
    counts(running, range(1))
    assert (running.folder / FILE).exists()
    running.stop()
    running.path.write_text(running.path.read_text().replace("  disk: 64MiB\n", ""))
    running.start()
    assert not list((running.folder / "var").glob("responses*"))


def test_losing_the_file_costs_hits_and_no_money(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(warm(upstream))
    counts(running, range(3))
    on_disk(running, 3)
    running.kill9()
    (running.folder / FILE).write_bytes(b"no database at all" * 1000)
    running.start()
    assert running.metrics().value("gateway_stored_disk_responses") == 0
    assert running.client(key_field()).get(f"{PRODUCT}/1").headers["X-Tokens-Consumed"] == "1"
    on_disk(running, 1)
    assert running.log.count("made anew") == 1


def test_a_disk_that_is_full_is_told_once_and_a_refresh_still_outlasts_kill_9(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    """Notes that cannot be written leave the next process nothing to trust. Public, as the journal is full too."""
    path = "/open/1"
    upstream.script(path, numbered)
    route: Config = {"name": "open", "match": {"path": "/open/{id}"}, "access": "public", "cache": {"ttl": "15m"}}
    running = gateway(warm(upstream) | {"routes": [route]})
    client = running.client()
    before = client.get(path).json()["call"]
    on_disk(running, 1)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    assert httpx.post(f"{running.admin_url}/-/purge", json={"everything": True, "hard": True}).status_code == 200
    for number in range(5):
        assert client.get(f"/open/more-{number}").status_code == 200
    running.kill9()
    running.start()
    assert running.client().get(path).json()["call"] > before
