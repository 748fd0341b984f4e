"""Cache keys in rows that can be walked along in steps while keys come and go, at some 9 bytes each."""

SHELF = 64
"""Keys on a shelf: short enough to search, and its list has exactly the room."""

Shelf = list[str]


class Shelves:
    """Every key once; `len` counts them. All shelves but the last are full.

    The place of a key that goes is taken by the last one, so that none ever moves up: a walk from the end to the
    beginning meets every key that is there all the while, some perhaps twice.
    """

    def __init__(self) -> None:
        self._shelves: list[Shelf] = []

    def __len__(self) -> int:
        return (len(self._shelves) - 1) * SHELF + len(self._shelves[-1]) if self._shelves else 0

    def add(self, key: str) -> Shelf:
        """Put a new key last; the shelf that it is on now."""
        if not self._shelves or len(self._shelves[-1]) == SHELF:
            self._shelves.append([])
        shelf = self._shelves[-1]
        shelf.append(key)
        return shelf

    def take(self, key: str, shelf: Shelf) -> str | None:
        """Take a key off its shelf; the key that is on this shelf in its place now, None for none."""
        last = self._shelves[-1].pop()
        if not self._shelves[-1]:
            self._shelves.pop()
        if last == key:
            return None
        shelf[shelf.index(key)] = last
        return last

    def below(self, place: int, most: int) -> list[str]:
        """The keys at up to `most` places before `place`, the last first."""
        first, number = max(0, place - most), min(place, len(self))
        return [self._shelves[at // SHELF][at % SHELF] for at in range(number - 1, first - 1, -1)]
