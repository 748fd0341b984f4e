"""YAML text to a document: scalars stay text, keys are unique, aliases and `<<` followed, `${...}` substituted."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from gateway.config.document import Bare, Member, Node
from gateway.config.errors import ConfigError
from gateway.config.sources import Files
from gateway.config.substitution import Substitute, substitution

_HINT = "indent with spaces alone, and quote values that hold { } : or #"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BARE = re.compile(r"true|True|TRUE|false|False|FALSE|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NEVER_IN_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS = frozenset({None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})

MAX_DEPTH = 50

NO_MAPPING = "a config is a mapping of keys to values"

_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(slots=True, frozen=True)
class Part:
    """What one file holds, by its top-level keys; `x-*` keys are none, and the root of an empty file holds None.

    `whole`: it could be read to its end. Where it could not, `root` holds the settings that stand before the mistake.
    """

    root: Node
    errors: list[ConfigError]
    whole: bool = True


def part(path: Path, environ: Mapping[str, str], files: Files) -> Part:
    """What the file at `path` holds, with what is wrong in it. Raises OSError where it cannot be read, and TooLarge."""
    file = str(path)
    reader = _Reader(file, substitution(environ, path.parent, files))
    try:
        root = reader.document(_text(file, files.read(path)))
    except _Fatal as fatal:
        return Part(_settings(reader.so_far), [*reader.errors, fatal.error], whole=False)
    except yaml.MarkedYAMLError as error:
        return Part(_settings(reader.so_far), [*reader.errors, _syntax_error(file, error)], whole=False)
    if root.value is None:
        return Part(root, reader.errors)
    if not isinstance(root.value, Mapping):
        mistake = ConfigError(file, root.line, root.column, NO_MAPPING)
        return Part(_settings(root), [*reader.errors, mistake], whole=False)
    return Part(_settings(root), reader.errors)


def _text(file: str, raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        raise _misplaced(file, before, "the file is not UTF-8 text") from None
    if found := _NEVER_IN_YAML.search(text):
        raise _misplaced(file, text[: found.start()], "YAML holds no control characters")
    return text


def _misplaced(file: str, before: str, message: str) -> "_Fatal":
    return _Fatal(ConfigError(file, before.count("\n") + 1, len(before) - before.rfind("\n"), message))


def _syntax_error(file: str, error: yaml.MarkedYAMLError) -> ConfigError:
    # The exception's own text quotes the line, secrets and all.
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = ", ".join(part for part in (error.context, error.problem) if part)
    return ConfigError(file, line, column, f"{message} ({_HINT})")


def _settings(root: Node) -> Node:
    """The root without its `x-*` keys; one that is no mapping is an empty one."""
    held = root.value if isinstance(root.value, Mapping) else {}
    members = {key: member for key, member in held.items() if not key.startswith("x-")}
    size = 1 + sum(member.node.size for member in members.values())
    return replace(root, value=members, size=size)


class _Fatal(Exception):
    """What keeps the rest of a file from being read."""

    def __init__(self, error: ConfigError) -> None:
        self.error = error


class _Reader:
    """Makes nodes of YAML events, to a bounded depth: the C composer overruns its stack."""

    def __init__(self, file: str, substitute: Substitute) -> None:
        self.errors: list[ConfigError] = []
        self._file = file
        self._substitute = substitute
        self._anchors: dict[str, Node] = {}
        self._top: dict[str, Member] = {}
        # PyYAML's stubs call every mark optional.
        self._next: Callable[[], Any]

    @property
    def so_far(self) -> Node:
        """The top-level settings that were read to their end."""
        return Node(1, 1, self._top, file=self._file)

    def document(self, text: str) -> Node:
        """The root; raises _Fatal and yaml.MarkedYAMLError."""
        self._next = _Loader(text).get_event
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return Node(1, 1, None, file=self._file)
        root = self._node(self._next(), 0)
        self._next()
        if not isinstance(after := self._next(), yaml.StreamEndEvent):
            raise self._fatal(after, "a config is one document")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._fatal(event, "nested too deeply")
        match event:
            case yaml.ScalarEvent():
                node = self._scalar(event)
            case yaml.MappingStartEvent():
                node = self._mapping(event, depth)
            case yaml.SequenceStartEvent():
                node = self._sequence(event, depth)
            case _:
                return self._alias(event)
        if event.tag not in _TAGS:
            return self._refused(event, "tags such as !!int are not supported")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        # An anchor is known from its value's end on, so an alias within its own anchor is never found.
        known = self._anchors.get(event.anchor)
        return known or self._refused(event, "an alias needs an anchor that ends before it")

    def _scalar(self, event: Any) -> Node:
        line, column = _place(event)
        if event.implicit[0] and event.value in _NULL:
            return Node(line, column, None, file=self._file)
        try:
            text = self._substitute(event.value)
        except ValueError as error:
            return self._refused(event, str(error))
        literal = text == event.value
        if literal and event.implicit[0] and _BARE.fullmatch(text):
            text = Bare(text)
        return Node(line, column, text, literal=literal, file=self._file)

    def _sequence(self, event: Any, depth: int) -> Node:
        items = []
        while not isinstance(item := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(item, depth + 1))
        return Node(*_place(event), tuple(items), size=1 + sum(item.size for item in items), file=self._file)

    def _mapping(self, event: Any, depth: int) -> Node:
        own: dict[str, Member] = {} if depth else self._top
        merged: dict[str, Member] = {}
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            value_event = self._next() if isinstance(key, yaml.ScalarEvent) else self._skip_key(key, depth)
            value = self._node(value_event, depth + 1)
            if not isinstance(key, yaml.ScalarEvent):
                continue
            if key.implicit[0] and key.value == "<<":
                merged = {**self._merge(key, value), **merged}
            elif key.value in own:
                self._refuse(key, f"the key is given twice, first on line {own[key.value].line}")
            else:
                own[key.value] = Member(*_place(key), value)
        members = {**merged, **own}
        size = 1 + sum(member.node.size for member in members.values())
        return Node(*_place(event), members, size=size, file=self._file)

    def _skip_key(self, key: Any, depth: int) -> Any:
        """The event after a key that is no plain text."""
        self._node(key, depth + 1)
        self._refuse(key, "a key must be plain text")
        return self._next()

    def _merge(self, key: Any, value: Node) -> Mapping[str, Member]:
        """What `<<` brings in; of several mappings the first has precedence."""
        merged: dict[str, Member] = {}
        for node in value.value if isinstance(value.value, tuple) else (value,):
            if isinstance(node.value, Mapping):
                merged = {**node.value, **merged}
            elif not node.broken:
                self._refuse(key, "<< needs a mapping or a list of mappings")
        return merged

    def _refused(self, event: Any, message: str) -> Node:
        self._refuse(event, message)
        return Node(*_place(event), None, broken=True, file=self._file)

    def _fatal(self, event: Any, message: str) -> _Fatal:
        return _Fatal(ConfigError(self._file, *_place(event), message))

    def _refuse(self, event: Any, message: str) -> None:
        self.errors.append(ConfigError(self._file, *_place(event), message))


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
