"""Where in the file system something must happen for a config's files to become others."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from gateway.config.sources import Sources

_MOST_LINKS = 40
_MAGIC = frozenset("*?[")


@dataclass(slots=True, frozen=True)
class Spots:
    """Names in folders, of which `patterns` may stand for others; `identities` (device, inode) tell a folder from a new
    one at its place, which nobody watches yet.
    """

    names: frozenset[Path]
    patterns: frozenset[Path]
    identities: frozenset[tuple[int, int]]

    @property
    def folders(self) -> frozenset[Path]:
        """Where the names stand."""
        return _folders(self.names)

    def concerns(self, path: str) -> bool:
        """Whether what happened to `path` matters."""
        return Path(path) in self.names or any(fnmatchcase(path, str(pattern)) for pattern in self.patterns)


def spots(sources: Sources) -> Spots:
    """The files, what the patterns may match, and every link on the way; of what is missing its first missing part."""
    found = frozenset(_all_on_the_way([*sources.files, *map(_first_open, sources.patterns)]))
    patterns = frozenset([path for path in found if _is_open(path.name)])
    return Spots(found, patterns, frozenset(_identities(_folders(found))))


def _folders(names: Iterable[Path]) -> frozenset[Path]:
    return frozenset([name.parent for name in names])


def _all_on_the_way(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        # Of what may not be read the rest stays unknown.
        with suppress(OSError):
            yield from _on_the_way(path)


def _on_the_way(path: Path) -> Iterator[Path]:
    for _ in range(_MOST_LINKS):
        link = next((part for part in (*reversed(path.parents), path) if part.is_symlink()), None)
        if link is None:
            break
        yield link
        path = link.parent / link.readlink() / path.relative_to(link)
    while not path.parent.is_dir():
        path = path.parent
    yield path


def _identities(folders: Iterable[Path]) -> Iterator[tuple[int, int]]:
    for folder in folders:
        with suppress(OSError):
            found = folder.stat()
            yield found.st_dev, found.st_ino


def _first_open(pattern: Path) -> Path:
    """The pattern as far as its first part that may be anything."""
    return next((part for part in reversed((pattern, *pattern.parents)) if _is_open(part.name)), pattern)


def _is_open(name: str) -> bool:
    return not _MAGIC.isdisjoint(name)
