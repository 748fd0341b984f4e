"""Content is unpacked from gzip alone, within a bound, and only where it is whole."""

import gzip

import pytest

from gateway.answers.coding import TooLarge, unpacked

PACKED = gzip.compress(b'{"a":1}')

READ = {
    "no coding": (b"x", ""),
    "none, by name": (b"x", " Identity"),
    "gzip": (gzip.compress(b"x"), "gzip"),
    "gzip by its old name": (gzip.compress(b"x"), "X-Gzip "),
}


@pytest.mark.parametrize(("content", "coding"), READ.values(), ids=READ.keys())
def test_what_is_read(content: bytes, coding: str) -> None:
    assert unpacked(content, coding, 1) == b"x"


UNREAD = {
    "another coding": (PACKED, "br", "only gzip"),
    "two codings": (PACKED, "gzip, gzip", "only gzip"),
    "no gzip": (b"{}", "gzip", "incorrect header"),
    "cut": (PACKED[:-1], "gzip", "not one whole"),
    "more behind it": (PACKED + b"?", "gzip", "not one whole"),
}


@pytest.mark.parametrize(("content", "coding", "why"), UNREAD.values(), ids=UNREAD.keys())
def test_what_is_not(content: bytes, coding: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        unpacked(content, coding, 99)
    assert not isinstance(raised.value, TooLarge)


def test_more_than_the_bound() -> None:
    with pytest.raises(TooLarge):
        unpacked(PACKED, "gzip", 6)
