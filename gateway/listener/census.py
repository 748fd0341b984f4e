"""How many connections there are, in all and per address."""

from collections import Counter


class Census:
    """Counts connections in and out; remembers no address without a connection."""

    def __init__(self) -> None:
        self.total = 0
        self._by_address: Counter[str] = Counter()

    def admits(self, address: str, most: int, most_per_address: int) -> bool:
        """Whether one more connection from `address` is within the limits."""
        return self.total < most and self._by_address[address] < most_per_address

    def arrive(self, address: str) -> None:
        """Count a connection in."""
        self.total += 1
        self._by_address[address] += 1

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self.total -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
