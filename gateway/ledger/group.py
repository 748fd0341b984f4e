"""What one event-loop turn posts, and the journal takes whole or not at all."""

from collections.abc import Callable

from gateway.errors import Problem
from gateway.ledger import encoding
from gateway.ledger.accounts import Accounts
from gateway.ledger.records import Entry, Record
from gateway.ledger.tab import Tab

Undo = Callable[[], object]
Call = Callable[[Problem | None], object]


class Group:
    """Gathers until it is closed: `tabs` that count, and all that is `posted` otherwise, each with its undoing.

    `calls` wait for its end. Once closed, `counted` has what each tab counted.
    """

    __slots__ = ("calls", "counted", "posted", "tabs")

    def __init__(self) -> None:
        self.tabs: list[Tab] = []
        self.posted: list[tuple[Record, Undo | None]] = []
        self.calls: list[Call] = []

    @property
    def empty(self) -> bool:
        """Whether nothing has been posted."""
        return not self.tabs and not self.posted

    @property
    def entries(self) -> list[Entry]:
        """What is posted, without what the tabs counted."""
        return [(record, 1) for record, _ in self.posted]

    def close(self) -> None:
        """Takes over what the tabs have counted: the next group begins anew."""
        self.counted = [(tab, tab.count) for tab in self.tabs]
        for tab in self.tabs:
            tab.count = 0

    def payload(self) -> bytes:
        """A closed group for the journal; sums do not mind when they are added, so that what tabs counted comes last.

        Raises TypeError for what JSON cannot say (an integer over 64 bits).
        """
        lines = [tab.once if count == 1 else tab.line % count for tab, count in self.counted]
        if self.posted:
            lines = [encoding.entry(record, 1) for record, _ in self.posted] + lines
        return encoding.payload(lines)

    def undo(self, accounts: Accounts) -> None:
        """Undoes a closed group, of what is posted the newest first."""
        for tab, count in self.counted:
            accounts.apply(tab.record, -count)
            if tab.bucket is not None:
                tab.bucket.give_back(count)
        for record, undo in reversed(self.posted):
            accounts.apply(record, -1)
            if undo is not None:
                undo()
