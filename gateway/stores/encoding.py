"""A stored response as one value of bytes, for tiers outside the process.

A value is a frame (version, CRC-32 of the rest) around a JSON array; a response's goes on with field section and body.
"""

from dataclasses import fields
from operator import attrgetter
from struct import Struct
from typing import Any
from zlib import crc32

import orjson

from gateway.rfc9111.stored import StoredResponse, Terms

VERSION = 2
"""Of the layout; to be raised with every change, as a value of another version is read as missing."""

_FRAME = Struct(">BI")
_LENGTHS = Struct(">II")  # of the JSON array and of the field section
_TERMS = tuple(field.name for field in fields(Terms))
_terms_of = attrgetter(*_TERMS)


def encode(stored: StoredResponse) -> bytes:
    """`stored` as one value, without `splice`, which can be made again, and `outdated`, which is not kept."""
    return framed(*parts(stored))


def parts(stored: StoredResponse) -> tuple[bytes, ...]:
    """What `framed` makes the value of: that takes longer, with a long body, and may be done in another thread."""
    about = orjson.dumps(
        [
            *(plain(stored.key), stored.status, plain(stored.reason)),
            *_terms_of(stored.terms),
            *(plain(stored.selecting), plain(stored.etag), plain(stored.last_modified)),
            *(stored.began, stored.received, stored.initial_age, plain(stored.groups), stored.forced),
        ]
    )
    head = stored.head
    return _LENGTHS.pack(len(about), len(head)), about, head, stored.body


def decode(value: object) -> StoredResponse | None:
    """The stored response that `encode` made `value` of; None if it is not whole or of another version."""
    content = _content(value)
    if content is None:
        return None
    about_length, head_length = _LENGTHS.unpack_from(content)
    head_at = _LENGTHS.size + about_length
    body_at = head_at + head_length
    head, body = bytes(content[head_at:body_at]), bytes(content[body_at:])
    return _response(content[_LENGTHS.size : head_at], head, body)


def decode_beginning(value: bytes) -> StoredResponse | None:
    """The same without field section and content, of a value that may be cut off before these."""
    begins = _FRAME.size + _LENGTHS.size
    if len(value) < begins or value[0] != VERSION:
        return None
    length, _ = _LENGTHS.unpack_from(value, _FRAME.size)
    try:
        return _response(memoryview(value)[begins : begins + length], b"", b"")
    except ValueError:
        return None


def _response(about: memoryview, head: bytes, body: bytes) -> StoredResponse:
    key, status, reason, *rest = original(orjson.loads(about))
    terms = Terms(*rest[: len(_TERMS)])
    selecting, etag, last_modified, began, received, initial_age, groups, forced = rest[len(_TERMS) :]
    return StoredResponse(
        *(key, status, reason, head, body, terms, selecting, etag, last_modified),
        *(began, received, initial_age, groups, forced),
    )


def encode_json(content: Any) -> bytes:
    """Anything that JSON can hold, tuples and any text included, as one value."""
    return framed(orjson.dumps(plain(content)))


def decode_json(value: object) -> Any:
    """What `encode_json` was given, its lists as tuples; None if `value` is not whole or of another version."""
    content = _content(value)
    return None if content is None else original(orjson.loads(content))


def plain(value: Any) -> Any:
    """`value` with all text in it as text that UTF-8 can hold: fields may carry any byte, as lone surrogates."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "surrogatepass").decode("latin-1")
        case tuple() | list():
            return [plain(part) for part in value]
        case _:
            return value


def original(value: Any) -> Any:
    """What `plain` was given, its lists as tuples."""
    match value:
        case str():
            return value if value.isascii() else value.encode("latin-1").decode("utf-8", "surrogatepass")
        case list():
            return tuple(original(part) for part in value)
        case _:
            return value


def framed(*pieces: bytes) -> bytes:
    """All of it as one value."""
    content = b"".join(pieces)
    return _FRAME.pack(VERSION, crc32(content)) + content


def _content(value: object) -> memoryview | None:
    if not isinstance(value, bytes) or len(value) < _FRAME.size:
        return None
    version, checksum = _FRAME.unpack_from(value)
    content = memoryview(value)[_FRAME.size :]
    return content if version == VERSION and checksum == crc32(content) else None
