"""The memory tier: stored responses bounded in bytes, least recently used out first.

The unit of use is the cache key: a request reads every variant of its key to select one (RFC 9111 §4.1), so that a hit
is one move in one table, and the variants are handed out as the tuple they are kept in.
"""

from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse
from gateway.stores.census import Census
from gateway.stores.marks import Marks
from gateway.stores.purging import Purge, Purges
from gateway.stores.size import size_held
from gateway.stores.table import Table, Variants
from gateway.untracked import untracked

VARIANTS = 64
"""Stored responses per cache key at most, least recently received out first."""

AT_ONCE = 256
"""Keys put out at once, at most: two or three milliseconds. More for who exceeds the limit by a sixteenth of it."""

MARKS = 1_024
"""Groups whose marks are kept until they are read: beyond, each further one lets some keys meet them all."""

MET = 64
"""Keys that meet all marks in one step: it takes some tenth of a millisecond."""

# The census has a place for so many bytes of stored responses: about as many as groups of small ones.
_ROOM_FOR_EACH, _LEAST_PLACES, _MOST_PLACES = 512, 1 << 12, 1 << 22

# The tier's own `bytes` hides the type.
_FieldSection = bytes


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
        self._table = Table()
        self._marks = Marks()
        self._census = Census(max(_LEAST_PLACES, min(limit_bytes // _ROOM_FOR_EACH, _MOST_PLACES)))
        self._purges = Purges()
        # All keys have met so many marks, the lap under way is for so many; its next place, what is left of the last.
        self._met = 0
        self._lap = 0
        self._place = 0
        self._left: list[str] = []

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        """The bytes counted now."""
        return self._size + self._marks.bytes

    @property
    def full(self) -> bool:
        """Whether more is stored than may be: `make_room` is to be called again."""
        return self._count > 0 and self.bytes > self.limit_bytes

    def get(self, key: str) -> Variants:
        """Every variant under `key`, most recently received first, which makes it the key used last.

        Those that have been outdated or purged since they were stored say so. The tuple is a version: as long as the
        very same one is found, nothing in it has changed.
        """
        table = self._table
        shard = table.shards[hash(key) & table.mask]
        # The way of every hit: `try` costs nothing there, `dict.get` and a test for None do.
        try:
            variants = shard[key]
        except KeyError:
            return ()
        if variants[0].checked != self._marks.made:
            variants = self._check(key, variants)
            if not variants:
                return ()
        shard.move_to_end(key)
        return variants

    def look(self, key: str) -> Variants:
        """As `get`, but not a use of the key."""
        variants = self._held(key)
        return self._check(key, variants) if variants else ()

    def put(self, stored: StoredResponse) -> bool:
        """Keep `stored` in place of the variant with the same selecting header fields; whether it is kept.

        Refused when the variant in its place began later, and when it exceeds the limit by itself. No mark made so far
        says anything of it any more: `meet` them before.
        """
        variants, selecting = self.get(stored.key), stored.selecting
        others = [variant for variant in variants if variant.selecting != selecting]
        if any(variant.began > stored.began for variant in variants if variant.selecting == selecting):
            return False
        if size_held((stored,)) > self.limit_bytes:
            return False
        if variants:
            stored.key = variants[0].key  # one string for all, so that the one counted is the one in the table
        stored.checked = self._marks.made
        received = sorted((stored, *others), key=lambda variant: variant.received, reverse=True)
        self.evictions += len(received[VARIANTS:])
        self._hold(stored.key, variants, tuple(received[:VARIANTS]))
        self.make_room()
        return self._holds(stored)

    def attach(self, stored: StoredResponse, head: _FieldSection, splice: Splice) -> None:
        """Give `stored` its splice, and the field section that goes with it: a use of its key where it is held."""
        held = self._holds(stored)
        if held:
            self._size -= size_held(self._held(stored.key))
        stored.become(head=head, splice=splice)
        if held:
            self._size += size_held(self._held(stored.key))
            self._renew(stored.key)
            self._table.find(stored.key).move_to_end(stored.key)
            self.make_room()

    def remove(self, stored: StoredResponse) -> None:
        """Forget `stored`, or the copy or older response in its place."""
        variants = self._held(stored.key)
        left = tuple([variant for variant in variants if not _is_replaced(variant, stored)])
        if len(left) < len(variants):
            self._hold(stored.key, variants, left)
            if left:
                self._table.find(stored.key).move_to_end(stored.key)

    def outdate(self, stored: StoredResponse) -> None:
        """Outdate `stored`, and the copy or older response in its place."""
        stored.outdated = True
        for variant in self._held(stored.key):
            variant.outdated = variant.outdated or _is_replaced(variant, stored)
        self._renew(stored.key)

    def resize(self, limit_bytes: int) -> None:
        """Hold at most that much from now on: `make_room` until it is not `full` any more."""
        self.limit_bytes = limit_bytes
        self.make_room()

    def make_room(self) -> None:
        """Put out what was used least recently, some of it if it is much."""
        put_out = 0
        while self.full and (put_out < AT_ONCE or self.bytes > self.limit_bytes + self.limit_bytes // 16):
            key = self._table.next_out()
            variants = self._held(key)
            left = variants[:-1] if self._count == len(variants) else ()
            self.evictions += len(variants) - len(left)
            self._hold(key, variants, left)
            put_out += 1

    def mark(self, groups: tuple[str, ...], began: float, now: float, keep: str | None) -> None:
        """Outdate all in `groups` that began before `began`, and of what is stored now all but a part.

        That part is what is under the key `keep` and what a force refresh brought. `now` must be later than anything
        stored began (steady seconds). Without `keep`, what began before `began` is invalid besides.
        """
        for group in groups:
            if self._census.has(group):
                self._marks.mark(group, began, now, keep)
                if len(self._marks) > MARKS:
                    self._meet_some()
        self.make_room()

    def meet(self, stored: StoredResponse) -> None:
        """Let every mark on its groups say of `stored`, which is not held yet but no newer than they, what it is."""
        self._marks.meet(stored)

    def purge(self, purge: Purge) -> bool:
        """Let what is stored meet `purge` when it is next read, until that is `purged`; False where nothing has to."""
        if purge.groups is not None and not any(map(self.knows, purge.groups)):
            return False
        self._purges.add(purge)
        self._marks.purged()
        return True

    def purged(self, purge: Purge) -> None:
        """All that was stored has met `purge`: forget it."""
        self._purges.discard(purge)

    def holds(self, key: str) -> bool:
        """Whether anything is under `key`, outdated or not; this alone may be asked in another thread."""
        return key in self._table.find(key)

    def knows(self, group: str) -> bool:
        """Whether anything that is stored may belong to the group; rarely so where nothing does."""
        return self._census.has(group)

    @property
    def broad_purges(self) -> int:
        """How many purges are asked of each stored response that is read, as no groups tell what they take."""
        return self._purges.broad

    @property
    def places(self) -> int:
        """How many places a walk over all keys has: it begins at 0, and more may come meanwhile."""
        return len(self._table.shards)

    def keys(self, place: int) -> list[str]:
        """The keys at a place, some thousand at most.

        A walk over all places meets every key that is there all the while, some perhaps twice.
        """
        return self._table.at(place)

    def _held(self, key: str) -> Variants:
        return self._table.find(key).get(key, ())

    def _holds(self, stored: StoredResponse) -> bool:
        return any(variant is stored for variant in self._held(stored.key))

    def _check(self, key: str, variants: Variants) -> Variants:
        """Let the variants meet every mark and purge that they have not; those left, in another tuple if any has."""
        since, made = variants[0].checked, self._marks.made
        if since == made:
            return variants
        before = [(stored.outdated, stored.purged) for stored in variants]
        for stored in variants:
            self._marks.meet(stored, since)
            stored.checked = made
        left = tuple([stored for stored in variants if self._purges.survives(stored)])
        if len(left) < len(variants):
            self._hold(key, variants, left)
        elif before != [(stored.outdated, stored.purged) for stored in left]:
            self._renew(key)
        return self._held(key)

    def _renew(self, key: str) -> None:
        """The same in another tuple: who holds the former one sees that something in it has changed."""
        variants = self._held(key)
        if variants:
            self._table.find(key)[key] = untracked((*variants,))

    def _hold(self, key: str, before: Variants, after: Variants) -> None:
        """Let `after` be all there is under `key` instead of `before`: in table, census and counts."""
        if after:
            for stored in after:
                untracked(stored)
            self._table.hold(key, untracked(after))
            self._size += size_held(after)
        else:
            self._table.drop(key)
        self._size -= size_held(before) if before else 0
        self._count += len(after) - len(before)
        for name in _groups(after, before):
            self._census.add(name)
        for name in _groups(before, after):
            self._census.discard(name)
        if not self._count:
            self._marks.clear()

    def _meet_some(self) -> None:
        """Let some keys meet every mark, and forget marks that all have met."""
        for key in self._left[-MET:]:
            self.look(key)
        del self._left[-MET:]
        if not self._left:
            if self._place == self.places:
                self._met, self._lap, self._place = self._lap, self._marks.made, 0
            self._left = self.keys(self._place)
            self._place += 1
        self._marks.forget(self._met, MET)


def _groups(variants: Variants, others: Variants) -> list[str]:
    """The groups of each of `variants` that is not one of `others`."""
    return [name for stored in variants if stored not in others for name in set(stored.groups)]


def _is_replaced(variant: StoredResponse, stored: StoredResponse) -> bool:
    return variant.began <= stored.began and variant.selecting == stored.selecting
