"""The memory tier: stored responses bounded in bytes, least recently used out first.

The unit of use is the cache key: a request reads every variant of its key to select one (RFC 9111 §4.1), so that a hit
is one move in one table, and the variants are handed out as the tuple they are kept in.
"""

from collections import OrderedDict

from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.groups import Groups, size_alone
from gateway.stores.size import allocated, size_of

VARIANTS = 64
"""Stored responses per cache key at most, least recently received out first."""

# What one more item adds to a table, in bytes and between two resizings: CPython 3.11 keeps a dict from a sixth to two
# thirds full with 16 bytes an item and 4 a slot; an OrderedDict adds a 32-byte node for each item and 8 bytes a slot.
_KEY_SLOT = 112


class _Held:
    """The variants under one cache key, most recently received first, and the bytes counted for them.

    `checked` is how many of the marks on groups they have met.
    """

    __slots__ = ("checked", "size", "variants")

    def __init__(self, variants: tuple[StoredResponse, ...], checked: int) -> None:
        self.variants = variants
        self.checked = checked
        # Measured as a whole each time: what is held may have changed size since.
        self.size = sum(map(size_of, variants)) + allocated(variants, self, checked) + _KEY_SLOT if variants else 0


_NOTHING = _Held((), 0)


class MemoryTier:
    """Stored responses by cache key, in at most `limit_bytes` bytes, and what was outdated in their groups.

    `evictions` is a plain number to read: the stored responses ever put out for room. `len` is the number of stored
    responses. Every operation takes constant time, amortised, for each group that it is about.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.evictions = 0
        self._size = 0
        self._count = 0
        # A plain dict would walk over all it has deleted at its front to find its oldest key.
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._groups = Groups()

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        """The bytes counted now."""
        return self._size + self._groups.bytes

    def get(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant under `key`, most recently received first, which makes it the key used last.

        Those that have been outdated since they were stored say so.
        """
        # The way of every hit: `try` costs nothing there, `dict.get` and a test for None do.
        try:
            held = self._held[key]
        except KeyError:
            return ()
        if held.checked != self._groups.made:
            self._check(held)
        self._held.move_to_end(key)
        return held.variants

    def put(self, stored: StoredResponse) -> bool:
        """Keep `stored` in place of the variant with the same selecting header fields; whether it is kept.

        Refused when the variant in its place began later, and when it exceeds the limit by itself. No mark made so far
        says anything of it any more: `meet` them before.
        """
        variants = self.get(stored.key)
        stored.groups = self._groups.named(stored.groups)
        others = [variant for variant in variants if variant.selecting != stored.selecting]
        held = _Held((stored,), self._groups.made)
        if any(v.began > stored.began for v in variants if v.selecting == stored.selecting) or not self._fits(held):
            return False
        if variants:
            stored.key = variants[0].key  # one string for all, so that the one counted is the one in the tables
        if others:
            received = sorted((stored, *others), key=lambda variant: variant.received, reverse=True)
            self.evictions += len(received[VARIANTS:])
            held = _Held(tuple(received[:VARIANTS]), self._groups.made)
        self._hold(stored.key, held)
        self._make_room()
        return self._holds(stored)

    def attach(self, stored: StoredResponse, splice: Splice) -> None:
        """Give `stored` its splice and count it where it is still held, which is a use of its key."""
        stored.splice = splice
        if self._holds(stored):
            held = self._held[stored.key]
            self._hold(stored.key, _Held(held.variants, held.checked))
            self._make_room()

    def remove(self, stored: StoredResponse) -> None:
        """Forget `stored`, or the copy or older response in its place."""
        held = self._held.get(stored.key, _NOTHING)
        left = tuple(variant for variant in held.variants if not _is_replaced(variant, stored))
        if len(left) < len(held.variants):
            self._hold(stored.key, _Held(left, held.checked))

    def outdate(self, stored: StoredResponse) -> None:
        """Outdate `stored`, and the copy or older response in its place."""
        stored.outdated = True
        for variant in self._held.get(stored.key, _NOTHING).variants:
            variant.outdated = variant.outdated or _is_replaced(variant, stored)

    def mark(self, groups: tuple[str, ...], began: float, now: float, keep: str | None) -> None:
        """Outdate all in `groups` that began before `began`, and of what is stored now all but a part.

        That part is what is under the key `keep` and what a force refresh brought. `now` must be later than anything
        stored began (steady seconds). Without `keep`, what began before `began` is invalid besides.
        """
        self._groups.mark(groups, began, now, keep)
        self._make_room()

    def meet(self, stored: StoredResponse) -> None:
        """Let every mark on its groups say of `stored`, which is not held yet but no newer than they, what it is."""
        self._groups.meet(stored)

    def _check(self, held: _Held) -> None:
        for stored in held.variants:
            self._groups.meet(stored, since=held.checked)
        held.checked = self._groups.made

    def _holds(self, stored: StoredResponse) -> bool:
        held = self._held.get(stored.key)
        return held is not None and any(variant is stored for variant in held.variants)

    def _fits(self, held: _Held) -> bool:
        return held.size + sum(map(size_alone, _groups(held))) <= self.limit_bytes

    def _make_room(self) -> None:
        while self.bytes > self.limit_bytes:
            key, held = next(iter(self._held.items()))
            last = len(self._held) == 1 and len(held.variants) > 1
            left = _Held(held.variants[:-1], held.checked) if last else _NOTHING
            self.evictions += len(held.variants) - len(left.variants)
            self._hold(key, left)

    def _hold(self, key: str, held: _Held) -> None:
        """Let `held` be all there is under `key`, the key used last: in the table, the groups and the counts."""
        before = self._held.pop(key, _NOTHING)
        if held.variants:
            self._held[key] = held
        self._count += len(held.variants) - len(before.variants)
        self._size += held.size - before.size
        left, joined = _groups(before), _groups(held)
        for group in left - joined:
            self._groups.leave(group)
        for group in joined - left:
            self._groups.join(group)


def _groups(held: _Held) -> set[str]:
    return {group for variant in held.variants for group in variant.groups}


def _is_replaced(variant: StoredResponse, stored: StoredResponse) -> bool:
    return variant.selecting == stored.selecting and variant.began <= stored.began
