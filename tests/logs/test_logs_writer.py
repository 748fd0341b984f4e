"""Lines on their way out: in order, never waited for, and what is lost is told."""

import os
from collections.abc import Iterator
from errno import ENOSPC

import pytest
from logs.pipes import Pipe, piped
from support.polling import eventually

from gateway.logs import writer as writing
from gateway.logs.writer import MOST_WAITING, Writer


def telling(count: int) -> bytes:
    return b"lost %d\n" % count


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with piped() as made:
        yield made


def test_lines_are_written_in_their_order(pipe: Pipe) -> None:
    writer, lines = Writer(pipe.end, telling), [b"%d\n" % number for number in range(5000)]
    for line in lines:
        writer.put(line)
    eventually(lambda: writer._waiting.empty())
    written = pipe.read()
    writer.close()
    assert (written + pipe.rest(), writer.dropped) == (b"".join(lines), 0)


def test_the_thread_rests_after_a_write_and_takes_the_next_lines_together(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_REST", 60)
    writer = Writer(pipe.end, telling)
    writer.put(b"first\n")
    assert pipe.read() == b"first\n"
    writes, write = list[bytes](), os.write

    def counted(end: int, data: bytes) -> int:
        writes.append(data)
        return write(end, data)

    monkeypatch.setattr(os, "write", counted)
    for line in (b"second\n", b"third\n", b"fourth\n"):
        writer.put(line)
    writer.close()
    assert writes == [b"second\nthird\nfourth\n"]


def test_it_does_not_rest_while_a_whole_batch_waits(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a hundred batches came in a second, and what was beyond them was dropped."""
    monkeypatch.setattr(writing, "_REST", 3600)
    monkeypatch.setattr(writing, "_BATCH", 8)
    writer = Writer(pipe.end, telling)
    writer.put(b"a batch\n")
    assert pipe.read() == b"a batch\n"
    writer.put(b"behind\n")
    eventually(lambda: writer._waiting.empty())
    writer.close()
    assert writer.dropped == 0


def test_a_reader_that_is_stuck_is_never_waited_for_and_told_of_later(pipe: Pipe) -> None:
    pipe.fill()
    writer = Writer(pipe.end, telling)
    writer.put(b"first\n")
    eventually(lambda: writer._waiting.empty())
    for _ in range(MOST_WAITING + 3):
        writer.put(b"\n")
    assert writer.dropped == 3
    while b"first" not in (read := pipe.read()):
        pass
    # The thread is in the midst of what is read here.
    while b"lost 3\n" not in read:
        read += pipe.read()
    writer.close()
    assert b"lost" not in pipe.rest()


def test_the_end_waits_for_a_stuck_reader_but_not_for_ever(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_PATIENCE", 0.01)
    pipe.fill()
    writer = Writer(pipe.end, telling)
    writer.put(b"never\n")
    writer.close()
    assert writer._thread.is_alive()
    while b"never" not in pipe.read():
        pass
    writer._thread.join()


def test_whoever_makes_the_pipe_non_blocking_loses_nothing(pipe: Pipe) -> None:
    pipe.fill()
    os.set_blocking(pipe.end, False)
    writer = Writer(pipe.end, telling)
    writer.put(b"patient\n")
    while b"patient" not in pipe.read():
        pass
    writer.close()
    assert writer.dropped == 0


def test_nobody_reads_any_longer(pipe: Pipe) -> None:
    os.close(pipe.reading)
    writer = Writer(pipe.end, telling)
    writer.put(b"lost\n")
    writer.close()
    assert writer.dropped == 1


@pytest.mark.parametrize("closed", [True, False])
def test_nowhere_to_write(pipe: Pipe, closed: bool) -> None:
    if closed:
        os.close(pipe.end)
    writer = Writer(pipe.end if closed else None, telling)
    writer.put(b"lost\n")
    writer.close()
    assert writer.dropped == 1


def test_what_takes_the_number_of_a_closed_stream_gets_no_lines(pipe: Pipe) -> None:
    writer = Writer(pipe.end, telling)
    with piped() as other:
        os.dup2(other.end, pipe.end)
        writer.put(b"line\n")
        writer.close()
        os.close(other.end)
        assert pipe.read() == b"line\n"
        os.close(pipe.end)
        assert other.read() == b""


class Disk:
    """Takes so many bytes of each write, none more where `room` is used up."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = b""

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(ENOSPC, "No space left on device")
        taken = data[: min(7, self.room)]
        self.room -= len(taken)
        self.written += taken
        return len(taken)


@pytest.mark.parametrize(
    ("room", "written"),
    [
        (0, b"lost 2\nthird\n"),
        (3, b"fir\nlost 2\nthird\n"),
        (6, b"first\nlost 1\nthird\n"),
        (99, b"first\nsecond\nthird\n"),
    ],
    ids=["nothing fits", "part of a line", "one of two", "all"],
)
def test_a_full_disk(pipe: Pipe, monkeypatch: pytest.MonkeyPatch, room: int, written: bytes) -> None:
    disk = Disk(room)
    monkeypatch.setattr(os, "write", disk.write)
    writer = Writer(pipe.end, telling)
    writer._write([b"first\n", b"second\n"])
    disk.room = 99
    writer._write([b"third\n"])
    writer.close()
    assert disk.written == written


def test_what_was_lost_last_is_told_at_the_end(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(0)
    monkeypatch.setattr(os, "write", disk.write)
    writer = Writer(pipe.end, telling)
    writer._write([b"first\n"])
    disk.room = 99
    writer.close()
    assert (disk.written, writer.dropped) == (b"lost 1\n", 1)


def test_lines_of_two_that_share_a_pipe_do_not_mix(pipe: Pipe) -> None:
    lines = [b"%c" % letter * 300 + b"\n" for letter in b"ab"]
    writers = [Writer(pipe.end, telling, shared=True) for _ in lines]
    for _ in range(2000):
        for writer, line in zip(writers, lines, strict=True):
            writer.put(line)
    read = b""
    while len(read) < 4000 * len(lines[0]):
        read += pipe.read()
    for writer in writers:
        writer.close()
    assert {*read.splitlines(keepends=True)} == {*lines}
