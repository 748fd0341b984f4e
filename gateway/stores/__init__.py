"""Where stored responses are kept, and what every tier has in common: how it fails and what a refresh leaves behind."""

from dataclasses import dataclass


class TierUnavailable(Exception):
    """A second tier did not do what it was asked; the message is for the log."""


@dataclass(slots=True, frozen=True)
class Mark:
    """Every drop (`ports.SecondTier.drop`) that a group has seen, as one value; times are steady seconds.

    Outdated is what began before `before`, and under the cache key `keep` only what began before `floor`.
    """

    before: float = 0.0
    keep: str | None = None
    floor: float = 0.0

    def outdates(self, key: str, began: float) -> bool:
        """Whether a response under `key` whose fetch began at `began` is outdated in this group."""
        return began < (self.floor if key == self.keep else self.before)

    def joined(self, before: float, keep: str | None) -> "Mark":
        """This mark and one more drop; the order of drops makes no difference."""
        if before >= self.before:
            return Mark(before, keep, self.floor if keep == self.keep else self.before)
        return self if keep == self.keep else Mark(self.before, self.keep, max(self.floor, before))
