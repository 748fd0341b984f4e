"""Templates of background refreshes filled with their values: JSON for answers, targets and content for the upstream.

In a template's strings `{name}` is a placeholder, `{{` and `}}` are braces. Members' names are not filled.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

from gateway.admission.background import Call, Json
from gateway.admission.target import Target, canonical, component

_PIECE = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<name>[a-z_][a-z0-9_]*)\}|(?P<text>[^{}]+)")


def filled(template: Json, values: Mapping[str, Json]) -> Json:
    """The template with its placeholders replaced. A string that is one placeholder alone becomes that value itself,
    whatever its type; within other text None is nothing, and what is no text stands as JSON writes it.

    Raises ValueError for a malformed template, and KeyError for a placeholder that `values` does not have.
    """
    match template:
        case str():
            alone = _alone(template)
            return values[alone] if alone is not None else worded(template, values)
        case list():
            return [filled(item, values) for item in template]
        case dict():
            return {name: filled(item, values) for name, item in template.items()}
        case _:
            return template


def worded(template: str, values: Mapping[str, Json]) -> str:
    """`filled`, but always text: what one placeholder alone becomes as well."""
    return "".join([text if name is None else _text(values[name]) for text, name in _pieces(template)])


def spelled(template: str, values: Mapping[str, Json]) -> str:
    """A target in canonical form; values are percent-encoded, so that none ends its segment or parameter.

    Raises `Problem` with `ambiguous_target` where a value is no path segment (`..`, nothing, one with a slash), and as
    `filled` does.
    """
    encoded = [text if name is None else quote(_text(values[name]), safe="") for text, name in _pieces(template)]
    return canonical("".join(encoded)).render()


def called(call: Call, values: Mapping[str, Json]) -> tuple[str, bytes]:
    """The canonical target of a call and its content, b"" for none.

    What has a placeholder whose value is None is left out of query and content. Raises as `spelled` does.
    """
    path, query = canonical(spelled(call.path, values))
    added = [
        (component(name), component(worded(template, values)))
        for name, template in call.query
        if _has_values(template, values)
    ]
    content = b"" if call.content is None else _content(call.content, values)
    return Target(path, (*query, *added)).render(), content


def placeholders(template: Json) -> frozenset[str]:
    """The names of all placeholders in the template. Raises ValueError where a brace is neither one's nor doubled."""
    return frozenset(_names(template))


def _content(template: Json, values: Mapping[str, Json]) -> bytes:
    if not _has_values(template, values):
        return b""
    return json.dumps(filled(_kept(template, values), values), separators=(",", ":")).encode()


def _kept(template: Json, values: Mapping[str, Json]) -> Json:
    """The template without the strings that lack a value."""
    match template:
        case list():
            return [_kept(item, values) for item in template if _has_values(item, values)]
        case dict():
            return {name: _kept(item, values) for name, item in template.items() if _has_values(item, values)}
        case _:
            return template


def _has_values(template: Json, values: Mapping[str, Json]) -> bool:
    return not isinstance(template, str) or all(values[name] is not None for name in _names(template))


def _names(template: Json) -> Iterator[str]:
    match template:
        case str():
            yield from [name for _, name in _pieces(template) if name is not None]
        case list():
            for item in template:
                yield from _names(item)
        case dict():
            for item in template.values():
                yield from _names(item)
        case _:
            return


def _alone(template: str) -> str | None:
    pieces = _pieces(template)
    return pieces[0][1] if len(pieces) == 1 else None


# A config has few templates, and each is filled for every subject.
@lru_cache(maxsize=1024)
def _pieces(template: str) -> tuple[tuple[str, str | None], ...]:
    """Literal text and placeholders' names in their order: (text, None) or ("", name)."""
    pieces, end = [], 0
    while end < len(template):
        found = _PIECE.match(template, end)
        if found is None:
            raise ValueError("a placeholder is {name}, and a brace that is none's is doubled")
        pieces.append(((found["text"] or (found["brace"] or "")[:1]), found["name"]))
        end = found.end()
    return tuple(pieces)


def _text(value: Json) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return json.dumps(value)
