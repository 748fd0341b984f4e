"""Marks on groups: outdating one is a mark, and what belongs to it meets that when it is read or walked past."""

from collections import OrderedDict

from gateway.rfc9111.stored import StoredResponse
from gateway.stores import Mark
from gateway.stores.size import allocated

# What one more mark adds to the table between two resizings: see `size.KEY`.
_SLOT = 122
_UNMARKED = Mark()


class _Marked:
    """What is outdated in one group: what began before `before`, and what `others` outdates unless it was forced.

    What began before `invalid` an unsafe method has outdated. `made` is the number of the latest mark.
    """

    __slots__ = ("before", "invalid", "made", "others")

    def __init__(self) -> None:
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
        others = self.others
        return _SLOT + allocated(
            *(self, self.made, self.before, self.invalid, others, others.before, others.keep, others.floor), 1 << 62
        )


class Marks:
    """The marks that something stored may not have met yet, by the hash of their group's name; `len` counts the groups.

    Where two names share a hash, too much is outdated. `bytes` is what they take, `made` how many were made so far,
    those of purges included: plain numbers to read.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.made = 0
        # Latest last.
        self._marked: OrderedDict[int, _Marked] = OrderedDict()

    def __len__(self) -> int:
        return len(self._marked)

    def mark(self, name: str, began: float, now: float, keep: str | None) -> None:
        """Outdate what began before `began`, and but for key `keep` and force refreshes all that began before `now`.

        Without `keep` it is an unsafe method's, whose marks invalidate.
        """
        marked = self._marked.setdefault(hash(name), _Marked())
        self.bytes -= marked.size if marked.made else 0
        self.made = marked.made = self.made + 1
        marked.before = max(marked.before, began)
        marked.invalid = marked.invalid if keep is not None else max(marked.invalid, began)
        marked.others = marked.others.joined(now, keep)
        self._marked.move_to_end(hash(name))
        self.bytes += marked.size

    def purged(self) -> None:
        """A purge is a mark on no group in particular: whatever is held must be looked at again."""
        self.made += 1

    def clear(self) -> None:
        """Nothing is stored: forget them all."""
        self._marked.clear()
        self.bytes = 0

    def forget(self, upto: int, most: int) -> None:
        """Forget up to `most` groups whose latest mark is one of the first `upto`, which all that is stored has met."""
        for _ in range(most):
            name, marked = next(iter(self._marked.items()), (0, None))
            if marked is None or marked.made > upto:
                return
            del self._marked[name]
            self.bytes -= marked.size

    def meet(self, stored: StoredResponse, since: int = 0) -> None:
        """Outdate `stored` where a mark after the first `since` does; invalid where an unsafe method had a part in it.

        A group's marks count as one as soon as the latest does, so that one which outdated nothing of `stored` when it
        came may do so later: too early a fetch, never too late a one.
        """
        if not self._marked:
            return
        found = [marked for name in stored.groups if (marked := self._marked.get(hash(name))) is not None]
        if any(marked.made > since and marked.outdates(stored) for marked in found):
            stored.outdated = True
            stored.invalid = stored.invalid or any(stored.began < marked.invalid for marked in found)
