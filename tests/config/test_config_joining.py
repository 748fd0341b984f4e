"""Trees joined to one: what grows together, what stands alone, and what was lost on the way."""

from gateway.config.document import ITEM, Member, Node, plain
from gateway.config.joining import joined


def root(file: str, *, dropped: frozenset[str] = frozenset(), **values: Node) -> Node:
    members = {key: Member(at, 1, node) for at, (key, node) in enumerate(values.items(), 1)}
    return Node(1, 1, members, file=file, dropped=dropped, size=1 + sum(node.size for node in values.values()))


def text(value: str, file: str) -> Node:
    return Node(1, 9, value, file=file)


def test_items_keep_the_numbers_of_their_files() -> None:
    left = Node(1, 9, (text("c", "a"),), indices=(2,), dropped=frozenset({ITEM}), size=2, file="a")
    whole = Node(1, 9, (text("d", "b"), text("e", "b")), size=3, file="b")
    found, errors = joined([root("a", keys=left), root("b", keys=whole)])
    assert (plain(found), errors, found.size) == ({"keys": ["c", "d", "e"]}, [], 5)
    assert isinstance(found.value, dict)
    keys = found.value["keys"].node
    assert (keys.indices, keys.dropped, keys.file) == ((2, 0, 1), {ITEM}, "b")


def test_one_root_stays_as_it_is() -> None:
    alone = root("a", keys=Node(1, 9, (text("c", "a"),), size=2, file="a"), log=text("x", "a"))
    found, errors = joined([alone])
    assert (plain(found), errors, found.size) == ({"keys": ["c"], "log": "x"}, [], 4)


def test_what_one_file_lost_is_missed_in_all() -> None:
    plans = Node(1, 9, {"p": Member(1, 10, text("x", "b"))}, size=2, file="b")
    found, _ = joined([root("a", dropped=frozenset({"plans", "log"})), root("b", plans=plans)])
    assert found.dropped == {"plans", "log"}
    assert isinstance(found.value, dict)
    assert found.value["plans"].node.dropped == {ITEM}
