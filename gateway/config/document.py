"""A config document as a tree that knows where each value stands, and can go on without those found invalid."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias

from gateway.config.errors import ConfigError

SettingPath = tuple[str | int, ...]
"""The keys and indices that lead to a setting."""

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain] | None"

DEFAULTS: SettingPath = ("defaults", "route")
"""What every route has unless it says otherwise; laid under one, it is made of the same nodes."""

MAX_VALUES = 1_000_000
"""Values in one config with all aliases written out: what a document of aliases to aliases is refused by."""

ITEM = "[]"
"""Stands for the items of a list in `Node.dropped`."""


class Bare(str):
    """A text that stands without quotes and looks like a number or a boolean: where JSON is held, it is that.

    What is read as text is a plain `str`; no setting holds one of these.
    """

    __slots__ = ()


@dataclass(slots=True, frozen=True, eq=False)
class Node:
    """A value and where it stands. Aliases share nodes.

    `literal`: it stands in the file as it is, no `${...}` was substituted. `broken`: it could not be read. `size`
    counts the values within, aliases written out. `dropped` names the keys taken out as invalid, `indices` are the
    items' numbers in their file where others were taken out or joined from other files. `file` is the one it stands in,
    where that is not the document's.
    """

    line: int
    column: int
    value: str | tuple["Node", ...] | Mapping[str, "Member"] | None
    literal: bool = True
    broken: bool = False
    size: int = 1
    dropped: frozenset[str] = frozenset()
    indices: tuple[int, ...] | None = None
    file: str = ""


@dataclass(slots=True, frozen=True, eq=False)
class Member:
    """A value in a mapping or list; the position is its key's, in a list its own."""

    line: int
    column: int
    node: Node


@dataclass(slots=True, frozen=True, eq=False)
class Document:
    """The content of a config file and those that it includes; `folder` is what its relative paths start from."""

    file: str
    folder: Path
    root: Node

    def plain(self) -> Plain:
        """The content without positions."""
        return plain(self.root)

    def at(self, path: SettingPath) -> Node | None:
        """What stands at `path`; None where nothing does."""
        members = self._walk(path)
        return members[-1].node if len(members) > len(path) else None

    def known(self, path: SettingPath) -> SettingPath:
        """As much of `path` as stands in the document: a short form has less than its long form."""
        return path[: len(self._walk(path)) - 1]

    def error(
        self, message: str, path: SettingPath, *, at_key: bool = False, named: SettingPath | None = None
    ) -> ConfigError:
        """`message` about the setting at `path`, placed at its value or its key; `named`: the path that it shows."""
        member = self._walk(path)[-1]
        place: Member | Node = member if at_key else member.node
        name = self._name(self._said(path)[: len(path if named is None else named)])
        file = member.node.file or self.file
        return ConfigError(file, place.line, place.column, f"{name}: {message}" if name else message)

    def place(self, path: SettingPath, beside: SettingPath = ()) -> str:
        """Where the setting at `path` stands, as a message about the one at `beside` says it: `on line 3`, or
        `at keys.yaml:3` in another file."""
        node, other = self._walk(path)[-1].node, self._walk(beside)[-1].node
        return f"on line {node.line}" if node.file == other.file else f"at {node.file or self.file}:{node.line}"

    def literal(self, path: SettingPath) -> str | None:
        """The text at `path` where the file itself holds it; None for a substituted one, which no message may show."""
        *_, last = self._walk(path)
        return last.node.value if isinstance(last.node.value, str) and last.node.literal else None

    def names(self, key: str) -> frozenset[str]:
        """The keys under a top-level key, with those of dropped values."""
        member = _child(self.root, key)
        if member is None:
            return frozenset()
        keys = member.node.value if isinstance(member.node.value, Mapping) else ()
        return member.node.dropped.union(keys)

    def is_damaged(self, path: SettingPath) -> bool:
        """Whether the setting at `path`, what holds it, or an item of it was dropped as invalid."""
        members = self._walk(path)
        reached = len(members) - 1
        if reached < len(path):
            return path[reached] in members[-1].node.dropped
        return ITEM in members[-1].node.dropped

    def without(self, paths: Iterable[SettingPath]) -> "Document":
        """The document without the values at `paths`, which must exist."""
        return replace(self, root=_without(self.root, list(paths)))

    def without_broken(self) -> "Document":
        """The document without the values that could not be read."""
        return self.without(_broken(self.root, ()))

    def over(self, defaults: Node) -> "Document":
        """The document with what it leaves out taken from `defaults`, but for what was dropped."""
        return replace(self, root=over(self.root, defaults))

    def _walk(self, path: SettingPath) -> list[Member]:
        """The members along `path` as far as they exist, the root first."""
        members = [Member(self.root.line, self.root.column, self.root)]
        for step in path:
            child = _child(members[-1].node, step)
            if child is None:
                break
            members.append(child)
        return members

    def _said(self, path: SettingPath) -> SettingPath:
        """Where the setting at `path` is said: in `defaults`, for what a route has from there."""
        there = (*DEFAULTS, *path[2:])
        is_there = path[:1] == ("routes",) and self._walk(path)[-1].node is self._walk(there)[-1].node
        return there if is_there else path

    def _name(self, path: SettingPath) -> str:
        """The path as messages show it, `routes[0].cache.ttl`, with the file's own numbers."""
        steps: list[str] = []
        for member, step in zip_longest(self._walk(path)[:-1], path):
            if isinstance(step, str):
                steps.append(f".{step}")
            elif member is not None:
                steps.append(f"[{member.node.indices[step] if member.node.indices else step}]")
        return "".join(steps).removeprefix(".")


def node_of(data: Plain, spelled: Callable[[str], str] = str) -> Node:
    """Plain data as a tree without a place in a file; `spelled` is applied to every text."""
    match data:
        case dict():
            return Node(0, 0, {key: Member(0, 0, node_of(value, spelled)) for key, value in data.items()})
        case list():
            return Node(0, 0, tuple([node_of(value, spelled) for value in data]))
        case str():
            return Node(0, 0, spelled(data), literal=False)
        case _:
            return Node(0, 0, data)


def _child(node: Node, step: str | int) -> Member | None:
    if isinstance(node.value, Mapping):
        return node.value.get(str(step))
    if isinstance(node.value, tuple) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return Member(item.line, item.column, item)
    return None


def members_of(node: Node) -> Mapping[str, Member]:
    """What a mapping holds; nothing where it is none."""
    return node.value if isinstance(node.value, Mapping) else {}


def items_of(node: Node) -> tuple[Node, ...]:
    """What a list holds; nothing where it is none."""
    return node.value if isinstance(node.value, tuple) else ()


def plain(node: Node) -> Plain:
    """A value without positions."""
    match node.value:
        case None | str():
            return node.value
        case tuple():
            return [plain(item) for item in node.value]
        case members:
            return {key: plain(member.node) for key, member in members.items()}


def _without(node: Node, paths: list[SettingPath]) -> Node:
    if not paths or node.value is None or isinstance(node.value, str):
        return node
    rests: dict[str | int, list[SettingPath]] = {}
    for first, *rest in paths:
        rests.setdefault(first, []).append(tuple(rest))
    doomed = {step for step, below in rests.items() if () in below}
    if isinstance(node.value, tuple):
        left = [at for at in range(len(node.value)) if at not in doomed]
        return replace(
            node,
            value=tuple([_without(node.value[at], rests.get(at, [])) for at in left]),
            dropped=node.dropped | ({ITEM} if doomed else frozenset()),
            indices=tuple([node.indices[at] if node.indices else at for at in left]),
        )
    members = {
        key: replace(member, node=_without(member.node, rests.get(key, [])))
        for key, member in node.value.items()
        if key not in doomed
    }
    return replace(node, value=members, dropped=node.dropped.union(map(str, doomed)))


def _broken(node: Node, path: SettingPath) -> Iterator[SettingPath]:
    if node.broken:
        yield path
    elif isinstance(node.value, tuple):
        for at, item in enumerate(node.value):
            yield from _broken(item, (*path, at))
    elif isinstance(node.value, Mapping):
        for key, member in node.value.items():
            yield from _broken(member.node, (*path, key))


def over(node: Node, defaults: Node) -> Node:
    """A value with what it leaves out taken from `defaults`, within mappings for each key; not what was dropped."""
    if node.value is None:
        return defaults
    if not isinstance(defaults.value, Mapping) or not isinstance(node.value, Mapping):
        return node
    left_out = {key: member for key, member in defaults.value.items() if key not in node.dropped}
    members = {key: _member_over(member, left_out.get(key)) for key, member in node.value.items()}
    return mapping_of(
        replace(node, dropped=node.dropped | (defaults.dropped - members.keys())), {**left_out, **members}
    )


def mapping_of(node: Node, members: Mapping[str, Member]) -> Node:
    """A mapping with these members in the place of `node`."""
    return replace(node, value=members, size=1 + sum(member.node.size for member in members.values()))


def _member_over(member: Member, default: Member | None) -> Member:
    return member if default is None else replace(member, node=over(member.node, default.node))
