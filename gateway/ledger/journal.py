"""The append-only journal: groups with sequence number, length and CRC-32 in segment files named by their first one.

A group that could not be written, or not synced, is cut off again. Where even that fails its segment is given up, and
the next one begins with the same number: what the older segment holds from there on does not count.
"""

import errno
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

from gateway.ledger.records import LedgerCorrupt

SEGMENT = 8 << 20
_MAGIC = b"\xffGJ1"  # 0xff cannot stand in a payload, which is UTF-8
_HEAD = struct.Struct("<4sQII")


class Journal:
    """Appends groups after `sequence`, always in a new segment; segments are rotated at `segment` bytes.

    One thread appends; another may `drop` and `replay`.
    """

    def __init__(self, folder: Path, sequence: int, segment: int = SEGMENT) -> None:
        self._folder = folder
        self._segment = segment
        self._sequence = sequence
        self._firsts = [first for first, _ in _segments(folder)]
        self._file: int | None = None
        self._offset = self._last = 0
        self._unsynced_name = False

    @property
    def folder(self) -> Path:
        """Where the segments are."""
        return self._folder

    @property
    def sequence(self) -> int:
        """The latest group's number; the first group is 1."""
        return self._sequence

    def append(self, payload: bytes) -> int:
        """Writes one group and returns its number. Raises OSError, and then nothing was written."""
        file = self._file
        if file is None or self._offset >= self._segment:
            file = self._rotate()
        sequence = self._sequence + 1
        group = _HEAD.pack(_MAGIC, sequence, len(payload), _crc(sequence, payload)) + payload
        try:
            if os.write(file, group) < len(group):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._cut(file, self._offset)
            raise
        self._last = self._offset
        self._offset += len(group)
        self._sequence = sequence
        return sequence

    def retract(self) -> None:
        """Takes the latest append back, which `sync` failed for; its segment, in an unknown state, is given up."""
        if self._file is not None:
            self._cut(self._file, self._last)
        self._give_up()
        self._sequence -= 1

    def sync(self) -> None:
        """Brings everything appended to the disk itself. Raises OSError."""
        if self._file is not None:
            os.fdatasync(self._file)
        if self._unsynced_name:
            _sync_folder(self._folder)
            self._unsynced_name = False

    def droppable(self, upto: int) -> bool:
        """Whether a segment holds nothing after group `upto`; the one being written never counts."""
        return len(self._firsts) > 1 and self._firsts[1] <= upto + 1

    def drop(self, upto: int) -> None:
        """Removes the segments that hold nothing after group `upto`. Raises OSError."""
        while self.droppable(upto):
            _path(self._folder, self._firsts[0]).unlink(missing_ok=True)
            del self._firsts[0]

    def size(self) -> int:
        """Bytes on disk."""
        return folder_size(self._folder)

    def close(self) -> None:
        """Closes the file; idempotent."""
        self._give_up()

    def _rotate(self) -> int:
        first = self._sequence + 1
        # Truncated: a segment of that name holds only what was given up.
        file = os.open(_path(self._folder, first), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._give_up()
        if first not in self._firsts[-1:]:
            self._firsts.append(first)
        self._file, self._offset, self._unsynced_name = file, 0, True
        return file

    def _cut(self, file: int, offset: int) -> None:
        try:
            os.ftruncate(file, offset)
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            # Closed it is in any case; what did not come to the disk by then, `sync` has told or was not asked.
            with suppress(OSError):
                os.close(file)


def replay(folder: Path, after: int) -> Iterator[tuple[int, bytes]]:
    """The groups after number `after`, in order, up to a torn tail. Raises LedgerCorrupt for any other gap."""
    expected = after + 1
    segments = _segments(folder)
    for (first, path), following in zip_longest(segments, (first for first, _ in segments[1:])):
        if following is not None and following <= expected:
            continue
        if first > expected:
            raise LedgerCorrupt(f"{path}: begins with group {first}, but group {expected} is not there")
        for sequence, payload in _groups(path, first):
            if following is not None and sequence >= following:
                break
            if sequence == expected:
                expected += 1
                yield sequence, payload
        if following is not None and expected < following:
            raise LedgerCorrupt(f"{path}: group {expected} is damaged")


def folder_size(folder: Path, beginning: str = "") -> int:
    """Bytes of the files in `folder` whose names begin so; one that goes meanwhile counts as none."""
    with os.scandir(folder) as files:
        return sum(_size(file) for file in files if file.name.startswith(beginning))


def _size(file: os.DirEntry[str]) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:
        return 0


def _groups(path: Path, first: int) -> Iterator[tuple[int, bytes]]:
    data = path.read_bytes()
    offset, expected = 0, first
    while group := _read(data, offset):
        sequence, payload = group
        if sequence != expected:
            raise LedgerCorrupt(f"{path}: group {sequence} stands where {expected} belongs")
        yield sequence, payload
        offset += _HEAD.size + len(payload)
        expected += 1
    if _any_group_after(data, offset):
        raise LedgerCorrupt(f"{path}: group {expected} at byte {offset} is damaged")


def _read(data: bytes, offset: int) -> tuple[int, bytes] | None:
    """The whole group at `offset`; None if there is none."""
    if len(data) - offset < _HEAD.size:
        return None
    magic, sequence, length, crc = _HEAD.unpack_from(data, offset)
    payload = data[offset + _HEAD.size : offset + _HEAD.size + length]
    if magic != _MAGIC or len(payload) < length or _crc(sequence, payload) != crc:
        return None
    return sequence, payload


def _any_group_after(data: bytes, offset: int) -> bool:
    while (offset := data.find(_MAGIC, offset + 1)) >= 0:
        if _read(data, offset):
            return True
    return False


def _crc(sequence: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(sequence.to_bytes(8, "little")))


def _path(folder: Path, first: int) -> Path:
    return folder / f"{first:020}.journal"


def _segments(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.stem), path) for path in folder.glob("*.journal"))


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
