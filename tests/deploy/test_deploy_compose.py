"""What Compose starts: contained, healthy by its own word, and of files that are there and fit one another."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.dockerfile import stages
from support.gateway import ROOT
from support.tools import skip_unless_tool

from gateway import __version__
from gateway.config.load import loaded
from gateway.config.units import parse_duration

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
GATEWAY, PROMETHEUS, GRAFANA = (SERVICES[name] for name in ("gateway", "prometheus", "grafana"))

services = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def mounted(service: dict[str, Any]) -> dict[str, Path]:
    """What of this checkout a service sees, by where."""
    mounts = [volume.split(":") for volume in service["volumes"] if volume.startswith(".")]
    assert all(options == ["ro"] for _, _, *options in mounts)
    return {target: DEPLOY / source for source, target, _ in mounts}


@pytest.mark.slow
def test_compose_takes_it() -> None:
    command = [skip_unless_tool("docker-compose"), "-f", "compose.yaml", "-f", "compose.page.yaml", "config", "--quiet"]
    done = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@services
def test_a_service_is_contained(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "user", "devices"} & set(service)


@services
def test_an_image_is_pinned(service: dict[str, Any]) -> None:
    name, _, tag = service["image"].partition(":")
    assert name
    assert len(tag.split(".")) == 3


def test_the_image_of_the_gateway_is_of_its_version() -> None:
    assert GATEWAY["image"] == f"gateway:{__version__}"
    assert (DEPLOY / GATEWAY["build"] / "Dockerfile").is_file()


@services
def test_only_this_machine_reaches_a_published_port(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_admin_port_is_published_by_the_other_file_alone() -> None:
    assert GATEWAY["ports"] == ["127.0.0.1:8080:8080"]
    assert GATEWAY["environment"] == {"GATEWAY_ADMIN": "0.0.0.0:9180"}
    page = yaml.safe_load((DEPLOY / "compose.page.yaml").read_text())
    assert page == {"services": {"gateway": {"ports": ["127.0.0.1:9180:9180"]}}}
    assert COMPOSE["networks"]["watching"] == {"internal": True}
    assert PROMETHEUS["networks"] == ["watching"]


@services
def test_what_a_service_mounts_and_keeps_is_there(service: dict[str, Any]) -> None:
    assert all(path.exists() for path in mounted(service).values())
    named = {volume.partition(":")[0] for volume in service["volumes"] if not volume.startswith(".")}
    assert len(named) == 1
    assert named <= set(COMPOSE["volumes"])
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


def test_every_service_says_whether_it_is_well() -> None:
    assert "healthcheck" not in GATEWAY
    assert len(stages(ROOT / "Dockerfile")[-1].all("HEALTHCHECK")) == 1
    assert PROMETHEUS["healthcheck"]["test"][-1] == "http://127.0.0.1:9090/-/ready"
    assert GRAFANA["healthcheck"]["test"][-1] == "http://127.0.0.1:3000/api/health"


def test_the_gateway_takes_its_config(tmp_path: Path) -> None:
    """With the secrets where they are for this test; the folder is the container's working folder."""
    (path,) = mounted(GATEWAY).values()
    assert mounted(GATEWAY) == {GATEWAY["working_dir"]: path}
    text = (path / "config.yaml").read_text()
    for name in GATEWAY["secrets"]:
        assert f"${{file:/run/secrets/{name}}}" in text
        (tmp_path / name).write_text(f"{name} of some length\n")
    (tmp_path / "config.yaml").write_text(text.replace("/run/secrets/", f"{tmp_path}/"))
    found = loaded(tmp_path / "config.yaml", GATEWAY["environment"])
    assert found.warnings == ()
    assert found.config.admin.token == "admin_token of some length"
    assert str(found.config.store.path) == stages(ROOT / "Dockerfile")[-1].only("VOLUME").rest
    assert any(volume == f"gateway:{found.config.store.path}" for volume in GATEWAY["volumes"])
    longest = max(upstream.timeout.total for upstream in found.config.upstreams.values())
    assert parse_duration(GATEWAY["stop_grace_period"]) > longest


@pytest.mark.slow
def test_promtool_takes_what_prometheus_sees(tmp_path: Path) -> None:
    for target, path in mounted(PROMETHEUS).items():
        assert Path(target).parent == Path("/etc/prometheus")
        (tmp_path / Path(target).name).write_bytes(path.read_bytes())
    command = [skip_unless_tool("promtool"), "check", "config", "--lint-fatal", "prometheus.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_the_admin_port_under_the_name_of_the_alerts() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job == {"job_name": "gateway", "static_configs": [{"targets": ["gateway:9180"]}]}
    beside = yaml.safe_load((ROOT / "docs" / "prometheus" / "prometheus.yml").read_text())
    assert {**config, "scrape_configs": None} == {**beside, "scrape_configs": None}


def test_grafana_has_the_dashboard_and_what_it_asks() -> None:
    seen = mounted(GRAFANA)
    (provider,) = yaml.safe_load((seen["/etc/grafana/provisioning/dashboards"] / "gateway.yaml").read_text())[
        "providers"
    ]
    shown = GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert str(Path(shown).parent) == provider["options"]["path"]
    dashboard = json.loads(seen[shown].read_text())
    folder = seen["/etc/grafana/provisioning/datasources"]
    (source,) = yaml.safe_load((folder / "prometheus.yaml").read_text())["datasources"]
    (asked,) = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
    # It begins with the default one of its kind, where it names none.
    assert asked["query"] == source["type"] == "prometheus"
    assert asked["current"].get("value", source["uid"]) == source["uid"]
    assert source["isDefault"] is True
    assert source["url"] == "http://prometheus:9090"
