"""Content as its JSON can be read, whatever coding it came in (RFC 9110 §8.4.1)."""

import zlib

_GZIP = zlib.MAX_WBITS | 16


class TooLarge(ValueError):
    """Unpacked it is more than may be read."""


def unpacked(content: bytes, coding: str, most: int) -> bytes:
    """The content that Content-Encoding says is in `coding`, of gzip at most `most` bytes.

    Raises TooLarge for more of them, and ValueError for any other coding and for gzip that is none, or not whole.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return content
    if coding not in ("gzip", "x-gzip"):
        raise ValueError("only gzip is read")
    unpacking = zlib.decompressobj(_GZIP)
    try:
        text = unpacking.decompress(content, most)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if unpacking.unconsumed_tail:
        raise TooLarge
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("it is not one whole")
    return text
