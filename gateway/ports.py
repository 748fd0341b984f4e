"""Every seam that can be swapped, as a Protocol with one contract test suite each."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.admission.jobs import Accepted, Job, Order, Recorded, Sending, Stage, State, Step, Target
from gateway.messages import Outgoing, Stream
from gateway.rfc9111.stored import StoredResponse


class Clock(Protocol):
    """Time as the gateway sees it, in seconds since the epoch."""

    def steady(self) -> float:
        """For intervals: starts at the wall clock's time and never jumps after."""

    def wall(self) -> float:
        """For calendars: what the machine's clock says now."""

    def uptime(self) -> tuple[str, float]:
        """The machine's boot by name, and seconds on a clock that runs through every process of it without jumps."""


class SecondTier(Protocol):
    """Stored responses behind the memory tier. Every method may fail; the cache then goes on without it."""

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """Every variant stored under `key`, outdated ones left out; empty for a miss."""

    async def save(self, stored: StoredResponse) -> None:
        """Keep `stored` in place of the variant with the same selecting header fields; an outdated one removes that."""

    async def drop(self, groups: tuple[str, ...], before: float, keep: str | None) -> None:
        """Outdate what belongs to one of `groups` and began before `before` (steady seconds), but for key `keep`."""

    async def purge(self, selection: tuple[str, ...], before: float, *, hard: bool) -> None:
        """Leave out from now on what `selection` (as `stores.selection` writes it) takes and began before `before`.

        Unless `hard` it is still found, and says when it was `purged`.
        """


class Notes(Protocol):
    """What was outdated and the second tier has yet to be told, kept where the next process finds it."""

    @property
    def earlier(self) -> Sequence[tuple[Any, ...]]:
        """What an earlier process noted, of which the tier may not have been told."""

    def add(self, note: tuple[Any, ...]) -> None:
        """Let the next process know of it, whatever becomes of this one."""

    def settled(self) -> None:
        """The tier has been told everything."""


class SharedTier(Protocol):
    """Stored responses that all nodes of a fleet have in common; the fleet's log outdates them, see `fleet.log`.

    Numbers are those of the log's entries. Every method raises `stores.TierUnavailable` where it cannot be reached.
    """

    async def load(self, key: str) -> tuple[tuple[int, StoredResponse], ...]:
        """Every variant stored under `key` that no entry outdates, with its number; times are this node's steady ones.

        Most recently received first; those in groups that entries later than its number mark are left out.
        """

    async def save(self, stored: StoredResponse, marks: bytes, number: int, token: int = 0) -> bool:
        """Keep `stored`, fetched by a node that knew entry `number`, unless that is too late; whether it is kept.

        It is too late if a later entry has marked one of `marks` (digests of 16 bytes each), if the variant in its
        place began later, or if `token` is not the fencing token given out last for its key (0: it has none).
        """

    def tagged(self, group: str) -> AsyncIterator[tuple[int, StoredResponse]]:
        """What is stored in `group`, a tag's, and no entry outdates: as `load` has it, without fields and content.

        What is there all the while is met, perhaps more than once.
        """

    async def purges(self) -> tuple[tuple[int, tuple[str, ...]], ...]:
        """The purges that no groups tell, as `stores.selection` writes them, with the numbers of their entries."""


class Upstream(Protocol):
    """One upstream as the pipeline sees it."""

    async def send(self, outgoing: Outgoing) -> Stream:
        """One exchange up to the response's head, retried once where that is safe.

        A background one waits for its turn, and then has the policy's whole time for its head. Raises `errors.Problem`
        with an `upstream_…` reason.
        """

    async def room(self) -> None:
        """Return once a background call may be made: foreground and the upstream's own limits leave room for it.

        Waits as long as that takes, and reserves nothing. Raises `errors.Problem` with `upstream_unavailable` where the
        config no longer names the upstream.
        """

    async def close(self) -> None:
        """Close every connection; no exchange is under way."""


class Landing(NamedTuple):
    """What a fetch brought, for other nodes; `marks` are digests of 16 bytes each of the groups that it belongs to."""

    value: bytes
    marks: bytes


class Landed(NamedTuple):
    """What another node's fetch brought, `since` seconds ago; `outdated`: something has overtaken it."""

    value: bytes
    since: float
    outdated: bool


class Lease(Protocol):
    """This node's right to make a fetch for the whole fleet, renewed until it has landed or been parted.

    `token` is its fencing token: 0 where it is not known whether it was granted.
    """

    token: int

    @property
    def lapsed(self) -> bool:
        """Whether another node may have it by now: what this one has fetched may be older than what that has."""

    async def arrive(self) -> None:
        """The fetch has ended: no force refresh that is asked for from now on waits for it.

        Called before anyone is answered: it is on its way to the other nodes before it first waits.
        """

    async def land(self, landing: Callable[[], Awaitable[Landing]]) -> None:
        """What it brought can be found: nodes that wait for it get its `landing`, made only where there are any.

        From now on another node may be granted the lease. Where this one lost it meanwhile nothing happens.
        """

    async def part(self) -> None:
        """What the fetch brings is for its own caller: nobody waits for it any longer, nor for others of its key."""


class Guard(Protocol):
    """Who of the fleet makes a fetch that several nodes want at once."""

    async def ask(self, key: str, rank: int, marks: bytes) -> Lease | Landed | None:
        """The lease of the fetch of `key`, or what another node's fetch brought that does for `rank`, waited for.

        None where no fetch of the key is shared for now. `marks` are the digests of the groups that it belongs to: what
        was outdated in one of them before this was asked is not waited for. Waits as long as that fetch takes; a caller
        who has less time cancels. Where nothing can be asked the lease is given without a token.
        """


class Jobs(Protocol):
    """The durable register of refreshes: what is acknowledged is there after kill -9. Times are wall-clock seconds.

    Every method raises `errors.Problem` with `jobs_unavailable` where it cannot be read or written; nothing has changed
    then.
    """

    async def accept(self, order: Order, now: float) -> Accepted:
        """Make a job of `order`, in one step with all that it collapses.

        A subject has work under way once at most over all accounts. What the order finds under way it joins: it is
        interested in that work's end. An earlier `since` (or scopes that it lacks, once it selects) widens that work,
        which goes back to its first stage, behind this order's own trigger if it has one. Where an account asks for
        what one of its own jobs that is under way is about, neither more nor earlier, that job is the answer. A job
        none of whose work is new or widened sends no trigger. `attempted` is recorded for the account and each subject.
        Raises `errors.Problem` with `throttled` where the account has too many jobs that have not ended.
        """

    async def withdraw(self, job: str, now: float) -> None:
        """An order was accepted and could not be charged: its job is cancelled, as if it had never been asked for."""

    async def steps(self, name: str, now: float, most: int, busy: Iterable[tuple[str, int]]) -> tuple[Step, ...]:
        """At most `most` steps of the background refresh `name` that are due.

        Jobs' own triggers come first. Then what is about few goes before what is about many, and else what is due
        longest; nothing is passed over for ever. Those that are `busy` (stage and id) are left out. Of processes that
        share a register one is given steps, and it alone may report on any: what others report changes nothing.
        """

    async def next_due(self, name: str) -> float | None:
        """When the next step of `name` is due, None where there is none."""

    async def sent(self, step: Step, now: float) -> bool:
        """Write down that a trigger is about to be sent: from now on it is `sent`.

        False, and it must not be, where nothing waits for it any more: cancelled, or widened, since it was given out.
        """

    async def passed(self, step: Step, following: Stage, due: float, now: float) -> None:
        """A trigger or a wait has ended well: its subject, or all that waited for the job's trigger, goes on."""

    async def found(self, step: Step, targets: Iterable[Target], *, last: bool, now: float) -> None:
        """Add what a selection found, each once; the `last` ends it: on to fetching, or done if nothing was found."""

    async def fetched(self, step: Step, further: Iterable[Target], now: float) -> None:
        """A target has been fetched, and its list has `further` pages. With the last of them the subject is done.

        A subject that is done without a failure advances `Recorded.since` of each account interested in it to when the
        work on it began; one with a target that failed has failed, for that reason.
        """

    async def later(self, step: Step, due: float, reason: str, now: float, *, failed: bool) -> None:
        """Try the step again when it is `due`; it counts as an attempt where it has `failed`."""

    async def failed(self, step: Step, reason: str, now: float) -> None:
        """Give the step up: a target, or what is left of its subject (of the job, where that is its trigger)."""

    async def recorded(self, account: str, name: str, subject: str) -> Recorded:
        """What is recorded of an account's subject."""

    async def begin(self, job: Job, sending: Sending, now: float) -> None:
        """Keep a single refresh, running."""

    async def end(self, job: Job, now: float) -> None:
        """Keep what became of a single refresh, unless it was cancelled meanwhile."""

    async def unfinished(self) -> tuple[tuple[Job, Sending], ...]:
        """The single refreshes that dead processes left running; whoever is told of them is to do them.

        One that shares the register with others may ask again and again, and is told of each once.
        """

    async def find(self, id_: str, account: str | None = None) -> Job | None:
        """The job of this id, None where there is none, or it is not the account's where one is given."""

    async def latest(self, after: str | None, most: int, account: str | None = None) -> tuple[Job, ...]:
        """At most `most` jobs, latest first, of those that began before `after`; an account's where one is given."""

    async def cancel(self, id_: str, now: float) -> State | None:
        """End a job as cancelled, and work that no other job is interested in; the state it was in, None if unknown."""

    async def prune(self, before: float) -> None:
        """Forget what ended before; records of accounts' subjects stay."""

    async def close(self) -> None:
        """Write what is under way, and close."""
