"""The config changes while the gateway serves: how it hears of it, what acts when, and what lives on."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from support.answers import status_of, tokens
from support.config import KEY, OTHER_KEY, Config, config, key_field, origin, plan, product_route, route
from support.gateway import RunningGateway, StartGateway, write
from support.polling import eventually
from support.scripts import Gate, json_answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products/1"
SUCCESSFUL = "gateway_config_last_reload_successful"
LOADED_AT = "gateway_config_last_reload_success_timestamp_seconds"
KEYS = [{"id": "alpha", "key": KEY, "plan": "pro"}, {"id": "bravo", "key": OTHER_KEY, "plan": "pro"}]


def whole(upstream: ScriptedUpstream, *, price: int = 1, **rest: Any) -> Config:
    """One route that costs `price`, and two keys with 1,000 tokens each."""
    everything = route("/{rest:.*}", "all", price=price)
    return config(upstream.url, everything, **({"plans": {"pro": plan(1000)}, "keys": KEYS} | rest))


def dumped(changed: Config) -> str:
    return yaml.safe_dump(changed, sort_keys=False)


def reloaded(running: RunningGateway, changed: Config | str) -> None:
    """Write the config and have it loaded, whatever else looks at it."""
    write(running.folder, changed)
    answer = httpx.post(f"{running.admin_url}/-/config/reload", trust_env=False)
    assert answer.status_code == 200, answer.text


def logged(running: RunningGateway, text: str, times: int = 1) -> None:
    """Wait until the log, which a thread of its own writes, has this so often; fails where it comes to be more."""
    eventually(lambda: running.log.count(text) >= times)
    assert running.log.count(text) == times, running.log


def loaded_after(running: RunningGateway, before: float) -> None:
    """Wait until the config in operation is one loaded later than that."""
    eventually(lambda: running.metrics().value(LOADED_AT) > before)


def price(client: httpx.Client) -> int:
    return tokens(client.get("/priced"))[0]


def saved_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def saved_by_rename(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text)
    beside.replace(path)


def swapped(path: Path, text: str) -> None:
    """As Kubernetes mounts config maps: the file leads through a link to a folder, and that link is swapped."""
    folder = path.parent / f"..{len(list(path.parent.iterdir()))}"
    folder.mkdir()
    (folder / path.name).write_text(text)
    fresh = path.parent / "..fresh"
    fresh.symlink_to(folder.name)
    fresh.replace(path.parent / "..data")
    if not path.is_symlink():
        fresh.symlink_to(f"..data/{path.name}")
        fresh.replace(path)


def written_through_another_name(path: Path, text: str) -> None:
    """In a folder that nobody watches: found by looking alone."""
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    other = elsewhere / path.name
    if not other.exists():
        other.hardlink_to(path)
    other.write_text(text)


@pytest.mark.parametrize(
    "save", [saved_in_place, saved_by_rename, swapped, written_through_another_name], ids=lambda save: save.__name__
)
def test_a_saved_config_is_taken_over(
    gateway: StartGateway, upstream: ScriptedUpstream, save: Callable[[Path, str], None]
) -> None:
    running = gateway(whole(upstream))
    client = running.client(key_field())
    assert price(client) == 1
    for changed in (2, 3):
        before = running.metrics().value(LOADED_AT)
        save(running.path, dumped(whole(upstream, price=changed)))
        loaded_after(running, before)
        assert price(client) == changed
    logged(running, '"config reloaded"', 2)


def test_a_folder_of_routes(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream) | {"include": "routes.d/*.yaml"})
    client = running.client(key_field())
    folder = running.folder / "routes.d"
    folder.mkdir()
    (folder / "one.yaml").write_text(dumped({"routes": [route("/priced", "one", price=7)]}))
    eventually(lambda: price(client) == 7)
    (folder / "one.yaml").unlink()
    eventually(lambda: price(client) == 1)


def test_a_secret_in_a_file_of_its_own(gateway: StartGateway, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("rk_live_first\n")
    running = gateway(whole(upstream, keys=[{"id": "alpha", "key": f"${{file:{secret}}}"}]))
    assert running.client(key_field("rk_live_first")).get("/").status_code == 200
    secret.write_text("rk_live_second\n")
    eventually(lambda: running.client(key_field("rk_live_second")).get("/").status_code == 200)
    assert running.client(key_field("rk_live_first")).get("/").status_code == 401


def test_sighup_loads_what_has_not_changed(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    before = running.metrics().value(LOADED_AT)
    running.process.send_signal(signal.SIGHUP)
    loaded_after(running, before)
    assert running.client(key_field()).get("/").status_code == 200


def test_a_broken_file_changes_nothing(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream, price=2))
    client = running.client(key_field())
    loaded = running.metrics().value(LOADED_AT)
    text = dumped(whole(upstream, price=3))
    write(running.folder, text.replace("price: 3", "prize: 3"))
    eventually(lambda: running.metrics().value(SUCCESSFUL) == 0.0)
    line = text[: text.index("price: 3")].count("\n") + 1
    logged(running, f"{running.path}:{line}:3: routes[0]: unknown key `prize`, did you mean `price`?")
    assert running.metrics().value(LOADED_AT) == loaded
    assert [running.readiness(port, target) for port, target in ready(running)] == [200, 200]
    assert price(client) == 2
    write(running.folder, text)
    eventually(lambda: price(client) == 3)
    assert running.metrics().value(SUCCESSFUL) == 1.0


def ready(running: RunningGateway) -> list[tuple[int, str]]:
    return [(running.port, "/-/readyz"), (running.admin_port, "/readyz")]


def test_a_file_that_is_gone_changes_nothing(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    aside = running.path.rename(running.folder / "aside")
    eventually(lambda: running.metrics().value(SUCCESSFUL) == 0.0)
    assert price(running.client(key_field())) == 1
    aside.rename(running.path)
    eventually(lambda: running.metrics().value(SUCCESSFUL) == 1.0)


@pytest.mark.parametrize(
    ("named", "changed"),
    [
        ("listen", {"listen": "127.0.0.1:1"}),
        ("admin.listen", {"admin": {"listen": "127.0.0.1:1"}}),
        ("store.path", {"store": {"path": "elsewhere"}}),
        ("store.durability", {"store": {"path": "var", "durability": "power"}}),
    ],
)
def test_what_needs_a_restart_is_named_and_refused(
    gateway: StartGateway, upstream: ScriptedUpstream, named: str, changed: Config
) -> None:
    running = gateway(whole(upstream))
    client = running.client(key_field())
    write(running.folder, whole(upstream, price=5) | changed)
    eventually(lambda: running.metrics().value(SUCCESSFUL) == 0.0)
    logged(running, f"{named}: needs a restart")
    assert price(client) == 1, "all of it or nothing"


def test_keys_come_and_go_at_once(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    only_alpha, only_bravo = (whole(upstream, keys=[key]) for key in KEYS)
    running = gateway(only_alpha)
    alpha, bravo = running.client(key_field()), running.client(key_field(OTHER_KEY))
    for _ in range(3):
        assert (alpha.get("/").status_code, bravo.get("/").status_code) == (200, 401)
    reloaded(running, only_bravo)
    assert (alpha.get("/").status_code, bravo.get("/").status_code) == (401, 200)
    logged(running, "key `alpha` is gone: its requests get 401")
    assert KEY not in running.log
    assert OTHER_KEY not in running.log


def test_a_request_in_flight_settles_at_its_quote(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running, gate = gateway(whole(upstream, price=2)), Gate()
    client = running.client(key_field())
    upstream.script("/slow", gate, json_answer({}))
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(client.get, "/slow")
        upstream.wait_for_calls("/slow")
        reloaded(running, whole(upstream, price=50))
        assert tokens(client.get("/fast"))[0] == 50
        gate.open()
        assert tokens(slow.result())[0] == 2
    assert tokens(client.get("/fast")) == (50, 1000 - 2 - 50 - 50)


def test_balance_throttle_and_cap_live_on(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    def limited(name: str) -> Config:
        pro = plan(1000, throttle={"rate": "3/d", "burst": 3})
        organizations = {"acme": {"plan": "pro", "caps": {"force_refresh": "1/d"}}}
        keys = [{"id": key["id"], "key": key["key"], "organization": "acme"} for key in KEYS]
        routes = (product_route(), route("/{rest:.*}", name))
        return config(upstream.url, *routes, plans={"pro": pro}, organizations=organizations, keys=keys)

    running = gateway(limited("first"))
    alpha, bravo = running.client(key_field()), running.client(key_field(OTHER_KEY))
    assert tokens(alpha.get(PRODUCT, params={"force_refresh": "1"})) == (4, 996)
    reloaded(running, limited("second"))
    assert tokens(alpha.get("/a")) == (1, 995)
    refused = bravo.get(PRODUCT, params={"force_refresh": "1"})
    assert (refused.status_code, refused.json()["reason"]) == (429, "force_refresh_capped")
    reloaded(running, limited("third"))
    assert tokens(alpha.get("/a")) == (1, 994)
    refused = alpha.get("/a")
    assert (refused.status_code, refused.json()["reason"]) == (429, "throttled")


def cached(ttl: str, url: str) -> Config:
    return config(url, route("/{rest:.*}", "all", cache={"ttl": ttl}))


def test_a_shorter_lifetime_acts_on_what_is_stored(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(cached("1h", upstream.url))
    client = running.client(key_field())
    client.get("/a")
    assert status_of(client.get("/a")).hit
    reloaded(running, cached("0s", upstream.url))
    assert client.get("/a").json()["call"] == 2
    reloaded(running, cached("2h", upstream.url))
    again = client.get("/a")
    assert status_of(again).hit
    assert status_of(again).ttl > 3600


def test_another_url_serves_nothing_of_the_former(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(cached("1h", upstream.url))
    client = running.client(key_field())
    upstream.script("/a", json_answer({"from": "the former"}))
    with ScriptedUpstream() as other:
        other.script("/a", json_answer({"from": "the present"}))
        assert client.get("/a").json() == {"from": "the former"}
        reloaded(running, cached("1h", other.url))
        present = client.get("/a")
        assert present.json() == {"from": "the present"}
        assert not status_of(present).hit
        assert status_of(client.get("/a")).hit


def test_new_credentials_go_with_the_next_exchange(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    client = running.client(key_field())
    changed = origin(upstream.url) | {"headers": {"Authorization": "Bearer sk-upstream-rotated"}}
    reloaded(running, whole(upstream, upstreams={"origin": changed}))
    client.get("/a")
    assert upstream.calls("/a")[0].field("Authorization") == "Bearer sk-upstream-rotated"
    logged(running, "headers.Authorization changed")
    assert "sk-upstream-rotated" not in running.log


def test_a_storm_of_saves_ends_with_the_last(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(whole(upstream))
    client = running.client(key_field())
    texts = [dumped(whole(upstream, price=number)) for number in range(2, 102)]
    for text in texts:
        running.path.write_text(text)
        os.utime(running.path)
    eventually(lambda: price(client) == 101)
    reloaded(running, texts[-1])
    assert price(client) == 101
    assert running.log.count('"config reloaded"') < len(texts)


@pytest.mark.parametrize("routes", [1, 1000], ids=["read in a thread", "read in a process"])
def test_sigterm_during_a_reload(gateway: StartGateway, upstream: ScriptedUpstream, routes: int) -> None:
    running = gateway(whole(upstream))
    many = [route(f"/{number}", f"route-{number}") for number in range(routes)]
    write(running.folder, config(upstream.url, *many, plans={"pro": plan(1000)}, keys=KEYS))
    running.process.send_signal(signal.SIGHUP)
    running.stop()
    running.start()
    assert running.client(key_field()).get("/0").status_code == 200
