"""A background refresh in a fleet: whoever stored it, all of it is fetched again, once, and is new everywhere."""

from collections.abc import Iterator

import pytest
from support.config import KeyRing, plan
from support.redis_server import RedisServer
from support.running_fleet import Node, fleet, shared
from support.stores import Stores, ask, behind, ended, job
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

PAGES = 12
RING = KeyRing(1, "pro")


@pytest.fixture(scope="module")
def stores(origin: ScriptedUpstream) -> Stores:
    return Stores(origin)


@pytest.fixture(scope="module")
def nodes(stores: Stores, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    store = shared(redis_server.empty_database())
    whole = behind(stores.upstream.url, keys=RING.keys, plans={"pro": plan(2000)}, store=store)
    with fleet(tmp_path_factory.mktemp("background"), 3, whole) as running:
        yield running


def test_what_every_node_has_stored_is_fetched_again_once(nodes: list[Node], stores: Stores) -> None:
    store, key = stores.take(), RING.take()
    targets = [f"/orders?page={page}&storeId={store}" for page in range(1, PAGES + 1)]
    clients = [node.client(key) for node in nodes]
    for number, target in enumerate(targets):
        assert clients[number % 3].get(target).json()["version"] == 1
    told = ended(clients[1], job(ask(clients[1], store)))
    assert (told["state"], told["progress"]["done"]) == ("done", PAGES)
    assert {stores.versions[target] for target in targets} == {2}
    for client in clients:
        assert {client.get(target).json()["version"] for target in targets} == {2}
    assert {stores.versions[target] for target in targets} == {2}
