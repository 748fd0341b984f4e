"""A config in several files: those that `include` names are read as well, and joined to one document."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from glob import escape, has_magic
from pathlib import Path

from gateway.config.document import MAX_VALUES, Document, Node, SettingPath
from gateway.config.errors import ConfigError
from gateway.config.joining import joined
from gateway.config.source import NO_MAPPING, Part, part
from gateway.config.sources import Files


@dataclass(slots=True, frozen=True)
class Reading:
    """A config as its files hold it, and what is wrong with them so far.

    `document` is None where the main file could not be read to its end; `whole` says that all could.
    """

    document: Document | None
    errors: list[ConfigError]
    whole: bool


def read(path: Path, environ: Mapping[str, str], files: Files) -> Reading:
    """The config in the file at `path` and in those that it includes. Raises TooLarge where `files` does."""
    file = str(path)
    try:
        main = part(path, environ, files)
    except OSError as error:
        return Reading(None, [ConfigError(file, 0, 0, f"cannot be read: {error.strerror}")], whole=False)
    if main.whole and main.root.value is None:
        return Reading(None, [*main.errors, ConfigError(file, 1, 1, NO_MAPPING)], whole=False)
    included, errors = _included(Document(file, path.parent, main.root), environ, files)
    whole = not errors and all(each.whole for each in included)
    parts = [*[each for each in included if each.root.value is not None], main]
    errors = [*errors, *[error for each in parts for error in each.errors]]
    if sum(each.root.size for each in parts) > MAX_VALUES:
        largest = max((each.root for each in parts), key=lambda root: root.size)
        message = f"the aliases stand for more than {MAX_VALUES:,} values"
        return Reading(None, [*errors, ConfigError(largest.file, largest.line, largest.column, message)], whole=False)
    if not main.whole:
        return Reading(None, errors, whole=False)
    root, clashes = joined([_usable(each) for each in parts])
    return Reading(Document(file, path.parent, root), [*errors, *clashes], whole)


def _included(document: Document, environ: Mapping[str, str], files: Files) -> tuple[list[Part], list[ConfigError]]:
    """Every included file once, in the order in which the main one names them; not that one itself."""
    parts: list[Part] = []
    errors: list[ConfigError] = []
    seen = {os.path.realpath(document.file)}
    for setting, text in _named(document):
        for path in _matching(document.folder, text, files):
            if (real := os.path.realpath(path)) in seen:
                continue
            seen.add(real)
            try:
                found = part(path, environ, files)
            except OSError as error:
                shown = path if document.literal(setting) else "the file"
                errors.append(document.error(f"{shown} cannot be read: {error.strerror}", setting))
            else:
                errors += _nested(found.root, document.file)
                parts.append(replace(found, root=_alone(found.root)))
    return parts, errors


def _named(document: Document) -> Iterator[tuple[SettingPath, str]]:
    """Each of `include`, as far as it makes sense; the schema tells the rest."""
    include = document.at(("include",))
    if include is None:
        return
    nodes = include.value if isinstance(include.value, tuple) else (include,)
    for at, node in enumerate(nodes):
        if isinstance(node.value, str) and node.value and "\0" not in node.value:
            yield ("include", at), node.value


def _matching(folder: Path, text: str, files: Files) -> tuple[Path, ...]:
    return files.matching(Path(escape(str(folder))) / text) if has_magic(text) else (folder / text,)


def _nested(root: Node, main: str) -> Iterator[ConfigError]:
    if isinstance(root.value, Mapping) and "include" in root.value:
        member = root.value["include"]
        yield ConfigError(root.file, member.line, member.column, f"include: may stand in {main} only")


def _alone(root: Node) -> Node:
    """The settings of an included file without what is the main one's alone."""
    if not isinstance(root.value, Mapping):
        return root
    return replace(root, value={key: member for key, member in root.value.items() if key != "include"})


def _usable(found: Part) -> Node:
    """A file's settings without those that could not be read."""
    return Document("", Path(), found.root).without_broken().root if found.errors else found.root
