"""The way into the ledger: what is posted in one event-loop turn goes to the journal whole, or is undone."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from gateway.errors import Problem, Reason
from gateway.ledger import outage
from gateway.ledger.accounts import Accounts
from gateway.ledger.book import Book
from gateway.ledger.group import Call, Group, Undo
from gateway.ledger.journal import Journal
from gateway.ledger.records import Record
from gateway.ledger.tab import Tab

# Seconds until a journal that failed is tried again.
_RETRY = 1.0

Listener = Callable[[Record, int], None]


class Writer:
    """Gathers the groups that go to the journal, and hands them on to the book. Used from one event loop.

    `accounts` is only read by others; what changes it is posted. With `power` a group is durable on the disk itself.
    """

    def __init__(self, accounts: Accounts, journal: Journal, book: Book, *, power: bool) -> None:
        self.accounts = accounts
        self._journal = journal
        self._book = book
        self._syncer = ThreadPoolExecutor(1, "journal-sync") if power else None
        self._group = Group()
        self._syncing: Group | None = None
        self._listener: Listener | None = None
        self._last_id = accounts.last_id
        self._writing = True
        self._closed = False

    @property
    def healthy(self) -> bool:
        """Whether the latest group was written, and the book's latest transaction."""
        return self._writing and self._book.healthy

    @property
    def idle(self) -> bool:
        """Whether everything posted so far is durable."""
        return self._group.empty and self._syncing is None

    def listen(self, listener: Listener) -> None:
        """Has `listener` called with every record, and how often it stands in its group, once it is durable."""
        self._listener = listener

    def next_id(self) -> int:
        """An operation's id that no other one has, had or will have."""
        self._last_id += 1
        return self._last_id

    def post(self, record: Record, undo: Undo | None = None) -> None:
        """Applies a record at once and adds it to this turn's group.

        `undo` gives back what else was taken for it, if the group cannot be written. Raises Problem(ledger_unavailable)
        once closed, and then nothing was applied.
        """
        group = self._group
        if group.empty:
            self._begin()
        self.accounts.apply(record)
        group.posted.append((record, undo))

    def count(self, tab: Tab, times: int = 1) -> int | None:
        """Posts so many charges of `tab`, for which room was taken in its bucket: as `post` does, and much cheaper.

        If the group cannot be written, the bucket gets back what was taken. Returns what remains, as in `Charge`.
        """
        count = tab.count
        if not count:
            group = self._group
            if group.empty:
                self._begin()
            group.tabs.append(tab)
        tab.count = count + times
        balance, tokens = tab.balance, tab.tokens * times
        if balance.counted:
            self.accounts.opened(balance)
        balance.charged += tokens
        if tab.unlimited:
            balance.granted += tokens
            return None
        balance.balance -= tokens
        return balance.balance + balance.reserved

    def when_committed(self, call: Call) -> None:
        """Has `call(None)` made when everything posted so far is durable: written, or with `power` on the disk itself.

        At once where nothing is under way. With Problem(ledger_unavailable) instead, if the group of the latest record
        could not be written; it is then undone. `call` must not raise.
        """
        group = self._syncing if self._group.empty else self._group
        if group is None:
            call(None)
        else:
            group.calls.append(call)

    def committed(self) -> asyncio.Future[None]:
        """Resolves as `when_committed` calls, or fails with the Problem. Every call has a future of its own."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.when_committed(partial(_resolve, waiter))
        return waiter

    def flush(self) -> None:
        """Writes the gathered group, as each turn's end does; while another one is being synced it gathers on."""
        if self._syncing is not None or self._group.empty:
            return
        group = self._gathered()
        try:
            sequence = self._journal.append(group.payload())
        except (OSError, TypeError) as error:  # TypeError: what JSON cannot hold must not be charged for nothing
            self._fail(error, group)
            return
        if self._syncer is None:
            self._succeed(group, sequence)
        else:
            self._sync(self._syncer, group, sequence)

    def _gathered(self) -> Group:
        """The group up to now, closed; what comes from now on is in the next one."""
        group, self._group = self._group, Group()
        group.close()
        return group

    def _sync(self, syncer: ThreadPoolExecutor, group: Group, sequence: int) -> None:
        self._syncing = group
        done = asyncio.get_running_loop().run_in_executor(syncer, self._journal.sync)
        done.add_done_callback(lambda done: self._synced(group, sequence, done.exception()))

    def _synced(self, group: Group, sequence: int, error: BaseException | None) -> None:
        self._syncing = None
        if error is None:
            self._succeed(group, sequence)
            self.flush()
        else:
            self._journal.retract()
            self._fail(error, self._gathered(), group)

    def _succeed(self, group: Group, sequence: int) -> None:
        if not self._writing:
            self._writing = True
            outage.over("journal")
        entries = group.entries
        self._book.submit(sequence, entries, group.counted)
        listener = self._listener
        if listener is not None:
            for record, count in entries:
                listener(record, count)
            for tab, count in group.counted:
                listener(tab.record, count)
        for call in group.calls:
            call(None)

    def _fail(self, error: BaseException, *groups: Group) -> None:
        """Undoes groups, the newest of which comes first."""
        if self._writing:
            self._writing = False
            outage.begun("journal", error)
            self._try_later()
        for group in groups:
            group.undo(self.accounts)
        for call in [call for group in groups for call in group.calls]:
            call(unavailable())

    def _try_later(self) -> None:
        asyncio.get_running_loop().call_later(_RETRY, self._try)

    def _try(self) -> None:
        """Asks with an empty group whether the journal takes again: an unhealthy gateway may get no request to ask."""
        if self._writing or self._closed:
            return
        try:
            if self._syncing is None:
                group = Group()
                group.close()
                self._succeed(group, self._journal.append(group.payload()))
                return
        except OSError:
            pass
        self._try_later()

    def _begin(self) -> None:
        if self._closed:
            raise unavailable()
        asyncio.get_running_loop().call_soon(self.flush)


def unavailable() -> Problem:
    """What anything is refused with that the ledger cannot take or tell."""
    return Problem(Reason.ledger_unavailable, retry_after=1)


def _resolve(waiter: asyncio.Future[None], problem: Problem | None) -> None:
    if waiter.done():
        return
    if problem is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(problem)
