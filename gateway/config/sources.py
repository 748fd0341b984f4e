"""Every file that a config was read from, each read once, and what each of them held."""

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from glob import glob
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

LARGEST = 64 << 20
"""Bytes that one file may hold; a hundred thousand keys take a fifth of that. Of a larger one no more is ever read."""


class TooLarge(Exception):
    """More than a reader was ready to read."""


@dataclass(slots=True, frozen=True)
class Sources:
    """What was read, by absolute path: the SHA-256 of each file's content, None where it could not be read; and for
    each pattern (absolute) what it matched, sorted. Equal where the content is.

    Pipes are not among them: nobody can look twice at what one held. Anything else that is no regular file is as one
    that cannot be read, until it is one.
    """

    files: Mapping[Path, bytes | None] = field(default_factory=dict)
    patterns: Mapping[Path, tuple[Path, ...]] = field(default_factory=dict)

    def now(self) -> "Sources":
        """The same files and patterns as they are at this moment; blocks while they are read."""
        return Sources(
            {path: _digest_of(path) for path in self.files}, {pattern: matches(pattern) for pattern in self.patterns}
        )


class Files:
    """Reads files for one config, each once, so that what was digested is what was used.

    `most`: bytes over all of them, beyond which `read` raises TooLarge, as it does for what has no size to tell.
    """

    def __init__(self, most: int | None = None) -> None:
        self._left = most
        self._contents: dict[Path, bytes | OSError] = {}
        self._digests: dict[Path, bytes | None] = {}
        self._patterns: dict[Path, tuple[Path, ...]] = {}

    @property
    def sources(self) -> Sources:
        """What was read so far."""
        return Sources(dict(self._digests), dict(self._patterns))

    @property
    def limited(self) -> bool:
        """Whether it reads so many bytes at most."""
        return self._left is not None

    def read(self, path: Path) -> bytes:
        """The content of the file at `path`. Raises OSError and TooLarge."""
        path = path.absolute()
        if path not in self._contents:
            self._contents[path] = self._read(path)
        content = self._contents[path]
        if isinstance(content, OSError):
            raise content
        return content

    def matching(self, pattern: Path) -> tuple[Path, ...]:
        """What `matches` finds, noted as a source."""
        found = matches(pattern)
        self._patterns[pattern.absolute()] = tuple([path.absolute() for path in found])
        return found

    def _read(self, path: Path) -> bytes | OSError:
        try:
            if self._left is not None:
                self._left = _left_after(path, self._left)
            with path.open("rb") as file:
                content = _content(file)
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            self._digests[path] = None
            return error
        except ValueError:
            return OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if not stat.S_ISFIFO(mode):
            self._digests[path] = sha256(content).digest() if stat.S_ISREG(mode) else None
        return content


def matches(pattern: Path) -> tuple[Path, ...]:
    """The files that a glob pattern matches, sorted by name; hidden ones and folders are none."""
    # Path.glob takes no absolute pattern, and finds hidden files.
    found = sorted(glob(str(pattern)))  # noqa: PTH207 - see above
    # Nor does Path.is_dir take it that somebody may list a folder without being let in.
    return tuple([Path(path) for path in found if not os.path.isdir(path)])  # noqa: PTH112 - see above


def _left_after(path: Path, left: int) -> int:
    state = path.stat()
    if not stat.S_ISREG(state.st_mode) or state.st_size > left:
        raise TooLarge
    return left - state.st_size


def _content(file: BinaryIO) -> bytes:
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def _digest_of(path: Path) -> bytes | None:
    """None for what cannot be read, whatever the reason: whoever looks regularly must live to look again."""
    try:
        # Were it a pipe by now, waiting for a writer would take for ever.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        with os.fdopen(file, "rb", closefd=False) as content:
            return sha256(_content(content)).digest()
    except OSError:
        return None
    finally:
        os.close(file)
