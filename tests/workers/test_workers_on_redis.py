"""`gateway serve --workers` as it is typed: one balance, one cache and one admin port over all workers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from support.addresses import HOST, free_port
from support.answers import cache_status, tokens
from support.config import KEY, config, key_field, plan, route
from support.processes import Printing, Process
from support.running_fleet import shared
from support.upstream import ScriptedUpstream
from workers.running import RunningWorkers

pytestmark = pytest.mark.slow


class Typed(RunningWorkers):
    """The command itself."""

    def spawn(self) -> Process:
        with self.log_path.open("ab") as log:
            arguments = ["serve", "--workers", str(self.workers), *self.options]
            return self._run("gateway", arguments, self.folder, self.environ, Printing(log, log))


def test_without_redis_the_bad_start_of_all_is_told_once(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    store = {"kind": "redis", "url": f"redis://{HOST}:{free_port()}/0", "path": "var"}
    whole = config(upstream.url, route("/{rest:.*}", "all"), store=store)
    refused = Typed(tmp_path, whole, 3).refused()
    told = [line for line in refused.output.splitlines() if line.startswith("gateway: ")]
    assert (refused.status, len(told)) == (2, 1)
    assert "it refuses connections" in told[0]


def test_workers_share_what_is_in_redis(tmp_path: Path, upstream: ScriptedUpstream, redis_url: str) -> None:
    whole = config(
        upstream.url,
        route("/{rest:.*}", "all", price=1, cache={"ttl": "15m"}),
        keys=[{"id": "alpha", "key": KEY, "plan": "pro"}],
        plans={"pro": plan(1000)},
        store=shared(redis_url),
    )
    workers = Typed(tmp_path, whole)
    with workers:

        def ask(_: int) -> httpx.Response:
            return httpx.get(f"{workers.url}/thing", headers=key_field(), trust_env=False)

        with ThreadPoolExecutor(4) as threads:
            answers = [*threads.map(ask, range(40))]
        assert {tokens(answer)[0] for answer in answers} == {1}
        assert sorted(tokens(answer)[1] for answer in answers) == [*range(960, 1000)]
        # Of both, by the first part of their ids.
        assert len({answer.headers["X-Request-Id"].partition("-")[0] for answer in answers}) == 2
        assert len(upstream.calls("/thing")) == 1

        counted = workers.metrics()
        assert counted.value("gateway_tokens_charged_total", route="all", reason="lookup") == 40
        assert (counted.total("gateway_requests_total"), counted.value("gateway_store_up")) == (40, 1)

        assert workers.admin("POST", "/-/purge", {"everything": True, "hard": True})[0] == 200
        again = [ask(number) for number in range(16)]
        fetched = [answer for answer in again if cache_status(answer.headers["Cache-Status"]).fwd is not None]
        assert (len(fetched), len(upstream.calls("/thing"))) == (1, 2)
