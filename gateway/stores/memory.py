"""The memory tier: stored responses bounded in bytes, least recently used out first.

The unit of use is the cache key: a request reads every variant of its key to select one (RFC 9111 §4.1), so that a hit
is one move in one table, and the variants are handed out as the tuple they are kept in.
"""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain
from sys import getsizeof

from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse

VARIANTS = 64
"""Stored responses per cache key at most, least recently received out first."""

# What one more item adds to a table, in bytes and between two resizings: CPython 3.11 keeps a dict from a sixth to two
# thirds full with 16 bytes an item and 4 a slot; an OrderedDict adds a 32-byte node for each item and 8 bytes a slot.
_KEY_SLOT = 112
_GROUP_SLOT = 48
_SET = getsizeof(set[str]())


def size_of(stored: StoredResponse) -> int:
    """Bytes that `stored` takes with all it refers to, as the allocator rounds them."""
    terms, splice = stored.terms, stored.splice
    return _allocated(
        *(stored, stored.key, stored.reason, stored.head, stored.body, stored.etag, stored.last_modified),
        *(stored.began, stored.received, stored.initial_age, stored.groups, *stored.groups),
        *(stored.selecting, *stored.selecting, *chain.from_iterable(stored.selecting)),
        *(terms, terms.lifetime, terms.stale_while_revalidate, terms.stale_if_error),
        *(() if splice is None else (splice, splice.opened, splice.packed, splice.crc)),
    )


def _allocated(*parts: object) -> int:
    sizes = [getsizeof(part) for part in parts if part is not None]
    # Up to 512 bytes come in steps of 16 from Python's own allocator; beyond, malloc adds its header.
    return sum([(size + 15 if size <= 512 else size + 23) & -16 for size in sizes])


class _Held:
    """The variants under one cache key, most recently received first, and the bytes counted for them."""

    __slots__ = ("size", "variants")

    def __init__(self, variants: tuple[StoredResponse, ...]) -> None:
        self.variants = variants
        # Measured as a whole each time: what is held may have changed size since.
        self.size = sum(map(size_of, variants)) + _allocated(variants, self) + _KEY_SLOT if variants else 0


_NOTHING = _Held(())


class MemoryTier:
    """Stored responses by cache key and by group, in at most `limit_bytes` bytes.

    `bytes` and `evictions` are plain numbers to read: the bytes counted now, and the stored responses ever put out for
    room. `len` is the number of stored responses. Every operation takes constant time, amortised; reading `by_group`
    takes the group's size.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self.evictions = 0
        self._count = 0
        # A plain dict would walk over all it has deleted at its front to find its oldest key.
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._groups: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return self._count

    def get(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant under `key`, most recently received first, which makes it the key used last."""
        held = self._held.get(key)
        if held is None:
            return ()
        self._held.move_to_end(key)
        return held.variants

    def put(self, stored: StoredResponse) -> bool:
        """Keep `stored` in place of the variant with the same selecting header fields; whether it is kept.

        Refused when the variant in its place began later, and when it exceeds the limit by itself.
        """
        variants = self.get(stored.key)
        others = [variant for variant in variants if variant.selecting != stored.selecting]
        held = _Held((stored,))
        if any(v.began > stored.began for v in variants if v.selecting == stored.selecting) or not self._fits(held):
            return False
        if variants:
            stored.key = variants[0].key  # one string for all, so that the one counted is the one in the tables
        if others:
            received = sorted((stored, *others), key=lambda variant: variant.received, reverse=True)
            self.evictions += len(received[VARIANTS:])
            held = _Held(tuple(received[:VARIANTS]))
        self._hold(stored.key, held)
        self._make_room()
        return self._holds(stored)

    def attach(self, stored: StoredResponse, splice: Splice) -> None:
        """Give `stored` its splice and count it where it is still held, which is a use of its key."""
        stored.splice = splice
        if self._holds(stored):
            self._hold(stored.key, _Held(self._held[stored.key].variants))
            self._make_room()

    def remove(self, key: str) -> None:
        """Forget every variant under `key`."""
        self._hold(key, _NOTHING)

    def by_group(self, group: str) -> Iterator[StoredResponse]:
        """Every stored response that belongs to `group`; not to be changed while it is read."""
        for key in self._groups.get(group, ()):
            yield from (variant for variant in self._held[key].variants if group in variant.groups)

    def _holds(self, stored: StoredResponse) -> bool:
        held = self._held.get(stored.key)
        return held is not None and any(variant is stored for variant in held.variants)

    def _fits(self, held: _Held) -> bool:
        return held.size + sum(map(_group_size, _groups(held))) <= self.limit_bytes

    def _make_room(self) -> None:
        while self.bytes > self.limit_bytes:
            key, held = next(iter(self._held.items()))
            left = _Held(held.variants[:-1]) if len(self._held) == 1 and len(held.variants) > 1 else _NOTHING
            self.evictions += len(held.variants) - len(left.variants)
            self._hold(key, left)

    def _hold(self, key: str, held: _Held) -> None:
        """Let `held` be all there is under `key`, the key used last: in the table, the group index and the counts."""
        before = self._held.pop(key, _NOTHING)
        if held.variants:
            self._held[key] = held
        self._count += len(held.variants) - len(before.variants)
        self.bytes += held.size - before.size
        left, joined = _groups(before), _groups(held)
        for group in left - joined:
            self._leave(group, key)
        for group in joined - left:
            self._join(group, key)

    def _join(self, group: str, key: str) -> None:
        keys = self._groups.get(group)
        if keys is None:
            keys = self._groups[group] = set()
            self.bytes += _group_size(group)
        size = getsizeof(keys)
        keys.add(key)
        self.bytes += getsizeof(keys) - size

    def _leave(self, group: str, key: str) -> None:
        keys = self._groups[group]
        keys.remove(key)
        if not keys:
            del self._groups[group]
            self.bytes -= _group_size(group) + getsizeof(keys) - _SET


def _groups(held: _Held) -> set[str]:
    return {group for variant in held.variants for group in variant.groups}


def _group_size(group: str) -> int:
    """Bytes of a group of up to four keys, with which a set is as large as without."""
    return _allocated(group) + _SET + _GROUP_SLOT
