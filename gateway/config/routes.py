"""The schema of `routes`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.admission.snapshot import ClientDirectives, Share
from gateway.config.accounts import MOST_TOKENS
from gateway.config.fields import (
    NOT_EMPTY,
    OFF,
    SWITCH,
    Charged,
    FieldName,
    FieldValue,
    HostPattern,
    Many,
    Method,
    Name,
    Origin,
    PathText,
    Prefix,
    QueryName,
    RefreshPost,
    Short,
    Status,
    Tag,
    short_for,
)
from gateway.config.section import Section
from gateway.config.units import DURATION_SCHEMA, Duration, Rate, RateText, Size
from gateway.config.units import Share as Portion

TokenCount = Annotated[int, Field(ge=0, le=MOST_TOKENS)]

EVERYTHING = "/{path:.*}"

_ORIGINS = Short(
    lambda value: {"origins": value} if isinstance(value, (str, list)) else value,
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
)


class Match(Section):
    """Which requests a route takes."""

    host: HostPattern = "*"
    """The request's host, `*` for any, or `*.example.com` for every name below one."""
    path: PathText = EVERYTHING
    """The path; `{x}` is one segment, `{x:.*}` any rest."""
    methods: Annotated[Many[Method] | None, NOT_EMPTY] = None
    """The methods; left out: any."""


class Rewrite(Section):
    """What the upstream sees of the target."""

    strip_prefix: Prefix = ""
    """The beginning of the path that the upstream does not see."""


class VaryOn(Section):
    """What tells stored responses apart besides the path."""

    query_ignore: Many[QueryName] = ()
    """Query parameters that make no difference."""
    query_sort: bool = False
    """Whether the order of query parameters makes no difference."""
    headers: Many[FieldName] = ()
    """Request fields that make a difference, even where the upstream sends no Vary."""


def _of_something(share: float) -> float:
    if not share:
        raise ValueError("must be more than 0%")
    return share


def _half_at_most(share: float) -> float:
    if share > 0.5:
        raise ValueError("must be 50% at most")
    return share


class RefreshAhead(Section):
    """Hot pages refresh themselves: what is asked for often is fetched anew before it goes stale, on the house."""

    hits: Annotated[int, Field(ge=1, le=10**6)] = 10
    """How often it must have been asked for since it was fetched."""
    last: Annotated[Portion, AfterValidator(_of_something)] = Field(default=0.2, json_schema_extra={"default": "20%"})
    """The last part of its lifetime, in which the next one who asks sets off the fetch."""
    rate: RateText = Field(default=Rate(60, 60.0), json_schema_extra={"default": "60/min"})
    """How many such fetches at most, over the whole route."""


class Cache(Section):
    """What is stored, for how long, and for whom."""

    ttl: Duration | None = None
    """The freshness lifetime of 200, 203, 301 and 308 where the origin says nothing; left out: the origin decides."""
    ttl_by_status: dict[Status, Duration] = {}
    """The freshness lifetime by status code, where the origin says nothing."""
    ttl_jitter: Annotated[Portion, AfterValidator(_half_at_most)] = Field(
        default=0.0, json_schema_extra={"default": "0%"}
    )
    """By how much of it a lifetime that `ttl` or `ttl_by_status` gives is shortened at most, for each response another
    part, so that what came together does not expire together."""
    refresh_ahead: Annotated[RefreshAhead | None, SWITCH] = None
    """When what is still fresh is fetched anew; `true` takes the defaults; left out: never."""
    override_origin: bool = False
    """Whether `ttl` wins over the origin's fields, no-store and private included."""
    stale_while_revalidate: Duration = 0.0
    """How long after its lifetime a stored response is still served while it is fetched anew."""
    stale_if_error: Duration | None = None
    """How long after its lifetime a stored response is served when the upstream fails; left out: as the origin says,
    and where nothing gives a `ttl` and nobody forbids it, up to a day while the upstream cannot be reached."""
    client_directives: ClientDirectives | None = None
    """What a request's own Cache-Control does: `honour` it, `ignore` it, or `price` what it forces like a force
    refresh, cap included; left out: honour on public routes, price on metered ones."""
    share: Share | None = None
    """Who may be served one stored response; left out: everyone, with `credentials: client` the key alone."""
    vary_on: VaryOn = VaryOn()
    """What tells stored responses apart."""
    tags: Many[Tag] = ()
    """Names under which stored responses are outdated and refreshed together: `{x}` is a parameter of the path,
    `{query.page}` one of the query, both without percent-encoding, and `{body.customer.id}` a member of JSON content,
    within lists each of them. Where the latter two are absent, so is the tag, unless `{query.page:-1}` gives a
    default."""
    max_body: Size = 8 << 20
    """The largest body that is stored."""


class When(Section):
    """When an option of the price applies."""

    query_any: Annotated[Many[QueryName], NOT_EMPTY]
    """Query flags of which one at least is on."""


class PriceOption(Section):
    """What a request costs more."""

    name: Name
    """The option's name in receipts."""
    tokens: TokenCount
    """What it adds."""
    when: When
    """When it applies."""


class Price(Section):
    """What a request costs, in tokens."""

    base: TokenCount = 1
    """What every request costs."""
    options: tuple[PriceOption, ...] = ()
    """What some requests cost more."""
    force_refresh: TokenCount = 0
    """What a force refresh costs more, if it delivered fresh upstream data."""
    charge_on: Many[Charged] = (2, 3, 4)
    """The status classes and codes that are charged for; 5xx never is."""


class RefreshUpstream(Section):
    """What a forced fetch adds, for upstreams that cache themselves."""

    query: dict[QueryName, str] = {}
    """Query parameters."""
    headers: dict[FieldName, FieldValue] = Field(default={}, repr=False)
    """Request fields."""


class Refresh(Section):
    """How clients force a fresh upstream fetch."""

    query: Many[QueryName] = ("include_force_refresh", "force_refresh")
    """Query flags that ask for one."""
    post: RefreshPost = "auto"
    """The path whose POST asks for one; `auto` is the match path and `/refresh`, `none` is no path."""
    post_query: dict[QueryName, str] = {}
    """Query parameters that a POST fills in where the client's query leaves them out."""
    upstream: RefreshUpstream = RefreshUpstream()
    """What a forced fetch adds for the upstream."""
    cooldown: Duration = 0.0
    """How long after a refresh another one gets the same copy, without the surcharge."""


class Cors(Section):
    """Which web pages may call a route; the gateway answers their browsers itself."""

    origins: Annotated[Many[Origin], NOT_EMPTY]
    """Origins of pages, such as https://app.example.com, or `*` for every page."""


class Taken(Section):
    """What makes a route this one."""

    name: Name | None = None
    """The route's name in metrics and logs; left out: the upstream's."""
    match: Annotated[Match, short_for("path", {"type": "string"})] = Match()
    """Which requests it takes; a path alone is enough; left out: everything."""


class RouteDefaults(Section):
    """What holds for every route that does not say otherwise; within mappings for each of their keys, short forms
    being mappings as well. What a public route may not have, it does not get."""

    upstream: Name | None = None
    """Where the requests go; left out: the only upstream."""
    access: Literal["key", "public"] = "key"
    """Whether an API key is needed and metered, or none is."""
    credentials: Literal["upstream"] | None = None
    """`upstream` on a public route: the upstream's `headers` are sent although anyone may call."""
    rewrite: Rewrite = Rewrite()
    """How the target changes on its way to the upstream."""
    forward: Many[FieldName] = ()
    """Request fields sent on besides the default list, and so keyed; what else a request brings to a route with a
    lifetime of its own is not sent on, and named in the log."""
    cache: Annotated[Annotated[Cache, short_for("ttl", DURATION_SCHEMA)] | None, OFF] = None
    """What is stored; a lifetime alone is enough; left out, or `false`: nothing."""
    price: Annotated[Price, short_for("base", {"type": "integer"})] = Price()
    """What a request costs; a number alone is the base."""
    refresh: Annotated[Refresh | None, SWITCH] = None
    """How clients force a fresh upstream fetch; `true` takes the defaults; left out: not at all."""
    cors: Annotated[Annotated[Cors | None, _ORIGINS], OFF] = None
    """Which web pages may call it: their browsers' preflights are answered free and without a key, and what the
    upstream says of it is left out; a list of origins is enough; left out, or `false`: the upstream's business."""
    tokens_in_body: bool = False
    """Whether `tokens_consumed` and `tokens_remaining` are added to JSON objects."""


class Route(RouteDefaults, Taken):
    """What happens to the requests it matches; the first match wins."""
