"""What the turn script says of a whole call."""

from collections.abc import Sequence
from struct import unpack
from typing import Any, NamedTuple

from gateway.fleet.call import Reply

# The call's number, 0, the clock's moment and how many numbers there are come first: they are for Redis.
_FIRST = 4


class Told(NamedTuple):
    """`first` is the number of the first entry added, 0 without one; `lacking` are entries that the node had not."""

    first: int
    lacking: list[tuple[int, bytes]]
    replies: list[Reply]


def told(reply: Sequence[Any]) -> Told:
    """The reply of a call: a string of numbers, then number and text of each entry that the node lacks."""
    packed, *entries = reply
    numbers = unpack(f"<{len(packed) // 8}q", packed)
    replies, place = list[Reply](), _FIRST + 1
    while place < len(numbers):
        begin = place + 1
        place = begin + numbers[place]
        replies.append(list(numbers[begin:place]))
    return Told(numbers[_FIRST], list(zip(entries[::2], entries[1::2], strict=True)), replies)
