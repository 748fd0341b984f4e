"""Background refreshes and single ones as the register keeps them: values, and what each state may become.

All times are wall-clock seconds: a job outlives the process that began it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

EVERY_SCOPE = "*"
"""In place of a share scope: whichever it is. What operators order is for everybody."""


class Kind(StrEnum):
    """Many stored responses of subjects, or one response's."""

    background = "background"
    single = "single"


class State(StrEnum):
    """How far a job, or the work on one of its subjects, has come; the last three are final."""

    pending = "pending"
    running = "running"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to it."""
        return self in (State.done, State.failed, State.cancelled)


class Stage(StrEnum):
    """What is to be done next for a subject."""

    trigger = "trigger"
    wait = "wait"
    select = "select"
    fetch = "fetch"


class How(StrEnum):
    """What came of a request for a background refresh."""

    initiated = "initiated"
    joined = "joined"
    widened = "widened"


@dataclass(slots=True, frozen=True)
class Sending:
    """A client's request as it is sent on later; fields without its credentials. Fields in pairs, in their order."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    content: bytes = b""
    scheme: str = "http"


@dataclass(slots=True, frozen=True)
class Order:
    """A background refresh that was asked for and may begin.

    `subjects` are all that it is about, `whole` that the client named none. `since` None: each one's last recorded one.
    `scopes` are the share scopes (`Prepared.scope`) whose stored responses the account may be served. `first`
    is where the work begins. `sending` is the client's request where that is the trigger, one for the whole job; its
    target is already the upstream's.
    """

    name: str
    account: str
    subjects: tuple[str, ...]
    whole: bool
    since: float | None
    scopes: tuple[str, ...]
    first: Stage
    sending: Sending | None = None


@dataclass(slots=True, frozen=True)
class Accepted:
    """The job that an order became or joined."""

    job: str
    how: How


@dataclass(slots=True, frozen=True)
class Progress:
    """How many there are, and how many of them have ended well or not."""

    total: int = 0
    done: int = 0
    failed: int = 0


@dataclass(slots=True, frozen=True)
class Job:
    """One job as it stands. `name` is the background refresh's, or the route's of a single one.

    `subject` None: all of them, or a single refresh, which has `url` (the target without secrets) and `host` instead.
    `since` is what was asked for, None where nothing was. `responses` counts the stored responses fetched again, as far
    as they are found. A single one that has ended has the upstream's `status`, `cache_status` and its `tokens`.
    """

    id: str
    kind: Kind
    name: str
    account: str | None
    began: float
    state: State
    subject: str | None = None
    since: float | None = None
    url: str = ""
    host: str = ""
    ended: float | None = None
    reason: str | None = None
    subjects: Progress = field(default_factory=Progress)
    responses: Progress = field(default_factory=Progress)
    status: int | None = None
    cache_status: str | None = None
    tokens: int | None = None


@dataclass(slots=True, frozen=True)
class Target:
    """One response to be fetched again, for the share scope that it is stored in."""

    scope: str
    sending: Sending


@dataclass(slots=True, frozen=True)
class Step:
    """What is to be done next, by its `stage`.

    `id` is the row's, unique among those of the same `stage`. `sending` is the client's request on a job's trigger,
    and `target` what a `fetch` is about. `subject` is "" on a job's own trigger. `sent`: a trigger that was about to be
    sent when the process died, so that nobody knows whether it arrived. `attempts` have failed so far; `began` is when
    its subject's first call was made, None before it; `stage_began` when its stage was reached.
    """

    id: int
    stage: Stage
    name: str
    job: str
    account: str
    subject: str
    since: float | None
    scopes: tuple[str, ...]
    due: float
    attempts: int = 0
    began: float | None = None
    stage_began: float = 0.0
    sent: bool = False
    sending: Sending | None = None
    target: Target | None = None


@dataclass(slots=True, frozen=True)
class Recorded:
    """What is recorded of an account's subject: when a refresh was last begun, and since when the next one imports.

    `since` advances to the beginning of a refresh when that has succeeded. `state` is that of its last job, None where
    there was none.
    """

    attempted: float | None = None
    since: float | None = None
    state: State | None = None
