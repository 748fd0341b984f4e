"""A gateway for all conformance tables, its routes side by side, and a scene of its own for each row."""

import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from conformance.exchange import Field, Scene
from support.config import KEY, Config, config, route
from support.gateway import RunningGateway
from support.polling import eventually
from support.upstream import ScriptedUpstream

PRICE: Config = {"base": 1, "force_refresh": 3}

ROUTES = [
    route("/pure/{rest:.*}", "pure", access="public", cache={}),
    route("/metered/{rest:.*}", "metered", cache={}, price=PRICE),
    route("/honouring/{rest:.*}", "honouring", cache={"client_directives": "honour"}, price=PRICE),
    route("/ignoring/{rest:.*}", "ignoring", access="public", cache={"client_directives": "ignore"}),
    route("/tagged/{id}", "tagged", access="public", cache={"tags": ["item:{id}"]}),
]

# One organization for each row that counts against a cap: two force refreshes a minute.
CAPPED = [f"rk_live_capped_{number:04}" for number in range(20)]
LIMITS: Config = {
    "keys": [
        {"id": "alpha", "key": KEY},
        *({"id": key.replace("_", "-"), "key": key, "organization": f"of-{key.replace('_', '-')}"} for key in CAPPED),
    ],
    "organizations": {f"of-{key.replace('_', '-')}": {"caps": {"force_refresh": "2/min"}} for key in CAPPED},
}

_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Some two thousand exchanges with a real gateway: not for the inner loop."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def conformance_origin() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def conformance_gateway(
    conformance_origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("conformance")
    with RunningGateway(folder, config(conformance_origin.url, *ROUTES, **LIMITS)) as running:
        yield running


def scene(gateway: RunningGateway, origin: ScriptedUpstream, prefix: str, *asks: Field) -> Scene:
    """A path below `prefix` that no other row uses."""
    path = f"{prefix}/{os.getpid()}-{next(_numbers)}"

    def settled() -> None:
        eventually(lambda: gateway.metrics().value("gateway_fetches_in_flight") == 0)

    return Scene(gateway.address, origin, path, time.time(), asks, settled)


@pytest.fixture
def pure(conformance_gateway: RunningGateway, conformance_origin: ScriptedUpstream) -> Scene:
    """A public route with `cache: {}`: RFC 9111 and no more."""
    return scene(conformance_gateway, conformance_origin, "/pure")


@pytest.fixture
def metered(conformance_gateway: RunningGateway, conformance_origin: ScriptedUpstream) -> Scene:
    """A metered route with `cache: {}`: base 1, force_refresh 3; every turn sends an unlimited key."""
    return scene(conformance_gateway, conformance_origin, "/metered", ("X-Api-Key", KEY))


@pytest.fixture(scope="session")
def capped_keys() -> list[str]:
    return list(CAPPED)


@pytest.fixture
def capped(conformance_gateway: RunningGateway, conformance_origin: ScriptedUpstream, capped_keys: list[str]) -> Scene:
    """As `metered`, with a key whose organization may force two refreshes a minute."""
    return scene(conformance_gateway, conformance_origin, "/metered", ("X-Api-Key", capped_keys.pop()))


@pytest.fixture
def honouring(conformance_gateway: RunningGateway, conformance_origin: ScriptedUpstream) -> Scene:
    """As `metered`, with the requests' directives honoured at no extra price."""
    return scene(conformance_gateway, conformance_origin, "/honouring", ("X-Api-Key", KEY))


@pytest.fixture
def ignoring(conformance_gateway: RunningGateway, conformance_origin: ScriptedUpstream) -> Scene:
    """As `pure`, with the requests' directives ignored."""
    return scene(conformance_gateway, conformance_origin, "/ignoring")


@pytest.fixture
def tagged(conformance_gateway: RunningGateway, conformance_origin: ScriptedUpstream) -> Scene:
    """A public route with `cache: {}` and a tag made of its path's last segment."""
    return scene(conformance_gateway, conformance_origin, "/tagged")
