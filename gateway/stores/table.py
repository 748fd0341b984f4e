"""Cache keys and what is held under them, in shards that stay small: none ever takes long to grow, or to walk over.

Extendible hashing: the last bits of a key's hash tell the place of its shard, as many bits as there have to be.
"""

from collections import OrderedDict

from gateway.rfc9111.stored import StoredResponse
from gateway.untracked import untracked

SHARD = 2_730
"""Keys in a shard, at most: as many as CPython 3.11 keeps in a dict of 4,096 places."""

# Keys whose hashes end alike in so many bits share one shard, however many they are.
_MOST_BITS = 16

Variants = tuple[StoredResponse, ...]


Shard = OrderedDict[str, Variants]
"""Keys whose hashes end alike, least recently used first."""


class Table:
    """Keys in order of use, as good as exactly: within a shard; all are in one as long as that holds them.

    `shards[hash(key) & mask]` is the one that a key is in, `bits` says in how many bits its keys' hashes end alike. A
    shard is at more than one place where others need more bits than it does.
    """

    def __init__(self) -> None:
        self.shards = [untracked(Shard())]
        self.bits = [0]
        self.mask = 0
        self._hand = 0

    def find(self, key: str) -> Shard:
        """The shard that the key is in, or would be."""
        return self.shards[hash(key) & self.mask]

    def hold(self, key: str, variants: Variants) -> None:
        """Keep `variants` under the key, which is the one used last where it is new."""
        place = hash(key) & self.mask
        shard = self.shards[place]
        shard[key] = variants
        if len(shard) > SHARD and self.bits[place] < _MOST_BITS:
            self._split(place)

    def drop(self, key: str) -> None:
        """Forget the key."""
        shard = self.find(key)
        del shard[key]
        if not shard:
            # Else what a dict has once grown to would stay.
            shard.clear()

    def next_out(self) -> str:
        """A key used least recently; there must be one. Shards take turns, each as often as its keys come.

        Of two the fuller one's goes, so that none is emptied by chance.
        """
        while True:
            before, self._hand = self._hand, self._hand + 1 & self.mask
            fuller = max(before, self._hand, key=lambda place: len(self.shards[place]) << self.bits[place])
            if self.shards[fuller]:
                return next(iter(self.shards[fuller]))

    def at(self, place: int) -> list[str]:
        """The keys of the shard at a place; none where it was at an earlier one already.

        A walk over all places, up to the last there is by then, meets every key that is there all the while.
        """
        return list(self.shards[place]) if place >> self.bits[place] == 0 else []

    def _split(self, place: int) -> None:
        bit = 1 << self.bits[place]
        if bit == len(self.shards):
            self.shards += self.shards
            self.bits += self.bits
            self.mask = len(self.shards) - 1
        halves = [untracked(Shard()) for _ in range(2)]
        for key, variants in self.shards[place].items():
            halves[hash(key) & bit > 0][key] = variants
        for at in range(place & bit - 1, len(self.shards), bit):
            self.shards[at] = halves[at & bit > 0]
            self.bits[at] += 1
