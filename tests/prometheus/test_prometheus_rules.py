"""The files beside the gateway for Prometheus and Grafana: valid, tested by promtool, and about metrics that exist."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.gateway import ROOT
from support.in_process import no_gauges
from support.tools import skip_unless_tool

from gateway.gauges import OnDisk
from gateway.metrics import Metrics

pytestmark = pytest.mark.slow

FOLDER = ROOT / "docs" / "prometheus"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())
ALERTS: dict[str, Any] = {
    rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule
}
RECORDED = {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}

alerts = pytest.mark.parametrize("name", sorted(ALERTS))


def promtool(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [skip_unless_tool("promtool"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def failing(folder: Path, change: Callable[[Any], object]) -> set[str]:
    """The alerts whose tests fail once every alert is changed."""
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule):
        change(rule)
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    (folder / "alerts_test.yml").write_text((FOLDER / "alerts_test.yml").read_text())
    return set(re.findall(r"alertname: (\w+)", promtool("test", "rules", "alerts_test.yml", cwd=folder).stderr))


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("check", "config", "--lint-fatal", "docs/prometheus/prometheus.yml"), id="config"),
        pytest.param(("check", "rules", "--lint=all", "--lint-fatal", "docs/prometheus/alerts.yml"), id="rules"),
        pytest.param(("test", "rules", "docs/prometheus/alerts_test.yml"), id="alerts"),
    ],
)
def test_promtool_has_nothing_to_say(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_an_alert_that_never_fires_is_found(tmp_path: Path) -> None:
    assert failing(tmp_path, lambda rule: rule.update(expr="vector(0) > 1")) == set(ALERTS)


@pytest.mark.slow
def test_an_alert_that_always_fires_is_found(tmp_path: Path) -> None:
    assert failing(tmp_path, lambda rule: rule.update(expr="vector(1)")) == set(ALERTS)


@pytest.mark.slow
def test_an_alert_that_does_not_wait_is_found(tmp_path: Path) -> None:
    waiting = {name for name, rule in ALERTS.items() if "for" in rule}
    assert failing(tmp_path, lambda rule: rule.pop("for", None)) == waiting


@alerts
def test_an_alert_says_what_it_is_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"


def sections() -> list[str]:
    """The headings under "Alerts" in the operators' page."""
    page = (ROOT / "docs" / "operations.md").read_text()
    return re.findall(r"^### (.+)$", page.partition("\n## Alerts\n")[2].partition("\n## ")[0], re.MULTILINE)


def test_every_alert_has_its_section_and_every_section_an_alert() -> None:
    assert sections() == list(ALERTS)


def known(disk: OnDisk | None = None) -> set[str]:
    """The names of all series that a gateway has, with `store.disk` or without, or that are recorded from them."""
    # Without TLS there is nothing to tell of a certificate.
    metrics = Metrics(replace(no_gauges(), certificate_expires=lambda: 0.0, disk=lambda: disk), "0")
    families = {family.name: family.type for family in metrics._registry.collect()}
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
    names = {name + suffix for name, kind in families.items() for suffix in suffixes.get(kind, [""])}
    return names | RECORDED | {"up"}


def dashboard() -> Any:
    return json.loads((FOLDER / "dashboard.json").read_text())


def expressions() -> Iterator[str]:
    for rule in ALERTS.values():
        yield rule["expr"]
    for rule in (rule for group in RULES["groups"] for rule in group["rules"]):
        yield rule["expr"]
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def test_every_metric_that_is_asked_for_exists() -> None:
    asked = {name for text in expressions() for name in re.findall(r"\b(?:up|(?:gateway|process)[_:][\w:]+)\b", text)}
    assert asked - known(OnDisk(0, 0, 0, up=True)) == set()


def test_every_metric_of_the_gateway_is_on_the_dashboard() -> None:
    text = "".join(target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", []))
    # Of histograms the buckets say more than sum and count.
    names = {re.sub("_(sum|count)$", "_bucket", name) for name in known() if name.startswith("gateway_")}
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


def test_the_dashboard_needs_no_more_than_a_prometheus() -> None:
    whole = dashboard()
    panels = whole["panels"]
    assert {panel["type"] for panel in panels} == {"row", "stat", "timeseries"}
    assert len({panel["id"] for panel in panels}) == len(panels)
    shown = [panel for panel in panels if panel["type"] != "row"]
    assert {one["datasource"]["uid"] for panel in shown for one in [panel, *panel["targets"]]} == {"${datasource}"}
    variables = {variable["name"] for variable in whole["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", "".join(expressions()))) - {"__rate_interval"}
    assert used | {"datasource"} == variables


def test_no_panel_lies_over_another() -> None:
    taken = set[tuple[int, int]]()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
