"""Token members spliced into a JSON object's text without parsing it again, plain or as gzip (RFC 1951, 1952)."""

import re
import struct
import zlib
from dataclasses import replace
from functools import lru_cache

import orjson

from gateway.answers.negotiation import weights
from gateway.messages import Splice

TOKEN_MEMBERS = frozenset({"tokens_consumed", "tokens_remaining"})

CLOSING = b"}"
"""How an object with tokens ends."""

_WHITESPACE = b" \t\r\n"
# The next bracket, brace or comma outside of strings.
_STRUCTURE = re.compile(rb'(?:[^"\[\]{},]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([\[\]{},])')

# Level 6 takes twice the time of 4 on JSON and saves 3 % of the size.
_LEVEL = 4
# CM 8, no flags, no time, no extra flags, unknown operating system (RFC 1952 §2.3).
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# BFINAL 1 and BTYPE 00, padded to a byte, then LEN and its complement (RFC 1951 §3.2.4).
_stored_block = struct.Struct("<BHH").pack
_trailer = struct.Struct("<II").pack


def cut(body: bytes) -> Splice | None:
    """Open `body` before its closing brace; None unless it is one valid JSON object in UTF-8 without byte order mark.

    Top-level members named as in `TOKEN_MEMBERS`, however escaped or repeated, are left out; all other text stays as
    it is. Takes about 20 ms per MiB, 60 where something is left out.
    """
    if not body.lstrip(_WHITESPACE).startswith(b"{"):
        return None
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if TOKEN_MEMBERS.isdisjoint(parsed):
        return Splice(body[: body.rindex(b"}")], comma=bool(parsed))
    kept = [member for member in _members(body) if TOKEN_MEMBERS.isdisjoint(orjson.loads(b"{%b}" % member))]
    return Splice(body[: body.index(b"{") + 1] + b",".join(kept), comma=bool(kept))


def packed(splice: Splice) -> Splice:
    """`splice` ready for `join_gzip` time and again. Takes about 20 ms per MiB."""
    if splice.packed is not None:
        return splice
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    text = deflate.compress(splice.opened) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return replace(splice, packed=text, crc=zlib.crc32(splice.opened))


def join(splice: Splice, consumed: int, remaining: int | None) -> bytes:
    """The object with both token members as its last; `remaining` None becomes null."""
    return opening(splice, consumed) + number(remaining) + CLOSING


def join_gzip(splice: Splice, consumed: int, remaining: int | None) -> bytes:
    """`join` in the gzip coding (RFC 1952). Takes its time where nobody has `packed` it before."""
    splice = packed(splice)
    return opening_gzip(splice) + closing_gzip(splice, consumed, remaining)


def opening(splice: Splice, consumed: int) -> bytes:
    """How `join` begins, up to the `number` that remains; `CLOSING` follows that."""
    return splice.opened + _members_before(splice, consumed)


def number(remaining: int | None) -> bytes:
    """What remains, as JSON has it."""
    return b"null" if remaining is None else b"%d" % remaining


def opening_gzip(splice: Splice) -> bytes:
    """How `join_gzip` begins, with what is `packed`."""
    return _GZIP_HEADER + (splice.packed or b"")


def closing_gzip(splice: Splice, consumed: int, remaining: int | None) -> bytes:
    """What follows `opening_gzip`: the rest of the text as a final stored block, CRC-32 and size."""
    tail = b"%b%b%b" % (_members_before(splice, consumed), number(remaining), CLOSING)
    size = len(tail)
    trailer = _trailer(zlib.crc32(tail, splice.crc), (len(splice.opened) + size) & 0xFFFFFFFF)
    return b"%b%b%b" % (_stored_block(1, size, size ^ 0xFFFF), tail, trailer)


def _members_before(splice: Splice, consumed: int) -> bytes:
    return b'%b"tokens_consumed":%d,"tokens_remaining":' % (b"," if splice.comma else b"", consumed)


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether to answer in the gzip coding (RFC 9110 §12.5.3).

    Only when the field allows it by name or by `*` and does not explicitly prefer identity.
    """
    if not accept_encoding:
        return False
    codings = weights(accept_encoding)
    named = [codings[name] for name in ("gzip", "x-gzip") if name in codings]
    weight = max(named) if named else codings.get("*", 0.0)
    return weight > 0 and weight >= codings.get("identity", 0.0)


def _members(body: bytes) -> list[bytes]:
    """The text between the braces of a valid JSON object, cut at the commas of its top level."""
    members: list[bytes] = []
    begin = body.index(b"{") + 1
    depth = 0
    for found in _STRUCTURE.finditer(body, begin):
        match found[1]:
            case b",":
                if depth == 0:
                    members.append(body[begin : found.start(1)])
                    begin = found.end()
            case b"{" | b"[":
                depth += 1
            case _:
                depth -= 1
    members.append(body[begin : body.rindex(b"}")])
    return members
