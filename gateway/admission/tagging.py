"""Tags of stored responses: templates filled from the path's parameters, the query and JSON content."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import NamedTuple, Self, assert_never
from urllib.parse import unquote

import orjson

from gateway.admission.background import Member
from gateway.admission.target import Query, component

LONGEST = 200
"""Characters of a value from the query or the content, at most; a longer one is none."""

MOST = 100
"""Tags that one template gives, at most: the first ones."""

_PLACEHOLDER = re.compile(r"\{(?:([A-Za-z_][A-Za-z0-9_]*)|(query|body)\.((?!:-)[^{}]+?)(?::-([^{}]*))?)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class PathParameter(NamedTuple):
    """`{x}`: its value, unquoted where it is UTF-8, whatever it is."""

    name: str


class QueryParameter(NamedTuple):
    """`{query.NAME}`: each of its values, unquoted; `spelled` is the name as a canonical query has it."""

    name: str
    spelled: str
    default: str | None


class ContentMember(NamedTuple):
    """`{body.a.b}`: what is at `path` in JSON content; a list on the way stands for each of its items."""

    path: Member
    default: str | None


Placeholder = PathParameter | QueryParameter | ContentMember


@dataclass(slots=True, frozen=True)
class Tag:
    """A template such as `store:{query.storeId}`; `names` are the path's parameters in it, `parameters` the query's.

    A value from query or content is text of 1 to 200 characters without controls; what is none is absent. Without a
    value, and without a `:-default`, there is no tag; several values give one each. `reads_content`: what it gives is
    only known when the response is there.
    """

    text: str
    names: tuple[str, ...] = field(compare=False, repr=False)
    parameters: tuple[str, ...] = field(compare=False, repr=False)
    reads_content: bool = field(compare=False, repr=False)
    _literals: tuple[str, ...] = field(compare=False, repr=False)
    _placeholders: tuple[Placeholder, ...] = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError saying what is wrong with the template."""
        if not text:
            raise ValueError("a tag must not be empty")
        parts = _PLACEHOLDER.split(text)
        literals = tuple(parts[::5])
        if any("{" in literal or "}" in literal for literal in literals):
            raise ValueError(_refusal(text))
        found = tuple([_placeholder(*each) for each in zip(*(parts[at::5] for at in range(1, 5)), strict=True)])
        return cls(
            text,
            names=tuple([each.name for each in found if isinstance(each, PathParameter)]),
            parameters=tuple([each.name for each in found if isinstance(each, QueryParameter)]),
            reads_content=any(isinstance(each, ContentMember) for each in found),
            _literals=literals,
            _placeholders=found,
        )

    def filled(self, params: Mapping[str, str], query: Query = (), content: object = None) -> tuple[str, ...]:
        """The tags, each once, with the path's `params`, a canonical query and parsed JSON content.

        Raises KeyError for a parameter of the path that is missing.
        """
        values = [_values(each, params, query, content) for each in self._placeholders]
        tags = [self._joined(chosen) for chosen in islice(product(*values), MOST)]
        return tuple([tag for tag in dict.fromkeys(tags) if tag and not self._is_mistakable(tag)])

    def _joined(self, values: Sequence[str]) -> str:
        first, *others = self._literals
        return first + "".join([value + text for value, text in zip(values, others, strict=True)])

    def _is_mistakable(self, tag: str) -> bool:
        """Whether a client or an upstream made it look like a path, which is a group of another kind."""
        return tag[0] == "/" and not self._literals[0]


def head_tags(tags: Iterable[Tag], params: Mapping[str, str], query: Query) -> tuple[str, ...]:
    """What those tell that need no content."""
    return tuple([name for tag in tags if not tag.reads_content for name in tag.filled(params, query)])


def content_tags(tags: Iterable[Tag], params: Mapping[str, str], query: Query, content: bytes) -> tuple[str, ...]:
    """What those tell that read the content: nothing where it is no JSON."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ()
    return tuple([name for tag in tags if tag.reads_content for name in tag.filled(params, query, document)])


def _placeholder(name: str | None, source: str | None, inner: str | None, default: str | None) -> Placeholder:
    if name is not None:
        return PathParameter(name)
    inner = inner or ""
    if default and not _is_value(default):
        raise ValueError(f"a default is text of at most {LONGEST} characters")
    if source == "query":
        return QueryParameter(inner, component(inner), default)
    path = tuple(inner.split("."))
    if "" in path:
        raise ValueError("a member of the content is {body.name}, or {body.outer.inner} for one within another")
    return ContentMember(path, default)


def _refusal(text: str) -> str:
    if ":.*}" in text:
        return "a tag names a parameter as {name}, also one that the path has as {name:.*}"
    return (
        "a placeholder is {name} for a parameter of the path, {query.name} or {body.member}, "
        "the latter two perhaps with a default as in {query.name:-none}; braces have no other use here"
    )


def _values(placeholder: Placeholder, params: Mapping[str, str], query: Query, content: object) -> list[str]:
    match placeholder:
        case PathParameter(name):
            return [_unquoted(params[name]) or params[name]]
        case QueryParameter(_, spelled, default):
            return _usable([_unquoted(value) for name, value in query if name == spelled], default)
        case ContentMember(path, default):
            return _usable(map(_written, _members(content, path)), default)
        case _:
            assert_never(placeholder)


def _usable(found: Iterable[str], default: str | None) -> list[str]:
    values = list(islice(dict.fromkeys([value for value in found if _is_value(value)]), MOST))
    return values or ([] if default is None else [default])


def _is_value(text: str) -> bool:
    return 0 < len(text) <= LONGEST and not _CONTROL.search(text)


def _unquoted(value: str | None) -> str:
    try:
        return unquote(value or "", errors="strict")
    except UnicodeDecodeError:
        return ""


def _members(content: object, path: Member) -> Iterator[object]:
    # Of lists within lists nothing is told, so that no content can lead deeper than the config says.
    for item in content if isinstance(content, list) else (content,):
        if not path:
            yield item
        elif isinstance(item, dict) and path[0] in item:
            yield from _members(item[path[0]], path[1:])


def _written(value: object) -> str:
    """A scalar as the tag has it, empty for what is none."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case _:
            return ""
