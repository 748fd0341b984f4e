"""API keys as the gateway makes them: `rk_live_` or `rk_test_`, 22 random base62 characters, 6 of a CRC-32 over those.

The checksum lets a refusal say that a key is mistyped. It is no secret and decides nothing.
"""

import re
from collections.abc import Callable
from string import ascii_letters, digits
from zlib import crc32

LIVE, TEST = "rk_live_", "rk_test_"

_ALPHABET = digits + ascii_letters
_RANDOM, _CHECK = 22, 6
# 131 bits.
_SECRETS = len(_ALPHABET) ** _RANDOM
_MADE = re.compile(rf"(?:{LIVE}|{TEST})[0-9A-Za-z]{{{_RANDOM + _CHECK}}}", re.ASCII)
_SHOWN = 4


def mint(below: Callable[[int], int], *, test: bool) -> str:
    """A new API key of 36 characters. `below(n)` is an unbiased random number of at least 0 and less than `n`."""
    unchecked = (TEST if test else LIVE) + _base62(below(_SECRETS), _RANDOM)
    return unchecked + _checksum(unchecked)


def looks_made(text: str) -> bool:
    """Whether `text` has the shape of a made key, whatever its checksum says."""
    return _MADE.fullmatch(text) is not None


def is_whole(text: str) -> bool:
    """Whether `text` is a made key as far as its checksum can tell."""
    return looks_made(text) and text[-_CHECK:] == _checksum(text[:-_CHECK])


def hint(key: str) -> str:
    """What may be shown of a made key, so that people tell theirs apart: `rk_live_…a1B2`."""
    return f"{key[: len(LIVE)]}…{key[-_SHOWN:]}"


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode("ascii")), _CHECK)


def _base62(number: int, width: int) -> str:
    characters = []
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
