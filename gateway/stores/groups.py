"""The groups of what the memory tier holds: outdating one marks it, and what belongs to it meets the mark when read."""

from gateway.rfc9111.stored import StoredResponse
from gateway.stores import Mark
from gateway.stores.size import allocated

# What one more group adds to the table, between two resizings (see `memory._KEY_SLOT`).
_SLOT = 48
_UNMARKED = Mark()


class _Group:
    """How many cache keys belong to one group, and what is outdated in it.

    That is what began before `before`, and what `others` outdates unless a force refresh brought it; what began before
    `invalid` an unsafe method has outdated. `made` is the number of the latest mark, 0 without any.
    """

    __slots__ = ("before", "invalid", "keys", "made", "name", "others")

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys = 0
        self.made = 0
        self.before = 0.0
        self.invalid = 0.0
        self.others = _UNMARKED

    def outdates(self, stored: StoredResponse) -> bool:
        if stored.began < self.before:
            return True
        return not stored.forced and self.others.outdates(stored.key, stored.began)

    @property
    def size(self) -> int:
        """Bytes in the table; nothing of an unmarked one but its name is its own beside it."""
        if not self.made:
            return size_alone(self.name)
        others = self.others
        return size_alone(self.name) + allocated(
            self.made, self.before, self.invalid, others, others.before, others.keep, others.floor
        )


class Groups:
    """A record for each group that has stored responses. Every operation takes constant time for each group named.

    `bytes` is what the records take, `made` how many marks were made so far, those of purges included: plain numbers to
    read.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.made = 0
        self._groups: dict[str, _Group] = {}

    def join(self, name: str) -> None:
        """One more cache key belongs to the group."""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group(name)
            self.bytes += group.size
        group.keys += 1

    def named(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """`names` as the strings that the records hold already, so that a group's name is kept once."""
        known = [self._groups.get(name) for name in names]
        return tuple([name if group is None else group.name for name, group in zip(names, known, strict=True)])

    def known(self, names: tuple[str, ...]) -> bool:
        """Whether anything belongs to one of the groups."""
        return any(name in self._groups for name in names)

    def leave(self, name: str) -> None:
        """One cache key fewer belongs to the group; with the last one its marks go."""
        group = self._groups[name]
        group.keys -= 1
        if not group.keys:
            del self._groups[name]
            self.bytes -= group.size

    def mark(self, names: tuple[str, ...], began: float, now: float, keep: str | None) -> None:
        """Outdate what began before `began`, and but for key `keep` and force refreshes all that began before `now`.

        Without `keep` it is an unsafe method's, whose marks invalidate.
        """
        made = self.made + 1
        for name in names:
            group = self._groups.get(name)
            if group is not None:
                self.bytes -= group.size
                self.made = group.made = made
                group.before = max(group.before, began)
                group.invalid = group.invalid if keep is not None else max(group.invalid, began)
                group.others = group.others.joined(now, keep)
                self.bytes += group.size

    def purged(self) -> None:
        """A purge is a mark on no group in particular: whatever is held must be looked at again."""
        self.made += 1

    def meet(self, stored: StoredResponse, since: int = 0) -> None:
        """Outdate `stored` where `outdates` says so; it is invalid besides where an unsafe method had a part in it."""
        if self.outdates(stored, since):
            stored.outdated = True
            stored.invalid = stored.invalid or self._invalidates(stored)

    def outdates(self, stored: StoredResponse, since: int = 0) -> bool:
        """Whether a mark made after the first `since` ones outdates `stored`.

        A group's marks count as one as soon as the latest does, so that one which outdated nothing of `stored` when it
        came may do so later: too early a fetch, never too late a one.
        """
        for name in stored.groups:
            group = self._groups.get(name)
            if group is not None and group.made > since and group.outdates(stored):
                return True
        return False

    def _invalidates(self, stored: StoredResponse) -> bool:
        known = [self._groups.get(name) for name in stored.groups]
        return any(group is not None and stored.began < group.invalid for group in known)


_RECORD = allocated(_Group("")) + _SLOT


def size_alone(name: str) -> int:
    """Bytes that a group takes that nobody has marked."""
    return allocated(name) + _RECORD
