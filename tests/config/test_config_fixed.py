"""What needs a restart is named with its place."""

from pathlib import Path

import pytest
from config.texts import ENVIRON
from config.trees import grown, planted, wrong

from gateway.config.fixed import Fixed
from gateway.config.load import load

TEXT = """\
upstreams: {api: {url: http://api}}
routes: [{}]
listen: 127.0.0.1:1
admin: {listen: 127.0.0.1:2}
store: {path: var, durability: process}
"""
ADDRESS = "must be an address such as 127.0.0.1:8080, [::1]:8080 or :8080 for every interface"
RESTART = "needs a restart: the running gateway has another value"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("127.0.0.1:1", ":1", [f"main.yaml:3:9: listen: {RESTART}"]),
        ("listen: 127.0.0.1:1\n", "log: {level: debug}\n", [f"main.yaml: listen: {RESTART}"]),
        ("127.0.0.1:2", "127.0.0.1:3", [f"main.yaml:4:17: admin.listen: {RESTART}"]),
        ("path: var", "path: other", [f"main.yaml:5:15: store.path: {RESTART}"]),
        ("process", "power", [f"main.yaml:5:32: store.durability: {RESTART}"]),
        (", durability: process", "", []),
        ("path: var", "path: ./var, memory: 1MiB", []),
        (
            "path: var, durability: process",
            "kind: redis, url: 'redis://a'",
            [f"main.yaml:5:15: store.kind: {RESTART}", f"main.yaml:5:27: store.url: {RESTART}"],
        ),
        (
            "127.0.0.1:1",
            "nowhere",
            [f"main.yaml:3:9: listen: {ADDRESS}"],
        ),
    ],
    ids=["listen", "left out", "admin", "path", "durability", "default", "same", "kind", "invalid"],
)
def test_each_is_refused_by_name(tmp_path: Path, old: str, new: str, told: list[str]) -> None:
    fixed = Fixed.of(grown(tmp_path, main=TEXT).config)
    assert wrong(tmp_path, fixed, main=TEXT.replace(old, new)) == told


@pytest.mark.parametrize(
    ("was", "becomes", "column"),
    [
        ("url: 'redis://a'", "url: 'redis://b'", 27),
        ("url: 'redis://a', username: a", "url: 'redis://a', username: b", 50),
        ("url: 'redis://a', password: secret-a", "url: 'redis://a', password: secret-b", 50),
        ("url: 'redis://a', timeout: 50ms", "url: 'redis://a', timeout: 60ms", 49),
        ("url: 'redis://a', on_failure: deny", "url: 'redis://a', on_failure: serve_stored", 52),
    ],
    ids=["url", "username", "password", "timeout", "on_failure"],
)
def test_the_redis_is_fixed_and_never_shown(tmp_path: Path, was: str, becomes: str, column: int) -> None:
    main = TEXT.replace("path: var, durability: process", f"kind: redis, {was}")
    fixed = Fixed.of(grown(tmp_path, main=main).config)
    [told] = wrong(tmp_path, fixed, main=main.replace(was, becomes))
    name = becomes.rpartition(": ")[0].rpartition(" ")[2] if "," in becomes else "url"
    assert told == f"main.yaml:5:{column}: store.{name}: {RESTART}"
    assert not any(secret in f"{fixed}" for secret in ("secret", "redis://"))


def test_an_included_file_is_named(tmp_path: Path) -> None:
    fixed = Fixed.of(grown(tmp_path, main=TEXT).config)
    main = TEXT.replace("listen: 127.0.0.1:1\n", "include: a.yaml\n")
    assert wrong(tmp_path, fixed, main=main, a="\nlisten: :9") == [f"a.yaml:2:9: listen: {RESTART}"]


def test_nothing_is_fixed_before_a_gateway_runs(tmp_path: Path) -> None:
    assert load(planted(tmp_path, main=TEXT), ENVIRON).listen.port == 1
