"""What is outdated, worked out from a list of all that ever happened: the slow truth to hold the cache against."""

from dataclasses import dataclass, field

from gateway.rfc9111.stored import StoredResponse


@dataclass(frozen=True)
class Drop:
    """A force refresh of `keep` that began at `began`, or for None an unsafe method; `stored` is what it met stored."""

    groups: tuple[str, ...]
    began: float
    keep: str | None
    stored: frozenset[StoredResponse]


@dataclass
class Naive:
    """Everything that was stored and every drop, for ever."""

    drops: list[Drop] = field(default_factory=list)
    stored: set[StoredResponse] = field(default_factory=set)
    single: set[StoredResponse] = field(default_factory=set)

    def drop(self, groups: tuple[str, ...], began: float, keep: str | None) -> None:
        self.drops.append(Drop(groups, began, keep, frozenset(self.stored)))

    def overtaken(self, groups: tuple[str, ...], began: float) -> bool:
        """Whether what began then is outdated in one of these groups, whenever it is stored."""
        return any(began < drop.began for drop in self.drops if set(groups) & set(drop.groups))

    def outdated(self, stored: StoredResponse) -> bool:
        """Whether `stored` must not be served as fresh."""
        return (
            stored in self.single
            or self.overtaken(stored.groups, stored.began)
            or any(stored in drop.stored and _leaves(drop, stored) for drop in self.drops)
        )

    def may_be_outdated(self, stored: StoredResponse) -> bool:
        """Whether a refresh gave reason to doubt it: one that delivered after its fetch began, before it was stored."""
        return self.outdated(stored) or any(_leaves(drop, stored) for drop in self.drops)


def _leaves(drop: Drop, stored: StoredResponse) -> bool:
    return bool(set(drop.groups) & set(stored.groups)) and stored.key != drop.keep and not stored.forced
