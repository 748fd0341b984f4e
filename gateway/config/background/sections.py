"""The schema of `background_refreshes`."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.admission.rate import Rate
from gateway.config.accounts import MOST_TOKENS
from gateway.config.background.kinds import (
    MembersPath,
    PathTemplate,
    TagTemplate,
    TargetTemplate,
    TargetText,
    Template,
    Values,
    Words,
    Zone,
)
from gateway.config.fields import (
    NONE,
    NOT_EMPTY,
    SWITCH,
    HostPattern,
    Many,
    MemberPath,
    Method,
    Name,
    PathText,
    QueryName,
    short_for,
)
from gateway.config.routes import Rewrite, TokenCount
from gateway.config.section import Section
from gateway.config.units import Duration, RateText, Timeout

MOST_SUBJECTS = 1_000_000
"""Of one background refresh; what all of them cost together is a count of tokens still."""

Conditions = dict[MemberPath, Values]
State = Literal["none", "pending", "running", "done", "failed", "cancelled"]

_TEXT = {"type": "string"}


class BackgroundMatch(Section):
    """Which requests ask for it."""

    host: HostPattern = "*"
    """The request's host, `*` for any, or `*.example.com` for every name below one."""
    path: PathText
    """The path; `{x}` is one segment, `{x:.*}` any rest."""
    methods: Annotated[Many[Method], NOT_EMPTY] = ("POST",)
    """The methods."""


class Subject(Section):
    """What is refreshed: a store, say."""

    name: QueryName
    """The parameter that names it: in the query, or a member of a JSON object in the content."""
    kind: Literal["number", "text"] = Field(default="number", alias="type")
    """What it is: a whole number, or any text."""


class Pages(Section):
    """How a list goes on."""

    query: QueryName = "page"
    """The query parameter that asks for another page."""
    page: MemberPath = ("page",)
    """The member of a page that says which one it is."""
    pages: MemberPath = ("pages",)
    """The member of a page that says how many there are."""
    most: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Pages of one list that are followed."""


class Subjects(Section):
    """Where all subjects are told, and which of them can be refreshed."""

    get: TargetText = Field(repr=False)
    """The path, and query, of the upstream's list."""
    items: MembersPath = ()
    """The member that holds the list; left out: the content is the list."""
    id: MemberPath
    """The member of an item that is the subject's id."""
    refreshable: Conditions = {}
    """Members of an item and what they must be, or a list of what they may be, for the subject to be refreshable, all
    of them; left out: every one is."""
    pages: Annotated[Pages | None, SWITCH] = None
    """How the list goes on; `true` takes the defaults; left out: it is one page."""
    keep: Duration = 300.0
    """How long the list is believed, and for as long again while the next one is on its way; it is asked for sooner
    where a subject is not in it."""


class Since(Section):
    """From when on the upstream looks for what is new."""

    name: QueryName
    """The parameter that says it, `YYYY-MM-DD HH:MM:SS` or `YYYY-MM-DD`, as the subject's does."""
    zone: Zone = "America/Los_Angeles"
    """The time zone of these dates, or an offset from UTC such as `-08:00`, which knows no daylight saving time."""


class Call(Section):
    """What is sent to the upstream once for each subject; `{subject}` and `{since}` stand for what they are."""

    method: Method = "POST"
    """The method."""
    path: PathTemplate
    """The path."""
    query: dict[QueryName, str] = Field(default={}, repr=False)
    """Query parameters; one whose placeholder has no value is left out."""
    body: Template = Field(default=None, repr=False)
    """JSON content; a member whose placeholder has no value is left out."""


class Wait(Section):
    """What to wait for, before anything is fetched again."""

    get: TargetTemplate = Field(repr=False)
    """The path, and query, that tells; `{subject}` and `{since}` stand for what they are."""
    until: Conditions
    """Members of its content and what they must be, or a list of what they may be, all of them; one at least."""
    failed: Conditions = {}
    """The same for what says that it has failed, where one of them is enough; left out: nothing says so before `within`
    is over."""
    every: Timeout = 5.0
    """How often it is asked."""
    within: Timeout = 600.0
    """How long it may take."""


class Trigger(Section):
    """What the upstream is asked first."""

    request: Annotated[Call | Literal["client", "none"], Words(("client", "none"))] = "client"
    """`client`: the client's own request, sent on; `none`: nothing; or a request of its own for each subject."""
    repeatable: bool = False
    """Whether it may be sent again where nobody knows whether it arrived."""
    wait: Wait | None = None
    """What to wait for then; left out: nothing."""


class BackgroundPrice(Section):
    """What it costs, once it is accepted; asking for the status is free."""

    base: TokenCount = 1
    """What every request costs."""
    per_subject: Annotated[int, Field(ge=0, le=MOST_TOKENS // MOST_SUBJECTS)] = 0
    """What each subject of it costs more."""


class Pace(Section):
    """How fast it goes; the upstream's own limits hold as well, and clients' requests come first."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 2
    """Requests to the upstream at once."""
    rate: Annotated[RateText | None, NONE] = Rate(5, 1.0)
    """Requests to the upstream in any window; `none` for no limit of its own."""


class Retry(Section):
    """How often what failed is tried again, each pause up to twice as long as the one before."""

    attempts: Annotated[int, Field(ge=1, le=1000)] = 6
    """Tries in all, of one request to the upstream."""
    first: Timeout = 1.0
    """The first pause."""
    longest: Timeout = 300.0
    """The longest pause; a Retry-After of the upstream counts as well."""
    within: Timeout = 21_600.0
    """How long after its first request a subject is given up."""


class Word(Section):
    """How a state is told."""

    id: Annotated[int, Field(ge=0, le=10**9)]
    """What `{status_id}` stands for."""
    text: str
    """What `{status}` stands for."""


class Status(Section):
    """Where clients ask how the refresh of one subject stands."""

    path: PathText
    """The path of the GET, on the host of `match`; the subject is in its query."""
    answer: Template = None
    """The answer, JSON in which `{subject}` `{status}` `{status_id}` `{attempted}` (when it was asked for last) and
    `{since}` (what the last that succeeded recorded) stand for what they are; left out: an object of these five. Dates
    are `YYYY-MM-DD HH:MM:SS` in the zone of `since`, without one in UTC, and null where there is none."""
    words: dict[State, Word] = {}
    """What `{status}` and `{status_id}` are for `none` (never asked for), `pending`, `running`, `done`, `failed` and
    `cancelled`; left out: 0 Never refreshed, 1 Pending, 2 Refreshing, 3 Done, 4 Failed, 5 Cancelled."""


class Answers(Section):
    """What is answered at once, JSON in which `{subject}` `{subjects}` (how many) `{since}` `{job}` (its id) and
    `{how}` (initiated, joined or widened) stand for what they are; a text that is one of them alone becomes its value,
    and `{{` is a brace."""

    one: Template = None
    """To a request for one subject; left out: `success` true and a `message`, as for the others."""
    all: Template = None
    """To a request for all of them, which has no `{subject}`."""
    joined: Template = None
    """To a request for one subject whose refresh is under way already."""


class BackgroundRefresh(Section):
    """A request that starts work and is answered at once: what is stored of its subjects is fetched again, in the
    background, and served until then."""

    name: Name
    """Its name in metrics, logs and `/-/refreshes`; that of its status has `-status` behind it."""
    match: Annotated[BackgroundMatch, short_for("path", _TEXT)]
    """Which requests ask for it, before all routes; a path alone is enough."""
    upstream: Name | None = None
    """Where its own requests go; left out: the only upstream. Not one with `credentials: client`."""
    rewrite: Rewrite = Rewrite()
    """How the target of the client's request changes on its way to the upstream."""
    subject: Annotated[Subject, short_for("name", _TEXT)]
    """What is refreshed; a name alone is enough."""
    subjects: Subjects | None = None
    """Where all subjects are told; left out: any is believed, and a request must name one."""
    since: Annotated[Since | None, short_for("name", _TEXT)] = None
    """From when on; a name alone is enough; left out: no date is taken."""
    trigger: Annotated[Trigger, short_for("request", {"enum": ["client", "none"]})] = Trigger()
    """What the upstream is asked first; `client` or `none` alone is enough."""
    tags: Annotated[Many[TagTemplate], NOT_EMPTY]
    """Tags of the stored responses that are fetched again; `{subject}` is the subject."""
    pages: Annotated[Pages | None, SWITCH] = None
    """How lists among them go on, which are followed to their end; `true` takes the defaults; left out: they are one
    page each."""
    price: Annotated[BackgroundPrice, short_for("base", {"type": "integer"})] = BackgroundPrice()
    """What it costs; a number alone is the base."""
    pace: Pace = Pace()
    """How fast it goes."""
    retry: Retry = Retry()
    """When it is given up."""
    status: Annotated[Status | None, short_for("path", _TEXT)] = None
    """Where clients ask how it stands; a path alone is enough; left out: `/-/refreshes` tells."""
    answer: Answers = Answers()
    """What is answered."""
