"""Every figure that the page shows is the one that /metrics and the ledger have, after known traffic."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from browser.staged import ROUNDS, SHORT, TABLES, Staged, filled
from support.browser import Browser, Cells, eventually
from support.gateway import ROOT, Samples

pytestmark = pytest.mark.slow

REUSED = ("hit", "stale")


@dataclass(frozen=True)
class Shown:
    """What the page showed, and what /metrics said then."""

    figures: Mapping[str, float | None]
    tables: Mapping[str, Mapping[str, Cells]]
    metrics: Samples
    stage: Staged


@pytest.fixture(scope="module")
def shown(browser: Browser, stage: Staged) -> Iterator[Shown]:
    with browser.page() as page:
        page.open(stage.url)
        eventually(lambda: filled(page))
        tables = {table: page.rows(table) for table in TABLES}
        yield Shown(page.figures(), tables, stage.running.metrics(), stage)


def ledger(stage: Staged, by: str) -> dict[str, Any]:
    """What `gateway usage` says, by name."""
    running = stage.running
    command = [sys.executable, "-m", "gateway", "usage", "--by", by, "--format", "json", *running.options]
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "GATEWAY_LISTEN": f"127.0.0.1:{running.port}",
        "GATEWAY_ADMIN": f"127.0.0.1:{running.admin_port}",
    }
    printed = subprocess.run(command, cwd=running.folder, env=environ, capture_output=True, text=True, timeout=60)
    assert printed.returncode == 0, printed.stderr
    return {row[by]: row for row in json.loads(printed.stdout)["rows"]}


def lookups(metrics: Samples, **labels: str) -> float:
    """Requests that a cache could have answered."""
    name = "gateway_requests_total"
    return metrics.total(name, **labels) - metrics.total(name, cache="pass", **labels)


def hit_ratio(metrics: Samples, **labels: str) -> float:
    return sum(metrics.total("gateway_requests_total", cache=how, **labels) for how in REUSED) / lookups(
        metrics, **labels
    )


def failed(metrics: Samples, **labels: str) -> float:
    """Upstream calls that ended with 5xx, or without an answer."""
    counted = [
        (dict(found), value) for (name, found), value in metrics.items() if name == "gateway_upstream_requests_total"
    ]
    matching = [(found["code"], value) for found, value in counted if labels.items() <= found.items()]
    return sum(value for code, value in matching if not code.isdigit() or code >= "500")


def figures_of(metrics: Samples) -> dict[str, float]:
    return {
        "hit_ratio": hit_ratio(metrics),
        "requests": metrics.total("gateway_requests_total"),
        "saved_upstream_calls": metrics.total("gateway_upstream_calls_saved_total"),
        "saved_tokens": metrics.total("gateway_tokens_saved_total"),
        "tokens_charged": metrics.total("gateway_tokens_charged_total"),
        "upstream_calls": metrics.total("gateway_upstream_requests_total"),
        "upstream_failed": failed(metrics),
        "collapsed": metrics.total("gateway_collapsed_requests_total"),
        "refused": metrics.total("gateway_refusals_total"),
        "stored_responses": metrics.value("gateway_stored_responses"),
        "stored_bytes": metrics.value("gateway_stored_bytes"),
        "in_flight": metrics.value("gateway_fetches_in_flight"),
    }


def test_the_totals_are_those_of_metrics(shown: Shown) -> None:
    expected = figures_of(shown.metrics)
    assert {name: shown.figures[name] for name in expected} == pytest.approx(expected)


def test_what_the_cache_saved_is_what_the_upstream_was_not_asked_for(shown: Shown) -> None:
    """By hand: of each round three hits and one that joined, at a token each, and of `short` all but the first."""
    usual, short = ROUNDS * 4, shown.metrics.total("gateway_requests_total", route="short") - 1
    saved = shown.figures["saved_upstream_calls"], shown.figures["saved_tokens"]
    assert saved == (usual + short, usual + SHORT * short)


def test_each_route_is_as_metrics_have_it(shown: Shown) -> None:
    metrics, rows = shown.metrics, shown.tables["#routes table"]
    counted = {dict(labels)["route"] for name, labels in metrics if name == "gateway_requests_total"}
    assert counted <= rows.keys()
    for route, cells in rows.items():
        assert float(cells["requests"]) == metrics.total("gateway_requests_total", route=route), route
        assert float(cells["tokens_charged"]) == metrics.total("gateway_tokens_charged_total", route=route), route
        assert float(cells["refused"]) == metrics.total("gateway_refusals_total", route=route), route
        assert float(cells["saved_upstream_calls"]) == metrics.total("gateway_upstream_calls_saved_total", route=route)
        if lookups(metrics, route=route):
            assert float(cells["hit_ratio"]) == pytest.approx(hit_ratio(metrics, route=route)), route


def test_each_upstream_is_as_metrics_have_it(shown: Shown) -> None:
    metrics, rows = shown.metrics, shown.tables["#upstreams table"]
    assert rows.keys() == {"api", "down", "orders"}
    for upstream, cells in rows.items():
        assert float(cells["calls"]) == metrics.total("gateway_upstream_requests_total", upstream=upstream)
        assert float(cells["failed"]) == failed(metrics, upstream=upstream)


@pytest.mark.parametrize(("table", "by"), [("#organizations table", "organization"), ("#spenders table", "key")])
def test_tokens_are_those_of_the_ledger(shown: Shown, table: str, by: str) -> None:
    rows, booked = shown.tables[table], ledger(shown.stage, by)
    assert {name: (int(cells["tokens"]), int(cells["requests"])) for name, cells in rows.items()} == {
        name: (row["tokens"], row["requests"]) for name, row in booked.items()
    }
    assert len(rows) > 1


def test_who_is_nearest_the_quota_comes_first(shown: Shown) -> None:
    rows = shown.tables["#nearest table"]
    assert next(iter(rows)) == "bravo"
    assert float(rows["bravo"]["used"]) == 0.8
    told = {one["account"]: one["used"] for one in shown.stage.told("quotas")["accounts"]}
    assert {name: float(cells["used"]) for name, cells in rows.items()} == told


def test_stored_responses_by_route(shown: Shown) -> None:
    rows = shown.tables["#stored table"]
    assert sum(float(cells["responses"]) for cells in rows.values()) == shown.metrics.value("gateway_stored_responses")
    for route, cells in rows.items():
        parts = [float(cells[name]) for name in ("fresh", "stale", "outdated")]
        assert sum(parts) == float(cells["responses"]), route
    assert float(rows["orders"]["responses"]) == len(shown.stage.told("stored", route="orders")["stored"])


def test_the_refresh_job_and_what_it_has_come_to(shown: Shown) -> None:
    cells = shown.tables["#refreshes table"][shown.stage.job]
    assert cells["state"] == "done"


def test_refusals_are_told_with_their_reasons(shown: Shown) -> None:
    rows, metrics = shown.tables["#refusals table"], shown.metrics
    told = Counter((cells["route"], cells["reason"]) for cells in rows.values())
    counted = [(dict(labels), count) for (name, labels), count in metrics.items() if name == "gateway_refusals_total"]
    assert told == {(labels["route"], labels["reason"]): count for labels, count in counted}
