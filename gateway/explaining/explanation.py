"""An explanation as values, as `gateway explain --format json` and `POST /-/explain` give them."""

from dataclasses import dataclass

from gateway.config.section import Section


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
    detail: str | None = None
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, frozen=True)
class Caller:
    """Whose request it is; `balance` names what it spends from, an organization's as `org:` and its name."""

    account: str
    organization: str
    plan: str
    balance: str


@dataclass(slots=True, frozen=True)
class Beginning:
    """The background refresh that is asked for, by the `name` of its entry; `scope` is what its key needs for that.

    Each subject costs `per_subject` tokens more than the base. `trigger` is what the upstream gets first: `client` for
    the request itself, once for all its subjects, `configured` for one of the config's for each, or `none`. `tags` are
    those of the stored responses that are fetched again then.
    """

    name: str
    scope: str
    per_subject: int
    trigger: str
    tags: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class Caching:
    """How the request stands to the cache. `key` holds the cache key's lines, `outdates` tags or a path.

    `share` is `public` where nobody presents a key. `missing` is what comes of it while nothing is stored: `fetch`,
    `forced fetch` where its own directives are priced as one, or the reason of a refusal: `only_if_cached`, a 504, or
    `not_stored`, a 404, for a test key.
    """

    share: str
    key: tuple[str, ...]
    outdates: tuple[str, ...]
    missing: str


@dataclass(slots=True, frozen=True)
class Variant:
    """A stored response under the cache key; times in seconds, `size` that of its content in bytes.

    `state` is `fresh`, `stale`, `purged`, `outdated` by a refresh, or `invalid`, as an unsafe method outdated it.
    `ttl` is what is left of its freshness lifetime, negative when that is over, None where nothing gives it one.
    `selecting` are the fields that a request must have to get it, with their values unless those are secret; `matches`
    says whether this one has them, `selected` whether it is the one to decide on. `validator`: the upstream can
    be asked whether it still holds. `forced`: a force refresh fetched it.
    """

    status: int
    state: str
    age: float
    size: int
    ttl: float | None = None
    selecting: tuple[tuple[str, str], ...] = ()
    matches: bool = True
    selected: bool = False
    validator: bool = False
    forced: bool = False


@dataclass(slots=True, frozen=True)
class Ground:
    """One of `reasons.Why` by its name, and in words; `section` says so: of an RFC, else a setting or a command."""

    why: str
    words: str
    section: str


@dataclass(slots=True, frozen=True)
class Verdict:
    """What would become of the request now, and why: what decides first, then what that stands on.

    `decision`: `reuse`, `reuse while revalidating`, `validate`, `fetch`, `pass`, `replay`, `refuse`, `accept` for a
    background refresh, or `tell` for how one stands. `cache_status` is the gateway's member of the answer's
    Cache-Status as far as it is known before any fetch. `tokens` is the charge if the upstream delivers where it is
    asked, None where nothing is metered, or how much depends on what is not known. `collapsed`: it joins a fetch that
    is under way. `spare` says what lets a stored response answer in its place if the upstream fails, None where none
    does. Whether what a fetch brings is stored cannot be known before.
    """

    decision: str
    grounds: tuple[Ground, ...]
    cache_status: str
    tokens: int | None = None
    collapsed: bool = False
    spare: str | None = None


@dataclass(slots=True, frozen=True)
class Room:
    """A limit over time: `remaining` of `limit` in `window` seconds."""

    remaining: int
    limit: int
    window: int


@dataclass(slots=True, frozen=True)
class Limits:
    """How the account stands, in tokens: `balance` can be spent now, `granted` is its plan's present grant.

    Both are None where the plan is unlimited. `renews` is the next grant in ISO 8601, None for never; `throttle` and
    `force_refresh_cap` are None where there is none.
    """

    reserved: int
    balance: int | None = None
    granted: int | None = None
    renews: str | None = None
    throttle: Room | None = None
    force_refresh_cap: Room | None = None


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
    value: str | None = None
    source: str = "client"


@dataclass(slots=True, frozen=True)
class Onward:
    """The request that the upstream gets, or would get where it need not be asked.

    `url` is below the first of its own, whose path is hidden.

    `state` is that of the upstream's breaker, None where it has none or nothing runs.
    """

    upstream: str
    method: str
    url: str
    fields: tuple[Sent, ...]
    left_out: tuple[tuple[str, str], ...]
    state: str | None = None


class Explanation(Section):
    """What would become of a request; what does not apply, or a refusal comes before, is null."""

    running: bool = False
    """Whether a running gateway says so; else it is said from the config alone, as if nothing were stored."""
    method: str
    """The request's method."""
    host: str
    """The host it is sent to."""
    target: str
    """Its request target, without secrets."""
    passed_over: tuple[PassedOver, ...] = ()
    """The routes that stand before the one that takes it."""
    route: str | None = None
    """The route that takes it."""
    refusal: Refusal | None = None
    """The problem that it would be answered with."""
    caller: Caller | None = None
    """Whose request it is."""
    intent: str | None = None
    """`lookup`, `force_refresh`, `background_refresh`, `status`, how one of those stands, `pass`, or `own`: the gateway
    answers by itself."""
    own: tuple[tuple[str, str], ...] | None = None
    """The fields of the 204 that the gateway answers with by itself."""
    begins: Beginning | None = None
    """The background refresh that it asks for."""
    caching: Caching | None = None
    """How it stands to the cache."""
    stored: tuple[Variant, ...] | None = None
    """The stored responses under its cache key, most recently received first."""
    verdict: Verdict | None = None
    """What would become of it now."""
    quote: Quoted | None = None
    """What it may cost."""
    limits: Limits | None = None
    """How its account stands."""
    directives: Directives | None = None
    """What its own Cache-Control demands."""
    answered_here: tuple[str, ...] = ()
    """Its fields that are held against what is stored, so that it answers with 304, 206 or 416."""
    onward: Onward | None = None
    """What the upstream gets of it."""
