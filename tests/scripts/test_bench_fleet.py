"""The benchmark's fleet: what a round on Redis took, and what workers carry by it."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from support.tools import skip_unless_tool

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ASKED = 20


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def fleet() -> Any:
    return importlib.import_module("bench.parts.fleet")


def test_a_round_is_told_by_each_answer(fleet: Any) -> None:
    skip_unless_tool("redis-server")
    load, peers, redis = (importlib.import_module(f"bench.{name}") for name in ("load", "peers", "redis_server"))

    def asked(server: Any) -> Any:
        for _ in range(ASKED):
            assert server.get(load.target(0), load.key(0)).status == 200
        return load.Measured(ASKED, 0.0, 1.0, 1.0, 1.0, 1.0)

    with peers.source() as source, redis.redis_server() as store, fleet._gateway(source, "on Redis", store) as server:
        asked(server)
        taken = fleet._taken(store, lambda: asked(server))
        assert load.calls(source) == 1
    # Each hit is a call by itself where nobody else asks; records are read besides.
    assert taken.calls >= 1
    assert taken.received > 100
    assert taken.sent > 10


@pytest.mark.parametrize(
    ("gateway", "redis", "workers", "carried"),
    [
        pytest.param(20.0, 5.0, 1, 50_000, id="one worker's core is the bound"),
        pytest.param(20.0, 5.0, 2, 100_000, id="two workers' are"),
        pytest.param(20.0, 16.0, 2, 62_500, id="Redis's is"),
    ],
)
def test_workers_carry_what_their_cores_do_or_redis_does(
    fleet: Any, gateway: float, redis: float, workers: int, carried: float
) -> None:
    taken = fleet.Taken(1.0, 1.0, 1.0, gateway, redis, 10.0, 1.0, 1.0, 1.0)
    assert fleet._carried(taken, workers) == pytest.approx(carried)
