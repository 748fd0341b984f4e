import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.journal import Journal, _size, replay
from gateway.ledger.records import LedgerCorrupt

PAYLOADS = st.lists(st.binary(max_size=40), min_size=1, max_size=6)


def write(folder: Path, *payloads: bytes, after: int = 0, segment: int = 1 << 20) -> Journal:
    journal = Journal(folder, after, segment)
    for payload in payloads:
        journal.append(payload)
    return journal


def segments(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def groups(folder: Path, after: int = 0) -> list[bytes]:
    found = list(replay(folder, after))
    assert [sequence for sequence, _ in found] == list(range(after + 1, after + 1 + len(found)))
    return [payload for _, payload in found]


@given(PAYLOADS, st.data())
def test_a_tail_torn_at_any_byte_ends_the_journal_there(payloads: list[bytes], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder, ends = Path(name), [0]
        journal = Journal(folder, 0)
        for payload in payloads:
            journal.append(payload)
            ends.append(journal.size())
        journal.close()
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(segments(folder)[0], cut)
        whole = sum(end <= cut for end in ends) - 1
        assert groups(folder) == payloads[:whole]
        write(folder, b"next", after=whole).close()
        assert groups(folder) == [*payloads[:whole], b"next"]


@given(PAYLOADS, st.data())
def test_a_changed_byte_is_never_read_as_a_group(payloads: list[bytes], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder, ends = Path(name), [0]
        journal = Journal(folder, 0)
        for payload in payloads:
            journal.append(payload)
            ends.append(journal.size())
        journal.close()
        text = bytearray(segments(folder)[0].read_bytes())
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] ^= data.draw(st.integers(1, 255))
        segments(folder)[0].write_bytes(text)
        damaged = sum(end <= place for end in ends) - 1
        if damaged == len(payloads) - 1:
            assert groups(folder) == payloads[:damaged]
        else:
            with pytest.raises(LedgerCorrupt, match=f"group {damaged + 1} "):
                groups(folder)


def test_segments_end_at_their_size_and_are_read_as_one(tmp_path: Path) -> None:
    payloads = [b"%d" % n * 30 for n in range(10)]
    write(tmp_path, *payloads, segment=100).close()
    assert len(segments(tmp_path)) > 3
    assert groups(tmp_path) == payloads
    for after in range(11):
        assert groups(tmp_path, after) == payloads[after:]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_missing_segment_is_refused(tmp_path: Path, lost: int) -> None:
    write(tmp_path, b"a" * 50, b"b" * 50, b"c" * 50, b"d" * 50, segment=10).close()
    segments(tmp_path)[lost].unlink()
    with pytest.raises(LedgerCorrupt, match="group"):
        groups(tmp_path)


def test_a_damaged_last_group_before_another_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, b"a" * 50, b"b" * 50, segment=10).close()
    os.truncate(segments(tmp_path)[0], 30)
    with pytest.raises(LedgerCorrupt, match="group 1 is damaged"):
        groups(tmp_path)


def test_groups_out_of_order_are_refused(tmp_path: Path) -> None:
    write(tmp_path, b"a").close()
    first = segments(tmp_path)[0]
    first.write_bytes(first.read_bytes() * 2)
    with pytest.raises(LedgerCorrupt, match="group 1 stands where 2 belongs"):
        groups(tmp_path)


def test_drop_removes_only_what_is_wholly_applied(tmp_path: Path) -> None:
    journal = write(tmp_path, *[b"x" * 50] * 5, segment=120)
    assert [int(path.stem) for path in segments(tmp_path)] == [1, 3, 5]
    assert not journal.droppable(1)
    journal.drop(1)
    assert len(segments(tmp_path)) == 3
    assert journal.droppable(2)
    journal.drop(3)
    assert [int(path.stem) for path in segments(tmp_path)] == [3, 5]
    journal.drop(99)
    assert [int(path.stem) for path in segments(tmp_path)] == [5]
    assert groups(tmp_path, 4) == [b"x" * 50]
    journal.close()


def test_size_is_what_is_on_disk(tmp_path: Path) -> None:
    journal = write(tmp_path, b"x" * 50, b"y" * 50, segment=10)
    assert journal.size() == sum(path.stat().st_size for path in segments(tmp_path)) > 100
    journal.close()
    journal.close()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_short_write_leaves_no_trace(tmp_path: Path) -> None:
    journal = write(tmp_path, b"good")
    size = journal.size()
    with file_size_limit(size + 10):
        for _ in range(2):
            with pytest.raises(OSError, match="space"):
                journal.append(b"x" * 100)
            assert journal.size() == size
    assert journal.append(b"better") == 2
    assert groups(tmp_path) == [b"good", b"better"]
    assert len(segments(tmp_path)) == 1
    journal.close()


def no_truncate(file: int, length: int) -> None:
    raise OSError(errno.EIO, "no truncate")


@pytest.mark.parametrize("good", [[], [b"good"], [b"good", b"better"]], ids=len)
def test_a_segment_that_cannot_be_cut_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: list[bytes]
) -> None:
    journal = write(tmp_path, *good)
    with monkeypatch.context() as broken:
        broken.setattr("os.ftruncate", no_truncate)
        with file_size_limit(journal.size() + 25), pytest.raises(OSError, match="space"):
            journal.append(b"x" * 100)
    assert journal.append(b"after") == len(good) + 1
    assert groups(tmp_path) == [*good, b"after"]
    journal.close()


@pytest.mark.parametrize("truncates", [True, False], ids=["cut", "given up"])
def test_a_retracted_group_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truncates: bool) -> None:
    journal = write(tmp_path, b"good", b"not synced")
    with monkeypatch.context() as broken:
        if not truncates:
            broken.setattr("os.ftruncate", no_truncate)
        journal.retract()
    assert journal.sequence == 1
    assert journal.append(b"synced") == 2
    assert groups(tmp_path) == [b"good", b"synced"]
    assert len(segments(tmp_path)) == 2
    journal.close()


def refused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a file tells, once it is closed all the same, that not all of it came to the disk."""
    close, left = os.close, [OSError(errno.EIO, "close")]

    def closing(file: int) -> None:
        close(file)
        if left:
            raise left.pop()

    monkeypatch.setattr("os.close", closing)


def test_a_retracted_segment_that_does_not_close_well_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = write(tmp_path, b"good", b"not synced")
    refused_once(monkeypatch)
    journal.retract()
    assert journal.append(b"synced") == 2
    assert groups(tmp_path) == [b"good", b"synced"]
    journal.close()


def test_a_full_segment_that_does_not_close_well_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = write(tmp_path, b"good", segment=10)
    refused_once(monkeypatch)
    assert [journal.append(payload) for payload in (b"better", b"best")] == [2, 3]
    assert groups(tmp_path) == [b"good", b"better", b"best"]
    journal.close()


def test_sync_brings_the_segment_and_its_name_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = list[str]()
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(f"os.{name}", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink().name))
    journal = Journal(tmp_path, 0)
    journal.sync()
    assert synced == []
    journal.append(b"a")
    journal.sync()
    journal.sync()
    assert synced == [segments(tmp_path)[0].name, tmp_path.name, segments(tmp_path)[0].name]
    journal.close()


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert groups(tmp_path) == []


def test_a_file_that_goes_while_it_is_measured_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "gone").write_bytes(b"x")
    with os.scandir(tmp_path) as files:
        [file] = files
    (tmp_path / "gone").unlink()
    assert _size(file) == 0
