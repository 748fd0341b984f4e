"""`defaults.route` laid under every route: deep where both are mappings, which short forms are as well."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import get_args

from pydantic.fields import FieldInfo

from gateway.config.document import (
    DEFAULTS,
    MAX_VALUES,
    Document,
    Member,
    Node,
    SettingPath,
    mapping_of,
    members_of,
    over,
    plain,
)
from gateway.config.errors import ConfigError
from gateway.config.fields import Short
from gateway.config.routes import RouteDefaults
from gateway.config.salvage import salvage

# What a public route may not have: nobody is there to be charged.
_METERED: frozenset[SettingPath] = frozenset(
    {("price",), ("refresh",), ("tokens_in_body",), ("cache", "share"), ("cache", "client_directives")}
)


def laid(document: Document) -> tuple[Document, list[ConfigError]]:
    """The document with what its routes leave out taken from its `defaults.route`; and what is wrong with `defaults`,
    which is not laid."""
    members = dict(members_of(document.root))
    if "defaults" not in members:
        return document, []
    alone, errors = salvage(replace(document, root=mapping_of(document.root, {"defaults": members.pop("defaults")})))
    left = alone.document.root
    document = replace(document, root=mapping_of(left, {**members_of(left), **members}))
    defaults, routes = document.at(DEFAULTS), document.at(("routes",))
    if defaults is None or not isinstance(defaults.value, Mapping):
        return document, errors
    defaults = _long(defaults)
    public = _without_metered(defaults)
    root = _placed(document.root, DEFAULTS, defaults)
    if routes is not None and isinstance(routes.value, tuple):
        items = tuple([_laid(route, defaults, public) for route in routes.value])
        root = _placed(root, ("routes",), replace(routes, value=items, size=1 + sum(item.size for item in items)))
    if root.size > MAX_VALUES:
        message = f"with them under every route there are more than {MAX_VALUES:,} values"
        return document, [*errors, document.error(message, DEFAULTS, at_key=True)]
    return replace(document, root=root), errors


def _laid(route: Node, defaults: Node, public: Node) -> Node:
    if not isinstance(route.value, Mapping):
        return route
    return over(_long(route), public if _is_public(route, defaults) else defaults)


def _is_public(route: Node, defaults: Node) -> bool:
    said = [members["access"].node.value for members in map(members_of, (route, defaults)) if "access" in members]
    return next(filter(None, said), None) == "public"


def _long(route: Node) -> Node:
    """A route's settings with short forms written out."""
    members = {key: replace(member, node=_expanded(key, member.node)) for key, member in members_of(route).items()}
    return mapping_of(route, members)


def _expanded(key: str, node: Node) -> Node:
    shorts = _SHORTS.get(key, ())
    if not shorts or node.value is None or isinstance(node.value, Mapping):
        return node
    value: object = plain(node)
    for short in shorts:
        value = short.expand(value)
    if not isinstance(value, dict):
        return node
    # What is short stands for one key's value, or is a word for a mapping without any.
    return mapping_of(node, dict.fromkeys(value, Member(node.line, node.column, node)))


def _without_metered(node: Node, path: SettingPath = ()) -> Node:
    if not isinstance(node.value, Mapping):
        return node
    members = {
        key: replace(member, node=_without_metered(member.node, (*path, key)))
        for key, member in node.value.items()
        if (*path, key) not in _METERED
    }
    return mapping_of(node, members)


def _placed(node: Node, path: SettingPath, value: Node) -> Node:
    """The tree with `value` at `path`, where something stands already."""
    if not path:
        return value
    members = dict(members_of(node))
    member = members[str(path[0])]
    members[str(path[0])] = replace(member, node=_placed(member.node, path[1:], value))
    return mapping_of(node, members)


def _shorts_of(field: FieldInfo) -> list[Short]:
    """The short forms of a setting in the order in which they apply: what is written last is outermost."""
    return [*_shorts_in(field.annotation), *[each for each in field.metadata if isinstance(each, Short)]][::-1]


def _shorts_in(annotation: object) -> Iterator[Short]:
    for each in get_args(annotation):
        yield from [each] if isinstance(each, Short) else _shorts_in(each)


_SHORTS = {key: _shorts_of(field) for key, field in RouteDefaults.model_fields.items()}
