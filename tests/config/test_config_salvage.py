"""Every schema error at once, and the config that is left."""

from pathlib import Path

import pytest

from gateway.config.document import Document, Plain, node_of
from gateway.config.salvage import did_you_mean, salvage


def document(data: Plain) -> Document:
    return Document("f.yaml", Path("folder"), node_of(data))


def test_a_valid_document_is_read_whole() -> None:
    config, errors = salvage(document({"upstreams": {"api": {"url": "http://api"}}, "store": {"path": "var"}}))
    assert errors == []
    assert config.store.path == Path("folder/var")


def test_what_is_wrong_is_left_out_and_told_once() -> None:
    config, errors = salvage(
        document(
            {
                "timezone": "nowhere",
                "routes": ["x", {"name": "a", "cache": {"ttl": "x", "max_body": "1MiB"}, "tll": "1"}],
                "keys": [{"id": "b"}, {"id": ":"}, {"kye": "x"}],
                "upstreams": {"one": {"url": "http://one", "timeout": "x"}, "two": {"url": "two"}},
            }
        )
    )
    assert len(errors) == 9
    assert config.timezone == "UTC"
    [route] = config.routes
    assert route.cache
    assert (route.name, route.cache.ttl, route.cache.max_body) == ("a", None, 1 << 20)
    assert [key.id for key in config.keys] == ["b"]
    assert list(config.upstreams) == ["one"]
    assert config.document.names("upstreams") == {"one", "two"}


@pytest.mark.parametrize(
    ("word", "hint"),
    [("tll", ", did you mean `ttl`?"), ("zzz", ""), (None, "")],
    ids=["close", "far", "not to be shown"],
)
def test_hints(word: str | None, hint: str) -> None:
    assert did_you_mean(word, ["ttl", "tags"]) == hint


@pytest.mark.parametrize("word", ["xlan-777", "plan-77x", "plam-777"])
def test_hints_among_many(word: str) -> None:
    assert did_you_mean(word, [f"plan-{at}" for at in range(1000)]).startswith(", did you mean `plan-")
