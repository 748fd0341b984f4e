"""The document tree: places, and going on without what is invalid."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.document import Document, Member, Node, SettingPath, node_of


def placed(value: str, line: int, column: int, *, broken: bool = False) -> Node:
    return Node(line, column, value, broken=broken)


@pytest.fixture
def document() -> Document:
    """`a: 1`, and `list:` of `x`, one that is broken, and `{k: v}`."""
    mapping = Node(4, 5, {"k": Member(4, 5, placed("v", 4, 8))})
    items = (placed("x", 2, 5), placed("", 3, 5, broken=True), mapping)
    root = Node(1, 1, {"a": Member(1, 1, placed("1", 1, 4)), "list": Member(2, 1, Node(2, 3, items))})
    return Document("file.yaml", Path(), root)


@pytest.mark.parametrize(
    ("path", "at_key", "told"),
    [
        (("a",), False, "file.yaml:1:4: a: wrong"),
        (("a",), True, "file.yaml:1:1: a: wrong"),
        (("list", 2, "k"), False, "file.yaml:4:8: list[2].k: wrong"),
        (("list", 2, "k"), True, "file.yaml:4:5: list[2].k: wrong"),
        (("list", 0), True, "file.yaml:2:5: list[0]: wrong"),
        (("a", "long", 0, "form"), False, "file.yaml:1:4: a.long.form: wrong"),
        ((), False, "file.yaml:1:1: wrong"),
    ],
    ids=["value", "key", "nested", "nested key", "an item has no key", "a short form stands for the long one", "root"],
)
def test_errors_have_their_place(document: Document, path: SettingPath, at_key: bool, told: str) -> None:
    assert str(document.error("wrong", path, at_key=at_key)) == told


def test_items_keep_their_numbers_in_messages(document: Document) -> None:
    left = document.without([("list", 0)]).without_broken()
    assert left.plain() == {"a": "1", "list": [{"k": "v"}]}
    assert str(left.error("wrong", ("list", 0, "k"))) == "file.yaml:4:8: list[2].k: wrong"


@pytest.mark.parametrize(
    ("path", "damaged"),
    [
        (("a",), True),
        (("a", "below"), True),
        (("list",), True),
        (("list", 1, "k"), True),
        (("list", 0), False),
        (("list", 1), False),
        (("absent",), False),
        ((), False),
    ],
    ids=[
        "dropped",
        "below a dropped one",
        "lost an item",
        "dropped in an item",
        "an item",
        "its holder",
        "absent",
        "root",
    ],
)
def test_what_is_damaged(document: Document, path: SettingPath, damaged: bool) -> None:
    left = document.without([("a",), ("list", 2, "k")]).without_broken()
    assert left.is_damaged(path) is damaged


def test_names_count_dropped_ones(document: Document) -> None:
    root = Node(1, 1, {"upstreams": Member(1, 1, document.root)})
    whole = Document("file.yaml", Path(), root)
    assert whole.without([("upstreams", "a")]).names("upstreams") == {"a", "list"}
    assert whole.names("plans") == frozenset()


def test_defaults_fill_what_is_left_out_but_not_what_was_dropped(document: Document) -> None:
    defaults = node_of({"a": "default", "b": "new", "list": {"c": "ignored"}, "d": {"e": "f"}})
    assert document.without([("a",)]).without_broken().over(defaults).plain() == {
        "b": "new",
        "list": ["x", {"k": "v"}],
        "d": {"e": "f"},
    }


@pytest.mark.parametrize(
    ("text", "plain"),
    [(None, {"e": "f", "g": "h"}), ({"e": "mine"}, {"e": "mine", "g": "h"}), ("text", "text")],
    ids=["empty", "partly", "no mapping"],
)
def test_defaults_reach_into_mappings(text: dict[str, str] | str | None, plain: object) -> None:
    mine: Node = node_of({"d": {**text} if isinstance(text, dict) else text})
    merged = Document("file.yaml", Path(), mine).over(node_of({"d": {"e": "f", "g": "h"}}))
    assert merged.plain() == {"d": plain}


def test_substituted_text_is_not_shown() -> None:
    root = Node(1, 1, {"a": Member(1, 1, Node(1, 4, "secret", literal=False)), "b": Member(2, 1, placed("b", 2, 4))})
    document = Document("file.yaml", Path(), root)
    assert document.literal(("a",)) is None
    assert document.literal(("b",)) == "b"
    assert document.literal(()) is None


@pytest.fixture
def joined() -> Document:
    """`routes` of two files: one in a.yaml, two in main.yaml, of which the first has its `cache` from `defaults`."""
    default = Member(1, 20, Node(1, 27, "15", file="main.yaml"))
    route = Node(1, 11, {"cache": default}, file="main.yaml")
    routes = (Node(5, 3, {}, file="a.yaml"), replace(route, line=3), Node(4, 3, {}, file="main.yaml"))
    laid = {"route": Member(1, 11, route)}
    members = {
        "routes": Member(2, 1, Node(2, 9, routes, indices=(0, 0, 1), file="main.yaml")),
        "defaults": Member(1, 1, Node(1, 11, laid, file="main.yaml")),
    }
    return Document("main.yaml", Path(), Node(1, 1, members, file="main.yaml"))


def test_every_file_numbers_its_own(joined: Document) -> None:
    assert [str(joined.error("wrong", ("routes", at))) for at in range(3)] == [
        "a.yaml:5:3: routes[0]: wrong",
        "main.yaml:3:11: routes[0]: wrong",
        "main.yaml:4:3: routes[1]: wrong",
    ]


def test_what_is_said_in_defaults_is_told_there(joined: Document) -> None:
    assert (
        str(joined.error("wrong", ("routes", 1, "cache", "ttl"))) == "main.yaml:1:27: defaults.route.cache.ttl: wrong"
    )
    told = joined.error("wrong", ("routes", 1, "cache"), at_key=True, named=("routes", 1))
    assert str(told) == "main.yaml:1:20: defaults.route: wrong"


def test_places_beside_another(joined: Document) -> None:
    assert joined.place(("routes", 0), beside=("routes", 1)) == "at a.yaml:5"
    assert joined.place(("routes", 1), beside=("routes", 2)) == "on line 3"
    assert joined.place(("routes", 1)) == "on line 3"


def test_what_stands_at_a_path(joined: Document) -> None:
    found = joined.at(("routes", 1, "cache"))
    assert found is not None
    assert found.value == "15"
    assert joined.at(("routes", 1, "cache", "ttl")) is None
