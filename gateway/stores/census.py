"""Whether anything stored belongs to a group: a count for each hash, in a byte, however many groups there are."""

_FULL = 255


class Census:
    """What was added and not discarded, as far as hashes tell: never too little; too much rarely, with enough `places`.

    Each takes a byte as soon as it is needed. A count that a byte cannot hold stays for good.
    """

    def __init__(self, places: int) -> None:
        self._counts = bytearray(places)

    def add(self, name: str | bytes) -> None:
        """One more belongs to the group."""
        place = hash(name) % len(self._counts)
        if self._counts[place] < _FULL:
            self._counts[place] += 1

    def discard(self, name: str | bytes) -> None:
        """One that was added does not any more."""
        place = hash(name) % len(self._counts)
        if self._counts[place] < _FULL:
            self._counts[place] -= 1

    def has(self, name: str | bytes) -> bool:
        """Whether anything may belong to the group."""
        return self._counts[hash(name) % len(self._counts)] > 0
