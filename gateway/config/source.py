"""YAML text to a document: scalars stay text, keys are unique, aliases and `<<` followed, `${...}` substituted."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gateway.config.document import Document, Member, Node
from gateway.config.errors import ConfigError, ConfigInvalid
from gateway.config.substitution import Substitute, substitution

_HINT = "indent with spaces alone, and quote values that hold { } : or #"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_NEVER_IN_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS = frozenset({None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})

MAX_DEPTH = 50
MAX_VALUES = 1_000_000
"""Values in one config with all aliases written out: what a document of aliases to aliases is refused by."""

_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def read(path: Path, environ: Mapping[str, str]) -> tuple[Document, list[ConfigError]]:
    """The document in the file at `path`, with what is wrong in it but does not keep the rest from being read.

    Raises ConfigInvalid where nothing can be: an unreadable file, a YAML syntax error, no mapping, too many aliases.
    """
    file, folder = str(path), path.parent
    text = _text(path)
    reader = _Reader(file, substitution(environ, folder))
    try:
        root = reader.document(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise ConfigInvalid([*reader.errors, _syntax_error(file, error)]) from None
    root = _settings(file, root)
    return Document(file, folder, root).without_broken(), reader.errors


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigInvalid([ConfigError(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        raise ConfigInvalid([_misplaced(path, before, "the file is not UTF-8 text")]) from None
    if found := _NEVER_IN_YAML.search(text):
        raise ConfigInvalid([_misplaced(path, text[: found.start()], "YAML holds no control characters")])
    return text


def _misplaced(path: Path, before: str, message: str) -> ConfigError:
    return ConfigError(str(path), before.count("\n") + 1, len(before) - before.rfind("\n"), message)


def _syntax_error(file: str, error: yaml.MarkedYAMLError) -> ConfigError:
    # The exception's own text quotes the line, secrets and all.
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = ", ".join(part for part in (error.context, error.problem) if part)
    return ConfigError(file, line, column, f"{message} ({_HINT})")


def _settings(file: str, root: Node) -> Node:
    """The root without its `x-*` keys. Raises ConfigInvalid for one that is no mapping or too large."""
    if not isinstance(root.value, Mapping):
        raise ConfigInvalid([ConfigError(file, root.line, root.column, "a config is a mapping of keys to values")])
    members = {key: member for key, member in root.value.items() if not key.startswith("x-")}
    if sum(member.node.size for member in members.values()) > MAX_VALUES:
        message = f"the aliases stand for more than {MAX_VALUES:,} values"
        raise ConfigInvalid([ConfigError(file, root.line, root.column, message)])
    return Node(root.line, root.column, members)


class _Reader:
    """Makes nodes of YAML events, to a bounded depth: the C composer overruns its stack."""

    def __init__(self, file: str, substitute: Substitute) -> None:
        self.errors: list[ConfigError] = []
        self._file = file
        self._substitute = substitute
        self._anchors: dict[str, Node] = {}
        # PyYAML's stubs call every mark optional.
        self._events: Iterator[Any] = iter(())

    def document(self, events: Iterator[Any]) -> Node:
        self._events = (e for e in events if not isinstance(e, yaml.StreamStartEvent | yaml.DocumentStartEvent))
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            return Node(1, 1, None)
        root = self._node(first, 0)
        next(self._events)
        if not isinstance(after := next(self._events), yaml.StreamEndEvent):
            raise self._fatal(after, "a config is one document")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._fatal(event, "nested too deeply")
        match event:
            case yaml.AliasEvent():
                return self._alias(event)
            case yaml.ScalarEvent():
                node = self._scalar(event)
            case yaml.SequenceStartEvent():
                node = self._sequence(event, depth)
            case _:
                node = self._mapping(event, depth)
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
            return Node(line, column, None)
        try:
            text = self._substitute(event.value)
        except ValueError as error:
            return self._refused(event, str(error))
        return Node(line, column, text, literal=text == event.value)

    def _sequence(self, event: Any, depth: int) -> Node:
        items = []
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(item, depth + 1))
        return Node(*_place(event), tuple(items), size=1 + sum(item.size for item in items))

    def _mapping(self, event: Any, depth: int) -> Node:
        own: dict[str, Member] = {}
        merged: dict[str, Member] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            value_event = next(self._events) if isinstance(key, yaml.ScalarEvent) else self._skip_key(key, depth)
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
        return Node(*_place(event), members, size=1 + sum(member.node.size for member in members.values()))

    def _skip_key(self, key: Any, depth: int) -> Any:
        """The event after a key that is no plain text."""
        self._node(key, depth + 1)
        self._refuse(key, "a key must be plain text")
        return next(self._events)

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
        return Node(*_place(event), None, broken=True)

    def _fatal(self, event: Any, message: str) -> ConfigInvalid:
        return ConfigInvalid([*self.errors, ConfigError(self._file, *_place(event), message)])

    def _refuse(self, event: Any, message: str) -> None:
        self.errors.append(ConfigError(self._file, *_place(event), message))


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
