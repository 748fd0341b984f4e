"""A real Prometheus scrapes a real gateway: after known traffic every series, and every panel, is what it must be."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
import yaml
from prometheus.traffic import GAINED, Traffic, measured
from support.addresses import HOST
from support.families import FAMILIES
from support.gateway import ROOT, RunningGateway
from support.pages import fenced, section
from support.polling import PATIENCE, eventually
from support.prometheus import INTERVAL, RunningPrometheus, scraping
from support.scripts import answer
from support.tools import skip_unless_tool
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

ROUNDS = 3
SPENT = 8
RULES = ROOT / "docs" / "prometheus" / "alerts.yml"
PAGE = section("Prometheus", (ROOT / "docs" / "operations.md").read_text())
DASHBOARD = json.loads((RULES.parent / "dashboard.json").read_text())
PANELS = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
    # Those with TLS alone have one: `test_e2e_tls.py` scrapes it.
    if not target["expr"].startswith("gateway_tls_")
]
ANNOTATIONS = [one["expr"] for one in DASHBOARD["annotations"]["list"] if "expr" in one]

HISTOGRAMS = ("_duration_seconds", "_delay_seconds")
LABELS = {
    **{name: labels for name, labels in FAMILIES.items() if not name.endswith(HISTOGRAMS)},
    **{f"{name}_bucket": labels | {"le"} for name, labels in FAMILIES.items() if name.endswith(HISTOGRAMS)},
}

GAUGES = {
    "gateway_fetches_in_flight": 0,
    "gateway_upstream_up{upstream='api'}": 1,
    "gateway_accounts_above{percent='80'}": 1,
    "gateway_accounts_above{percent='95'}": 0,
    "gateway_accounts_above{percent='100'}": 0,
    "gateway_ledger_drift_tokens": 0,
    "gateway_store_up": 1,
    "gateway_config_last_reload_successful": 1,
    "gateway_log_lines_dropped_total": 0,
    "count(gateway_build_info{version!='', python!=''})": 1,
    "time() - gateway_config_last_reload_success_timestamp_seconds < bool 600": 1,
    "gateway_ledger_bytes > bool 0": 1,
    "gateway_stored_bytes > bool 600000": 1,
    "gateway_stored_bytes <= bool 1048576": 1,
    "gateway_stored_responses > bool 0": 1,
    "gateway_evictions_total > bool 0": 1,
    "gateway_loop_delay_seconds_count > bool 0": 1,
    "gateway_requests_total{route='short', code='200', cache='stale'}": 1,
}


@pytest.fixture(scope="module")
def running(origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("measured"), measured(origin)) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(
    running: RunningGateway, origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningPrometheus]:
    """One that has scraped before the traffic, in the middle, and all of it at the end."""
    config = scraping(f"{HOST}:{running.admin_port}", [RULES])
    with RunningPrometheus(tmp_path_factory.mktemp("prometheus"), config) as prometheus:
        traffic = Traffic(running, origin)
        for _ in range(ROUNDS):
            traffic.round()
            _seen(prometheus, running)
        traffic.stale()
        traffic.spend(SPENT)
        _seen(prometheus, running)
        yield prometheus


def _seen(prometheus: RunningPrometheus, running: RunningGateway) -> None:
    """Returns once Prometheus has every request that was answered so far."""
    total = running.metrics().total("gateway_requests_total")
    eventually(lambda: prometheus.value("sum(gateway_requests_total)") == total)


def test_the_target_is_up(prometheus: RunningPrometheus) -> None:
    target = prometheus.target()
    assert (target["health"], target["lastError"]) == ("up", "")
    assert prometheus.value("up{job='gateway'}") == 1


@pytest.mark.parametrize("series", GAINED)
def test_every_counter_has_what_the_traffic_adds(prometheus: RunningPrometheus, series: str) -> None:
    spent = SPENT if series == 'gateway_requests_total{route="pass", code="200", cache="pass"}' else 0
    spent += SPENT if series == 'gateway_tokens_charged_total{route="pass", reason="lookup"}' else 0
    assert prometheus.value(series) == ROUNDS * GAINED[series] + spent


@pytest.mark.parametrize("expression", GAUGES)
def test_every_gauge_is_right(prometheus: RunningPrometheus, expression: str) -> None:
    assert prometheus.value(expression) == GAUGES[expression]


def test_every_metric_is_there_with_its_labels_and_no_other(prometheus: RunningPrometheus) -> None:
    found: dict[str, set[str]] = {}
    for series in prometheus.get("series", **{"match[]": '{job="gateway",__name__=~"gateway_.+"}'}):
        name = re.sub("_(sum|count)$", "_bucket", series["__name__"])
        found.setdefault(name, set()).update(series.keys() - {"__name__", "job", "instance"})
    assert found == LABELS


@pytest.mark.parametrize("expression", PANELS)
def test_every_panel_shows_something(prometheus: RunningPrometheus, expression: str) -> None:
    assert prometheus.shows(_substituted(expression))


@pytest.mark.parametrize("expression", ANNOTATIONS)
def test_every_annotation_can_be_asked_for(prometheus: RunningPrometheus, expression: str) -> None:
    assert prometheus.query(_substituted(expression)) == {}


def _substituted(expression: str) -> str:
    """As Grafana asks with everything chosen; the traffic lies within the last hour."""
    return re.sub(r"\$(instance|route|upstream)", ".*", expression).replace("$__rate_interval", "1h")


def test_the_variables_of_the_dashboard_have_values(prometheus: RunningPrometheus) -> None:
    queries = [variable["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
    for series, label in (re.findall(r"\((\w+), (\w+)\)", query["query"])[0] for query in queries):
        assert prometheus.get(f"label/{label}/values", **{"match[]": series})


def test_every_rule_can_be_evaluated(prometheus: RunningPrometheus) -> None:
    def evaluated() -> list[dict[str, Any]] | None:
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = eventually(evaluated)
    assert rules
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}


def test_what_the_traffic_did_is_an_alert(prometheus: RunningPrometheus) -> None:
    firing = 'ALERTS{alertname="GatewayCredentialsRejected", alertstate="firing", route="pass"}'
    assert eventually(lambda: prometheus.value(firing)) == 1


def test_the_page_for_people_scrapes_and_asks(running: RunningGateway, tmp_path: Any) -> None:
    shown = yaml.safe_load(fenced("yaml", PAGE)[0])
    config = yaml.safe_load(yaml.safe_dump(shown).replace("127.0.0.1:9180", f"{HOST}:{running.admin_port}"))
    assert config != shown
    config["global"] = {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL}
    with RunningPrometheus(tmp_path, config) as prometheus:
        assert prometheus.target()["health"] == "up"
        for expression in re.findall(r"`([^`]*gateway_[^`]*[({=][^`]*)`", PAGE):
            prometheus.query(expression)


def _scraped(running: RunningGateway) -> bytes:
    """The text format, as a client without preference gets it."""
    with closing(HTTPConnection(HOST, running.admin_port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()


def test_promtool_has_nothing_to_say_of_the_metrics(prometheus: RunningPrometheus, running: RunningGateway) -> None:
    done = subprocess.run(
        [skip_unless_tool("promtool"), "check", "metrics"],
        input=_scraped(running),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_both_formats_say_the_same(
    prometheus: RunningPrometheus, running: RunningGateway, origin: ScriptedUpstream, tmp_path: Any
) -> None:
    text = _scraped(running)
    origin.script("/metrics", answer(text, Content_Type="text/plain; version=0.0.4; charset=utf-8"))
    counted = '{job="gateway", __name__=~"gateway_.+", __name__!~"gateway_(loop_delay|ledger_bytes).*"}'
    with RunningPrometheus(tmp_path, scraping(f"{HOST}:{origin.port}")) as other:
        assert other.target()["health"] == "up"
        eventually(lambda: other.query(counted) == prometheus.query(counted))
