"""Who goes first of what is due: what is about few before what is about many, but nobody waits for ever.

The rank of a work is that of the smallest job that wants it. A target's is its work's, and more the more targets the
work had before it: a store with ten thousand pages is as much in the way of others as ten thousand stores are.
"""

_LARGEST = 4

RANKS = range(2 * _LARGEST + 1)
"""All that a work or a target may have, first served first."""

PATIENCE = 6 * 3600.0
"""Seconds for each rank: what has been due for so much longer goes before what ranks higher."""


def rank(many: int) -> int:
    """Of one among so many: 0 for one alone, then one more for every power of ten that is passed, up to a bound."""
    return 0 if many <= 1 else min(len(str(many - 1)), _LARGEST)
