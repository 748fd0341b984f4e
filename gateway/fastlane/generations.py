"""A bounded memo without an order of use, which every look-up would have to keep."""

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")

# What each takes at least, its key included. As many bytes come, so many of what is dropped are given back: all at
# once would stop the loop.
_LEAST = 128


class Generations(Generic[V]):
    """Values by bytes, in about `room` bytes; each takes its key's length, and what `size_of` says, at least 128.

    Two generations: once the younger holds half of it all, the older is dropped. What is found in that joins the
    younger. Every operation takes constant time, or as long as what it keeps is large.
    """

    def __init__(self, room: int, size_of: Callable[[V], int]) -> None:
        self._most = room // 2
        self._size_of = size_of
        self._size = 0
        self._young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}
        self._dropped: dict[bytes, V] = {}

    def get(self, key: bytes) -> V | None:
        """The value kept under `key`, None where there is none any more."""
        value = self._young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.keep(key, value)
        return value

    def keep(self, key: bytes, value: V) -> None:
        """Keep `value` in place of what is there."""
        self.grow(len(key) + self._size_of(value))
        self._young[key] = value

    def grow(self, more: int) -> None:
        """Make room for so many bytes, which something that was just found takes more than when it was kept."""
        self._size += more
        if self._size > self._most:
            self._dropped, self._old, self._young, self._size = self._old, self._young, {}, more
        _give_back(self._dropped, 1 + more // _LEAST)

    def drop(self, key: bytes) -> None:
        """Forget what is kept under `key`; its room comes back with the generation's end."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def shrink(self, most: int) -> bool:
        """Give up to `most` of what is kept back, whether or not it is still used; False once nothing is left."""
        for generation in (self._dropped, self._old, self._young):
            if generation:
                _give_back(generation, most)
                return True
        return False


def _give_back(generation: dict[bytes, V], most: int) -> None:
    for _ in range(min(most, len(generation))):
        generation.popitem()
