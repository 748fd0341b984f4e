"""The memory tier: stored responses bounded in bytes, least recently used out first.

The unit of use is the cache key: a request reads every variant of its key to select one (RFC 9111 §4.1), so that a hit
is one move in one table, and the variants are handed out as the tuple they are kept in.
"""

from collections import OrderedDict

from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.groups import Groups, size_alone
from gateway.stores.purging import Purge, Purges
from gateway.stores.shelves import Shelf, Shelves
from gateway.stores.size import allocated, size_of

VARIANTS = 64
"""Stored responses per cache key at most, least recently received out first."""

# What one more item adds to a table, in bytes and between two resizings: CPython 3.11 keeps a dict from a sixth to two
# thirds full with 16 bytes an item and 4 a slot; an OrderedDict adds a 32-byte node for each item and 8 bytes a slot.
# Of a shelf and its 64 places each key has a part of 10 bytes.
_KEY_SLOT = 122


class _Held:
    """The variants under one cache key, most recently received first, and the bytes counted for them.

    `checked` is how many of the marks and purges they have met; `shelf` is where their key is.
    """

    __slots__ = ("checked", "shelf", "size", "variants")

    def __init__(self, variants: tuple[StoredResponse, ...], checked: int) -> None:
        self.variants = variants
        self.checked = checked
        self.shelf: Shelf | None = None
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
        self._purges = Purges()
        self._shelves = Shelves()

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        """The bytes counted now."""
        return self._size + self._groups.bytes

    def get(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant under `key`, most recently received first, which makes it the key used last.

        Those that have been outdated or purged since they were stored say so.
        """
        # The way of every hit: `try` costs nothing there, `dict.get` and a test for None do.
        try:
            held = self._held[key]
        except KeyError:
            return ()
        if held.checked != self._groups.made:
            held = self._check(key, held)
            if not held.variants:
                return ()
        self._held.move_to_end(key)
        return held.variants

    def look(self, key: str) -> tuple[StoredResponse, ...]:
        """As `get`, but not a use of the key."""
        return self._check(key, self._held[key]).variants if key in self._held else ()

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
            self._held.move_to_end(stored.key)
            self._make_room()

    def remove(self, stored: StoredResponse) -> None:
        """Forget `stored`, or the copy or older response in its place."""
        held = self._held.get(stored.key, _NOTHING)
        left = tuple(variant for variant in held.variants if not _is_replaced(variant, stored))
        if len(left) < len(held.variants):
            self._hold(stored.key, _Held(left, held.checked))
            if left:
                self._held.move_to_end(stored.key)

    def outdate(self, stored: StoredResponse) -> None:
        """Outdate `stored`, and the copy or older response in its place."""
        stored.outdated = True
        for variant in self._held.get(stored.key, _NOTHING).variants:
            variant.outdated = variant.outdated or _is_replaced(variant, stored)

    def resize(self, limit_bytes: int) -> None:
        """Hold at most that much from now on: what is too much goes at once."""
        self.limit_bytes = limit_bytes
        self._make_room()

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

    def purge(self, purge: Purge) -> bool:
        """Let what is stored meet `purge` when it is next read, until that is `purged`; False where nothing has to."""
        if purge.groups is not None and not self._groups.known(purge.groups):
            return False
        self._purges.add(purge)
        self._groups.purged()
        return True

    def purged(self, purge: Purge) -> None:
        """All that was stored has met `purge`: forget it."""
        self._purges.discard(purge)

    def knows(self, group: str) -> bool:
        """Whether anything that is stored belongs to the group."""
        return self._groups.known((group,))

    @property
    def broad_purges(self) -> int:
        """How many purges are asked of each stored response that is read, as no groups tell what they take."""
        return self._purges.broad

    @property
    def places(self) -> int:
        """Where a walk over all keys begins."""
        return len(self._shelves)

    def keys(self, place: int, most: int) -> list[str]:
        """The keys at up to `most` places before `place`: a walk goes on at `place - most`, down to 0.

        It meets every key that is there all the while, some perhaps twice.
        """
        return self._shelves.below(place, most)

    def _check(self, key: str, held: _Held) -> _Held:
        """Let the variants meet every mark and purge that they have not; what is held then, nothing for none."""
        if held.checked == self._groups.made:
            return held
        for stored in held.variants:
            self._groups.meet(stored, since=held.checked)
        left = tuple([stored for stored in held.variants if self._purges.survives(stored)])
        held.checked = self._groups.made
        if len(left) == len(held.variants):
            return held
        left_over = _Held(left, held.checked)
        self._hold(key, left_over)
        return left_over

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
        """Let `held` be all there is under `key`: in the tables, the groups and the counts. A new key is used last."""
        before = self._held.get(key, _NOTHING)
        if held.variants:
            held.shelf = before.shelf or self._shelves.add(key)
            self._held[key] = held
        elif before.shelf is not None:
            del self._held[key]
            self._unshelve(key, before.shelf)
        self._count += len(held.variants) - len(before.variants)
        self._size += held.size - before.size
        left, joined = _groups(before), _groups(held)
        for group in left - joined:
            self._groups.leave(group)
        for group in joined - left:
            self._groups.join(group)

    def _unshelve(self, key: str, shelf: Shelf) -> None:
        moved = self._shelves.take(key, shelf)
        if moved is not None:
            self._held[moved].shelf = shelf


def _groups(held: _Held) -> set[str]:
    return {group for variant in held.variants for group in variant.groups}


def _is_replaced(variant: StoredResponse, stored: StoredResponse) -> bool:
    return variant.selecting == stored.selecting and variant.began <= stored.began
