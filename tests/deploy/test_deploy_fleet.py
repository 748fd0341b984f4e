"""What Compose starts as a fleet: contained, of files that fit one another; its balancer outlives a node."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from deploy.dockerfile import stages
from support.addresses import HOST, free_port
from support.answers import status_of
from support.config import KEY, config, product_route
from support.gateway import ROOT
from support.polling import eventually
from support.redis_server import RedisServer
from support.running_fleet import Node, fleet, shared
from support.scripts import json_answer
from support.tools import skip_unless_tool
from support.upstream import ScriptedUpstream

from gateway import __version__
from gateway.config.load import loaded
from gateway.config.units import parse_duration

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.fleet.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
NODES = {name: SERVICES[name] for name in ("one", "two")}
BALANCER, REDIS = SERVICES["balancer"], SERVICES["redis"]
HAPROXY = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
CALLS = {"Authorization": f"Bearer {KEY}"}

services = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
nodes = pytest.mark.parametrize("node", NODES.values(), ids=NODES)


def haproxy() -> str:
    """The program, which Debian has where only root looks."""
    return skip_unless_tool(shutil.which("haproxy") or "/usr/sbin/haproxy")


# The files


@pytest.mark.slow
def test_compose_takes_it() -> None:
    command = [skip_unless_tool("docker-compose"), "-f", "compose.fleet.yaml", "config", "--quiet"]
    done = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@services
def test_a_service_is_contained(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)


@services
def test_an_image_is_pinned(service: dict[str, Any]) -> None:
    name, _, tag = service["image"].partition(":")
    assert name
    assert len(tag.split(".")) == 3


@services
def test_what_a_service_mounts_and_keeps_is_there(service: dict[str, Any]) -> None:
    volumes = [volume.split(":") for volume in service["volumes"]]
    assert all((DEPLOY / source).exists() for source, *_ in volumes if source.startswith("."))
    assert {source for source, *_ in volumes if not source.startswith(".")} <= set(COMPOSE["volumes"])
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])


def test_only_the_balancer_is_published_and_only_to_this_machine() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"balancer"}
    assert BALANCER["ports"] == ["127.0.0.1:8080:8080"]


def test_redis_is_reached_by_the_gateways_alone_and_by_a_password() -> None:
    assert COMPOSE["networks"]["keeping"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "keeping" in service["networks"]} == {"redis", *NODES}
    command = REDIS["command"][-1]
    assert '--requirepass "$$(cat /run/secrets/redis_password)"' in command
    assert "--appendonly yes" in command
    assert "--maxmemory-policy volatile-lru" in command
    memory = int(re.findall(r"--maxmemory (\d)gb", command)[0])
    assert memory < int(REDIS["mem_limit"].removesuffix("g"))


@nodes
def test_a_node_takes_its_config(node: dict[str, Any], tmp_path: Path) -> None:
    """With the secrets where they are for this test; the folder is the container's working folder."""
    assert node["image"] == f"gateway:{__version__}"
    source, target, mode = node["volumes"][0].split(":")
    assert (target, mode) == (node["working_dir"], "ro")
    text = (DEPLOY / source / "config.yaml").read_text()
    for name in node["secrets"]:
        assert f"${{file:/run/secrets/{name}}}" in text
        (tmp_path / name).write_text(f"{name} of some length\n")
    (tmp_path / "config.yaml").write_text(text.replace("/run/secrets/", f"{tmp_path}/"))
    found = loaded(tmp_path / "config.yaml", node["environment"])
    assert found.warnings == ()
    store = found.config.store
    assert (store.kind, store.url, store.password) == ("redis", "redis://redis:6379/0", "redis_password of some length")
    assert str(store.path) == stages(ROOT / "Dockerfile")[-1].only("VOLUME").rest
    own = node["volumes"][1].partition(":")
    assert own[2] == str(store.path)
    assert sum(own[0] in other["volumes"][1] for other in NODES.values()) == 1


def test_the_balancer_waits_longer_than_a_node_does() -> None:
    def balancer(name: str) -> float:
        return parse_duration(re.findall(rf"^ *timeout {name} (\S+)$", HAPROXY, re.MULTILINE)[0])

    longest = 60.0  # the default of upstreams.*.timeout.total
    for node in NODES.values():
        assert longest < parse_duration(node["stop_grace_period"]) < balancer("server")
    assert re.findall(r"^ *server \w+ (\w+:\d+)$", HAPROXY, re.MULTILINE) == [f"{name}:8080" for name in NODES]


@pytest.mark.slow
def test_haproxy_takes_its_config(tmp_path: Path) -> None:
    # Its names are those of containers, which it need not find.
    done = subprocess.run(
        [haproxy(), "-c", "-f", str(DEPLOY / "haproxy" / "haproxy.cfg")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# What runs


@contextmanager
def balanced(folder: Path, running: list[Node]) -> Iterator[str]:
    """HAProxy by the config that is shipped, before these nodes; its URL."""
    port = free_port()
    text = HAPROXY.replace("bind :8080", f"bind {HOST}:{port}")
    text = re.sub(r"resolvers docker\n(?:    .*\n)+", "", text).replace(" resolvers docker init-addr libc,none", "")
    for name, node in zip(NODES, running, strict=True):
        text = text.replace(f"{name}:8080", f"{HOST}:{node.port}")
    (folder / "haproxy.cfg").write_text(text)
    log = folder / "haproxy.log"
    with log.open("wb") as out:
        process = subprocess.Popen([haproxy(), "-db", "-f", str(folder / "haproxy.cfg")], stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://{HOST}:{port}") as client:
            eventually(lambda: _ready(client, process, log))
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return client.get("/-/readyz").status_code == 200
    except httpx.TransportError:
        return False


def answered(node: Node) -> float:
    """Requests that this node has answered."""
    return node.metrics().total("gateway_requests_total", route="product")


@pytest.mark.slow
def test_requests_are_spread_and_a_node_may_die_and_come_back(
    origin: ScriptedUpstream, redis_server: RedisServer, tmp_path: Path
) -> None:
    for number in range(3):
        origin.script(f"/v1/products/1000000000{number}", json_answer({"asin": f"1000000000{number}"}))
    whole = config(origin.url, product_route(), store=shared(redis_server.empty_database()))
    with (
        fleet(tmp_path / "nodes", 2, whole) as (one, two),
        balanced(tmp_path, [one, two]) as url,
        httpx.Client(base_url=url, headers=CALLS, timeout=20) as client,
    ):

        def asked(times: int) -> list[int]:
            return [client.get(f"/v1/products/1000000000{number % 3}").status_code for number in range(times)]

        assert asked(40) == [200] * 40
        assert min(answered(one), answered(two)) > 0
        assert [len(origin.calls(f"/v1/products/1000000000{number}")) for number in range(3)] == [1, 1, 1]
        assert status_of(client.get("/v1/products/10000000000")).hit
        two.kill9()
        # Nothing of these was on its way to the node that died.
        assert asked(40) == [200] * 40
        two.start()
        before = answered(two)
        eventually(lambda: asked(4) == [200] * 4 and answered(two) > before)
