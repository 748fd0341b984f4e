"""The overview over real sockets: the metrics' own numbers, and how things stand."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from admin.operated import operated
from admission.snapshots import make_snapshot, public_route, seed_route
from support.clock import FakeClock
from support.in_process import no_gauges

from gateway import __version__
from gateway.admin.overview import OverviewApi
from gateway.admission.breaker import State
from gateway.admission.prepare import Preparer
from gateway.config.errors import ConfigError
from gateway.errors import Reason
from gateway.gauges import Gauges
from gateway.health import Health
from gateway.metrics import Metrics
from gateway.reload import ReloadStatus
from gateway.upstreams.circuit import UpstreamState

MISTAKE = ConfigError("config.yaml", 3, 5, "unknown key `pan`")


@dataclass
class Reloads:
    status: ReloadStatus

    async def reload(self) -> ReloadStatus:
        raise NotImplementedError


@dataclass
class Doors:
    health: Health

    @property
    def ready(self) -> bool:
        return not self.failing()

    def failing(self) -> list[str]:
        return self.health.failing()


@dataclass
class Watched:
    """A gateway of two routes and an upstream that is half-open; `looked` counts looks through the accounts."""

    clock: FakeClock = field(default_factory=FakeClock)
    looked: int = 0

    def __post_init__(self) -> None:
        self.metrics = Metrics(self._gauges(), "0")
        self.health = Health({"ledger": lambda: False})

    def _gauges(self) -> Gauges:
        return replace(
            no_gauges(),
            stored_responses=lambda: 3,
            stored_bytes=lambda: 4096,
            evictions=lambda: 7,
            disk=lambda: None,
            fetches_in_flight=lambda: 2,
            log_lines_dropped=lambda: 9,
            store_up=lambda: False,
            accounts_above=self._above,
            ledger_drift=self._drift,
            tokens_charged=lambda: {("product", "lookup"): 12},
            tokens_released=lambda: {"product": 6},
        )

    async def _above(self, percents: Sequence[int]) -> dict[int, int]:
        self.looked += 1
        return {percent: 100 - percent for percent in percents}

    async def _drift(self) -> int:
        return 5

    async def counted(self) -> Metrics:
        return self.metrics

    def api(self) -> OverviewApi:
        now = self.clock.wall()
        preparer = Preparer(make_snapshot(seed_route(), public_route()))
        state = UpstreamState(State.half_open, 1.0, 3, 0, 1)
        return OverviewApi(
            metrics=self.counted,
            doors=Doors(self.health),
            reloads=Reloads(ReloadStatus(now - 60, now - 1, ok=False, errors=(MISTAKE,), warnings=(MISTAKE, MISTAKE))),
            preparer=lambda: preparer,
            state=lambda name: state if name == "api" else None,
            limit=lambda: 1 << 20,
            started=now - 3600,
            clock=self.clock,
        )

    async def tell(self) -> dict[str, Any]:
        async with operated(self.api().endpoints()) as door:
            answer = await door.client.get("/-/overview")
            assert answer.status_code == 200
            return dict(answer.json())


@pytest.fixture
def watched() -> Watched:
    return Watched()


NOTHING = {"hit": 0, "stale": 0, "validated": 0, "miss": 0, "refresh": 0, "collapsed": 0, "pass": 0}
NO_SECONDS = {"mean": None, "p50": None, "p99": None}


async def test_how_things_stand(watched: Watched) -> None:
    told = await watched.tell()
    assert {name: told[name] for name in ("at", "started_at", "version")} == {
        "at": "2026-01-15T12:00:00Z",
        "started_at": "2026-01-15T11:00:00Z",
        "version": __version__,
    }
    assert (told["ready"], told["failing"], told["store_up"]) == (False, ["serving", "ledger"], False)
    assert (told["drift"], told["accounts_above"]) == (5, {"80": 20, "95": 5, "100": 0})
    assert (told["in_flight"], told["log_lines_dropped"]) == (2, 9)
    assert told["stored"] == {"responses": 3, "bytes": 4096, "limit": 1 << 20, "evictions": 7}
    assert told["config"] == {
        "ok": False,
        "loaded_at": "2026-01-15T11:59:00Z",
        "attempted_at": "2026-01-15T11:59:59Z",
        "mistakes": 1,
        "warnings": 2,
    }


async def test_before_any_request(watched: Watched) -> None:
    watched.metrics.gauges = no_gauges()
    told = await watched.tell()
    nothing = {"requests": 0, "cache": NOTHING, "refused": 0, "collapsed": 0, "tokens_charged": 0, "tokens_released": 0}
    assert (told["totals"], told["hit_ratio"]) == (nothing, None)
    assert [route["route"] for route in told["routes"]] == ["open", "product"]
    assert (told["routes"][0]["counted"], told["routes"][0]["seconds"]) == (nothing, NO_SECONDS)
    (upstream,) = told["upstreams"]
    assert (upstream["upstream"], upstream["state"], upstream["up"]) == ("api", "half_open", False)
    assert (upstream["calls"], upstream["seconds"]) == (0, NO_SECONDS)
    assert (told["refreshes"], told["refusals"]) == ([], {})


async def test_what_was_counted(watched: Watched) -> None:
    metrics = watched.metrics
    metrics.hits("product", 200, 6).count(3, 0.0003)
    metrics.request("product", 200, "miss", 0.3)
    metrics.request("", 404, "pass", 0.001)
    metrics.refusal("", Reason.no_route)
    metrics.collapsed("product")
    metrics.not_stored("product", "no_store")
    metrics.refresh("product", "foreground", "delivered")
    for name, code in (("api", "200"), ("api", "503"), ("api", "refused"), ("gone", "200")):
        metrics.upstream(name, code, 0.05)
    metrics.retry("api")
    told = await watched.tell()
    counted = {
        "requests": 4,
        "cache": NOTHING | {"hit": 3, "miss": 1},
        "refused": 0,
        "collapsed": 1,
        "tokens_charged": 12,
        "tokens_released": 6,
    }
    assert [route["route"] for route in told["routes"]] == ["product", "", "open"]
    product = told["routes"][0]
    seconds = product.pop("seconds")
    assert product == {
        "route": "product",
        "counted": counted,
        "hit_ratio": 0.75,
        "saved": {"upstream_calls": 3, "tokens": 18},
        "not_stored": {"no_store": 1},
    }
    assert seconds["mean"] == pytest.approx((0.3 + 3 * 0.0003) / 4)
    assert (seconds["p50"], seconds["p99"]) == (pytest.approx(0.0005 * 2 / 3), pytest.approx(0.49))
    assert told["totals"] == counted | {"requests": 5, "cache": counted["cache"] | {"pass": 1}, "refused": 1}  # type: ignore[operator]
    assert (told["hit_ratio"], told["saved"]) == (0.75, product["saved"])
    api, gone = told["upstreams"]
    assert (api["calls"], api["failed"], api["retries"]) == (3, 2, 1)
    assert api["codes"] == {"200": 1, "503": 1, "refused": 1}
    assert api["seconds"]["mean"] == pytest.approx(0.05)
    assert (gone["upstream"], gone["state"], gone["up"], gone["calls"]) == ("gone", None, None, 1)
    assert told["refreshes"] == [{"route": "product", "kind": "foreground", "outcome": "delivered", "count": 1}]
    assert told["refusals"] == {"no_route": 1}


async def test_the_accounts_are_looked_through_every_five_seconds_at_most(watched: Watched) -> None:
    async with operated(watched.api().endpoints()) as door:
        for seconds, looked in ((0, 1), (4.9, 1), (0.1, 2), (1, 2)):
            watched.clock.advance(seconds)
            assert (await door.client.get("/-/overview")).status_code == 200
            assert watched.looked == looked


async def test_a_parameter_is_refused(watched: Watched) -> None:
    async with operated(watched.api().endpoints()) as door:
        assert (await door.client.get("/-/overview?after=1")).status_code == 400
