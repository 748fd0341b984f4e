"""The gateway itself: bench/config.yaml filled in, `gateway serve` with it, and what it says of the books."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from string import Template

import yaml

from bench.load import POOR_KEY, key
from bench.peers.place import Place
from bench.processes import HOST, SERVER_CORE, Server, free_port, pinned, running
from bench.settings import GATEWAY

_CONFIG = Path(__file__).parents[1] / "config.yaml"
_START = 120.0


def configured(place: Place, redis: str = "") -> Server:
    """The gateway that is to run at `place`: its ports, and its config, which is written; `redis` is a store's URL."""
    port, admin = free_port(), free_port()
    words = {
        "LISTEN": f"{HOST}:{port}",
        "ADMIN": f"{HOST}:{admin}",
        "UPSTREAM": f"http://{place.upstream}",
        "STORE": str(place.folder / "store"),
        "MEMORY": place.store,
    }
    config = yaml.safe_load(Template(_CONFIG.read_text()).substitute(words))
    if redis:
        # It shares its core with the load: what is late there is to be measured, not refused.
        config["store"] |= {"kind": "redis", "url": redis, "timeout": "1s"}
    config["keys"] = [{"id": key(n), "organization": "bench", "key": key(n)} for n in range(place.keys)]
    config["keys"].append({"id": "poor", "organization": "poor", "key": POOR_KEY})
    path = place.folder / "config.yaml"
    path.write_text(json.dumps(config))  # which is YAML
    return Server(GATEWAY, port, 0, admin, path)


@contextmanager
def launched(
    server: Server, *command: str, patience: float = _START, cores: str = str(SERVER_CORE)
) -> Iterator[Server]:
    """Python's `command`, `gateway serve` unless it says something else, as the process of `server`, on `cores`."""
    words = command or ("-m", "gateway", "serve", "--config", str(server.config))
    with running(pinned(cores, sys.executable, *words), server.port, patience=patience) as process:
        yield replace(server, pid=process.pid)


@contextmanager
def gateway(place: Place) -> Iterator[Server]:
    """One that is empty."""
    with launched(configured(place)) as server:
        yield server


def spent(server: Server, keys: int) -> int:
    """What is missing of all grants to the first `keys` API keys and the poor one."""
    connection = HTTPConnection(HOST, server.port, timeout=60)
    try:
        return sum(_spent(connection, secret) for secret in (*map(key, range(keys)), POOR_KEY))
    finally:
        connection.close()


def _spent(connection: HTTPConnection, secret: str) -> int:
    connection.request("GET", "/-/balance", headers={"Authorization": f"Bearer {secret}"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    assert answer.status == 200, told
    assert told["reserved"] == 0, told
    return int(told["granted"]) - int(told["balance"])


def charged(server: Server) -> int:
    """Tokens that it has charged since its start."""
    return int(server.metric("gateway_tokens_charged_total"))
