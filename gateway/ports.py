"""Every seam that can be swapped, as a Protocol with one contract test suite each."""

from collections.abc import Iterable
from typing import Protocol

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
        longest; nothing is passed over for ever. Those that are `busy` (stage and id) are left out.
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
        """The single refreshes that a dead process left running."""

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
