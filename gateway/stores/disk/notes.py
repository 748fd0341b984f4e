"""What was outdated, noted in a file by one write before its answer leaves: the tier behind is told later.

The file begins with a name that the responses' file knows too. Whatever is wrong with it, they are not to be trusted.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Any

import structlog

from gateway.stores.encoding import decode_json, encode_json

Note = tuple[Any, ...]
"""Anything that JSON can hold, as `Behind` writes and reads it."""

KEPT = 64 << 10
"""Bytes that may stay though the tier knows of all that they say."""

MOST = 16 << 20
"""Bytes of what the tier has yet to be told; beyond, the next process starts with nothing instead."""

_LENGTH = Struct(">I")


def read(path: Path) -> tuple[str, tuple[Note, ...]] | None:
    """The file's name for itself and its notes; None where any of it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    notes, at = [], 0
    while at < len(content):
        begin = at + _LENGTH.size
        if begin > len(content):
            return None
        at = begin + _LENGTH.unpack_from(content, begin - _LENGTH.size)[0]
        note = decode_json(content[begin:at])
        if note is None or at > len(content):
            return None
        notes.append(note)
    return (notes[0][0], tuple(notes[1:])) if notes else None


class Notes:
    """The notes of this process, after `earlier` ones that the tier may not have been told.

    Nothing here raises once it is made: what cannot be noted is made up for by leaving the next process nothing to
    trust, until the tier has been told everything. Raises OSError where the file cannot be made.
    """

    def __init__(self, path: Path, name: str, earlier: Sequence[Note] = ()) -> None:
        self.earlier = tuple(earlier)
        self._path = path
        self._head = _framed((name,))
        self._lost = self._emptied = False
        content = self._head + b"".join(map(_framed, earlier))
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        self._file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._size = 0
        try:
            self._write(content)
            os.replace(new, path)  # noqa: PTH105 - as every call here is the system's own
        except OSError:
            os.close(self._file)
            raise
        self._log = structlog.get_logger("gateway.disk")

    def add(self, note: Note) -> None:
        """Let the next process know of it, whatever becomes of this one."""
        if not self._lost:
            try:
                self._append(_framed(note))
            except OSError as error:
                self._lost = True
                self._log.warning("responses on disk may not outlast this process", reason=error.strerror)
        if self._lost and not self._emptied:
            self._empty()

    def settled(self) -> None:
        """The tier has been told everything."""
        if not self._lost and self._size <= KEPT:
            return
        self._lost = True
        self._empty()
        if self._emptied:
            with suppress(OSError):
                self._write(self._head)
                self._lost = self._emptied = False

    def close(self) -> None:
        """Nothing is noted any more."""
        os.close(self._file)

    def _append(self, content: bytes) -> None:
        if self._size > MOST:
            raise OSError(errno.EFBIG, "they are told too slowly what was outdated")
        self._write(content)

    def _write(self, content: bytes) -> None:
        if os.write(self._file, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(content)

    def _empty(self) -> None:
        """Without its name the file is no word for the responses': a full disk allows that too."""
        try:
            os.ftruncate(self._file, 0)
        except OSError as error:
            # Tried again with the next note.
            self._log.error("responses on disk may be outdated", file=str(self._path), reason=error.strerror)
            return
        self._size, self._emptied = 0, True


def _framed(note: Note) -> bytes:
    content = encode_json(note)
    return _LENGTH.pack(len(content)) + content
