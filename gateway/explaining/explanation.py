"""An explanation as values, as `gateway explain --format json` prints them."""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class PassedOver:
    """A route that does not take the request, and why."""

    route: str
    why: str


@dataclass(slots=True, frozen=True)
class Refusal:
    """The problem that the gateway would answer with; `fields` are sent besides."""

    status: int
    reason: str
    title: str
    detail: str | None
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, frozen=True)
class Caller:
    """Whose request it is; `balance` names what it spends from, an organization's as `org:` and its name."""

    account: str
    organization: str
    plan: str
    balance: str


@dataclass(slots=True, frozen=True)
class Caching:
    """How the request stands to the cache. `key` holds the cache key's lines, `outdates` tags or a path.

    `share` is `public` where nobody presents a key. `missing` is what comes of it while nothing is stored: `fetch`,
    `forced fetch` where its own directives are priced as one, or `only_if_cached`, a 504.
    """

    share: str
    key: tuple[str, ...]
    outdates: tuple[str, ...]
    missing: str


@dataclass(slots=True, frozen=True)
class Quoted:
    """What it may cost, in tokens, line by line; `forced` in all where its own directives force work, if they can."""

    lines: tuple[tuple[str, int], ...]
    total: int
    forced: int | None = None


@dataclass(slots=True, frozen=True)
class Directives:
    """What the request's own Cache-Control or Pragma demands, in seconds or None, and what the route makes of it.

    `route` is one of `cache.client_directives`, or `pass` where the upstream alone is asked.
    """

    demands: tuple[tuple[str, float | None], ...]
    route: str


@dataclass(slots=True, frozen=True)
class Sent:
    """A field that goes on. `source`: `client`, `gateway`, or, of the config, `upstream` or `refresh.upstream`.

    `value` is None unless it is the client's and no credential.
    """

    name: str
    value: str | None
    source: str


@dataclass(slots=True, frozen=True)
class Onward:
    """The request that the upstream gets while nothing is stored; `url` is below the first of its URLs."""

    upstream: str
    method: str
    url: str
    fields: tuple[Sent, ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(slots=True, frozen=True)
class Explanation:
    """What would become of a request; what does not apply, or a refusal comes before, is None.

    `own` are the fields of the 204 that the gateway answers with by itself. `answered_here` names the fields of the
    request that are held against what is stored, so that it answers with 304, 206 or 416.
    """

    method: str
    host: str
    target: str
    passed_over: tuple[PassedOver, ...] = ()
    route: str | None = None
    refusal: Refusal | None = None
    caller: Caller | None = None
    intent: str | None = None
    own: tuple[tuple[str, str], ...] | None = None
    caching: Caching | None = None
    quote: Quoted | None = None
    directives: Directives | None = None
    answered_here: tuple[str, ...] = ()
    onward: Onward | None = None
