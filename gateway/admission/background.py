"""A background refresh as the config describes it: of what, what starts it, what is fetched again, and how fast."""

from dataclasses import dataclass, field
from typing import Literal

from gateway.admission.rate import Rate

Json = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
"""A JSON value. As a template its strings hold `{placeholders}` (`filled`)."""

Member = tuple[str, ...]
"""A path of members into JSON content, outermost first; empty for the content itself."""


@dataclass(slots=True, frozen=True)
class Condition:
    """Holds for JSON content whose `member` is one of `values`."""

    member: Member
    values: tuple[bool | int | float | str | None, ...]


@dataclass(slots=True, frozen=True)
class SubjectPolicy:
    """The parameter that names the subject, in query and JSON content, and what it is: a whole number or any text."""

    name: str
    kind: Literal["number", "text"] = "number"


@dataclass(slots=True, frozen=True)
class PagesPolicy:
    """How a list says that it goes on: member `page` of how many `pages`; the query parameter `query` asks for another.

    At most `most` pages of one list are followed.
    """

    query: str = "page"
    page: Member = ("page",)
    pages: Member = ("pages",)
    most: int = 1000


@dataclass(slots=True, frozen=True)
class ListPolicy:
    """Where all subjects are told: the items at `items` of the upstream's `target`, each with its id at `id`.

    Those that meet every condition of `refreshable` can be refreshed. It is believed for `keep` seconds. `pages` None:
    the list is one page.
    """

    target: str = field(repr=False)
    id: Member
    items: Member = ()
    refreshable: tuple[Condition, ...] = ()
    pages: PagesPolicy | None = None
    keep: float = 300.0


@dataclass(slots=True, frozen=True)
class SincePolicy:
    """The parameter that says from when on, and the zone of its times: an IANA name, or an offset such as `-08:00`."""

    name: str
    zone: str = "America/Los_Angeles"


@dataclass(slots=True, frozen=True)
class Call:
    """A request to the upstream for each subject: templates with `{subject}` and `{since}` (`filled`).

    What has no value for its placeholder is left out of `query` and `content`; `content` None: there is none.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    content: Json = field(default=None, repr=False)


@dataclass(slots=True, frozen=True)
class WaitPolicy:
    """What to wait for once it has been triggered: GET `target` every `every` seconds until its content meets `until`.

    Content that meets one of `failed` ends it as failed, and so do `within` seconds.
    """

    target: str = field(repr=False)
    until: tuple[Condition, ...]
    failed: tuple[Condition, ...] = ()
    every: float = 5.0
    within: float = 600.0


@dataclass(slots=True, frozen=True)
class TriggerPolicy:
    """What the upstream is asked first: the client's own request, a call for each subject, or nothing.

    `repeatable`: it may be sent again where nobody knows whether it arrived.
    """

    request: Literal["client", "none"] | Call = "client"
    repeatable: bool = False
    wait: WaitPolicy | None = None


@dataclass(slots=True, frozen=True)
class PacePolicy:
    """At most `concurrency` upstream calls at once, and `rate`; None: as fast as the upstream allows."""

    concurrency: int = 2
    rate: Rate | None = None


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """A call that failed is tried `attempts` times in all, the pauses from `first` to `longest` seconds; a subject is
    given up `within` seconds after its first call."""

    attempts: int = 6
    first: float = 1.0
    longest: float = 300.0
    within: float = 21_600.0


@dataclass(slots=True, frozen=True)
class Word:
    """How one state is told in the status answer."""

    id: int
    text: str


@dataclass(slots=True, frozen=True)
class StatusPolicy:
    """The answer to a GET for one subject's status: a template, and the words for its `{status_id}` and `{status}`.

    `words` has one for each of none, pending, running, done, failed and cancelled.
    """

    answer: Json
    words: dict[str, Word] = field(hash=False)


@dataclass(slots=True, frozen=True)
class BackgroundPolicy:
    """One entry of `background_refreshes`; `tags` are templates with `{subject}`.

    `one`, `all` and `joined` are the answers' templates: to a request for one subject, for all of them, and to one that
    joins what is under way. `subjects` None: any subject is believed, and there is no asking for all.
    """

    name: str
    upstream: str
    subject: SubjectPolicy
    since: SincePolicy | None
    subjects: ListPolicy | None
    trigger: TriggerPolicy
    tags: tuple[str, ...]
    pages: PagesPolicy | None
    per_subject: int
    pace: PacePolicy
    retry: RetryPolicy
    one: Json
    all: Json
    joined: Json
    status: StatusPolicy | None
