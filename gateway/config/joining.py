"""Several files' settings joined to one tree: mappings and lists grow together, anything else stands in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.config.document import ITEM, Member, Node, items_of, mapping_of, members_of
from gateway.config.errors import ConfigError

_MAPPINGS = frozenset({"upstreams", "plans", "organizations"})
_LISTS = frozenset({"background_refreshes", "keys", "routes"})


def joined(roots: Sequence[Node]) -> tuple[Node, list[ConfigError]]:
    """One root of several, each a mapping, in the order in which they count, the main file's last; and what does not
    go together. Of two things with one name the first is kept."""
    held: dict[str, list[Member]] = {}
    for root in roots:
        for key, member in members_of(root).items():
            held.setdefault(key, []).append(member)
    dropped = frozenset[str]().union(*[root.dropped for root in roots])
    errors: list[ConfigError] = []
    members = {key: _joined(key, several, dropped, errors) for key, several in held.items()}
    return mapping_of(replace(roots[-1], dropped=dropped), members), errors


def _joined(key: str, held: list[Member], dropped: frozenset[str], errors: list[ConfigError]) -> Member:
    # What is empty in a file is left out there.
    held = [member for member in held if member.node.value is not None] or held[-1:]
    if len(held) > 1 and key in _MAPPINGS:
        held = [_mapping(key, held, errors)]
    elif len(held) > 1 and key in _LISTS:
        held = [_list(key, held, errors)]
    first, *others = held
    message = f"{key}: stands at {_place(first)}, too, and may stand in one file only"
    errors += [_error(other, message) for other in others]
    # A file's whole share may have been unreadable.
    return replace(first, node=replace(first.node, dropped=first.node.dropped | {ITEM})) if key in dropped else first


def _mapping(key: str, held: list[Member], errors: list[ConfigError]) -> Member:
    members: dict[str, Member] = {}
    nodes = _of_kind(key, held, Mapping, "a mapping of keys to values", errors)
    for node in nodes:
        for name, member in members_of(node).items():
            if (first := members.setdefault(name, member)) is not member:
                errors.append(_error(member, f"{key}.{name}: is defined twice, first at {_place(first)}"))
    return _of(held, nodes, members)


def _list(key: str, held: list[Member], errors: list[ConfigError]) -> Member:
    nodes = _of_kind(key, held, tuple, "a list", errors)
    items = [item for node in nodes for item in items_of(node)]
    numbers = [number for node in nodes for number in node.indices or range(len(items_of(node)))]
    member = _of(held, nodes, tuple(items))
    return replace(member, node=replace(member.node, indices=tuple(numbers)))


def _of_kind(key: str, held: list[Member], kind: type[object], what: str, errors: list[ConfigError]) -> list[Node]:
    errors += [
        ConfigError(member.node.file, member.node.line, member.node.column, f"{key}: must be {what}")
        for member in held
        if not isinstance(member.node.value, kind)
    ]
    return [member.node for member in held if isinstance(member.node.value, kind)]


def _of(held: list[Member], nodes: list[Node], value: tuple[Node, ...] | Mapping[str, Member]) -> Member:
    """A joined value in the last one's place."""
    dropped = frozenset[str]().union(*[node.dropped for node in nodes])
    if len(nodes) < len(held):
        dropped |= {ITEM}
    size = 1 + sum(node.size - 1 for node in nodes)
    return replace(held[-1], node=replace(held[-1].node, value=value, dropped=dropped, size=size))


def _error(member: Member, message: str) -> ConfigError:
    return ConfigError(member.node.file, member.line, member.column, message)


def _place(member: Member) -> str:
    return f"{member.node.file}:{member.line}"
