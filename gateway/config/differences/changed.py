"""Which settings differ between two sections of one kind, spelled as the config spells them; never a secret."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.config.section import Section

Spelled: TypeAlias = "str | int | float | bool | list[Spelled] | dict[str, Spelled] | None"

# What goes to the upstream may be a credential as well as a fixed word.
_SENT = frozenset({"refresh.upstream.query", "refresh.post_query"})

_LONGEST = 80
_MOST_NAMED = 5


@dataclass(slots=True, frozen=True)
class Changed:
    """One setting, named by its path within the section; None is left out. `hidden`: its values must not be shown."""

    path: str
    old: Spelled
    new: Spelled
    hidden: bool = False

    def __str__(self) -> str:
        if self.hidden:
            return f"{self.path} {_hidden(self.old, self.new)}"
        return f"{self.path} {_shown(self.old)} → {_shown(self.new)}"


def changes(old: Section, new: Section, within: str = "", *, leave: Iterable[str] = ()) -> Iterator[Changed]:
    """Every setting that differs, in the schema's order, but for the fields to `leave`; `within` begins the paths.

    Fields that the schema keeps out of `repr` are hidden, and what a refresh adds to queries.
    """
    for name, field in type(new).model_fields.items():
        before, after, path = getattr(old, name), getattr(new, name), f"{within}{field.alias or name}"
        if before == after or name in leave:
            continue
        if isinstance(before, Section) and isinstance(after, Section):
            yield from changes(before, after, f"{path}.")
        else:
            yield from _leaves(path, _spelled(old, name), _spelled(new, name), hidden=not field.repr or path in _SENT)


def listed(names: Iterable[str]) -> str:
    """The first few names and how many more there are."""
    first = list(names)
    more = len(first) - _MOST_NAMED
    return ", ".join(first) if more <= 1 else f"{', '.join(first[:_MOST_NAMED])} and {more} more"


def _leaves(path: str, old: Spelled, new: Spelled, *, hidden: bool) -> Iterator[Changed]:
    before, after = _by_name(old), _by_name(new)
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _leaves(f"{path}.{name}", *_both(before, after, name), hidden=hidden)
    elif before != after:
        yield Changed(path, old, new, hidden)


def _by_name(value: Spelled) -> Spelled:
    """A list of mappings that have names as a mapping of them; nothing as an empty one."""
    if value == []:
        return {}
    items = value if isinstance(value, list) else []
    named = {str(item["name"]): _nameless(item) for item in items if isinstance(item, dict) and "name" in item}
    return {**named} if named else value


def _nameless(item: dict[str, Spelled]) -> Spelled:
    return {key: value for key, value in item.items() if key != "name"}


def _both(before: dict[str, Spelled], after: dict[str, Spelled], name: str) -> tuple[Spelled, Spelled]:
    """What either has under a name; a mapping that one of them lacks is an empty one there."""
    old, new = before.get(name), after.get(name)
    lacking: Spelled = {} if isinstance(old, dict) or isinstance(new, dict) else None
    return (lacking if old is None else old), (lacking if new is None else new)


def _spelled(section: Section, name: str) -> Any:
    return next(iter(section.model_dump(mode="json", by_alias=True, include={name}).values()))


def _hidden(old: Spelled, new: Spelled) -> str:
    if old in (None, "", [], {}):
        return "is set"
    return "is left out" if new in (None, "", [], {}) else "changed"


def _shown(value: Spelled) -> str:
    match value:
        case None:
            return "left out"
        case "" | []:
            return "none"
        case bool():
            return str(value).lower()
        case dict():
            return _cut(", ".join([f"{name} {_shown(part)}" for name, part in _said(value)])) or "set"
        case list():
            return _cut(", ".join(map(_shown, value)))
        case _:
            return _cut(str(value))


def _said(value: dict[str, Spelled]) -> list[tuple[str, Spelled]]:
    """What a mapping of single values says; nothing of one that holds more, some of which must not be shown."""
    if any(isinstance(part, dict | list) for part in value.values()):
        return []
    return [(name, part) for name, part in value.items() if part is not None]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
