"""The schema of the whole config: every key with its type, range, default and prose."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import SchemaSerializer, core_schema

from gateway.admission.snapshot import KeySource
from gateway.config.accounts import Key, Organization, Plan
from gateway.config.background.sections import BackgroundRefresh
from gateway.config.document import Document, Node, Plain
from gateway.config.fields import (
    EMPTY,
    NONE,
    NOT_EMPTY,
    Accepted,
    FieldName,
    FieldValue,
    Host,
    Included,
    Many,
    MemberPath,
    Name,
    Network,
    Timezone,
    UpstreamURL,
    short_for,
)
from gateway.config.paths import Tls
from gateway.config.routes import Route, RouteDefaults
from gateway.config.sampling import HITS, Sample
from gateway.config.section import Section
from gateway.config.spelling import as_written
from gateway.config.store import Store
from gateway.config.units import DURATION_SCHEMA, Address, Duration, Listen, RateText, Size, Timeout

Count = Annotated[int, Field(ge=1, le=10**9)]

LEFT_OUT: Plain = {
    "listen": "${GATEWAY_LISTEN:-127.0.0.1:8080}",
    "admin": {"listen": "${GATEWAY_ADMIN:-127.0.0.1:9180}", "token": "${GATEWAY_ADMIN_TOKEN:-}"},
    "store": {
        "path": "var",
        "username": "${GATEWAY_REDIS_USERNAME:-}",
        "password": "${GATEWAY_REDIS_PASSWORD:-}",
    },
}
"""What a config leaves out, where that depends on the environment or the file's folder."""


class Limits(Section):
    """What one client may use of the gateway, and all of them together."""

    target: Size = 8 << 10
    """The longest request target."""
    fields: Size = 32 << 10
    """The largest field section of a request."""
    body: Size = 10 << 20
    """The largest request body."""
    connections: Count = 10_000
    """Open client connections."""
    connections_per_address: Count | None = None
    """Open client connections from one address; left out, 500, and any number from this machine itself. Never holds
    for `trusted_proxies`, who speak for many."""
    head_timeout: Timeout = 10.0
    """How long a request's head may take."""
    body_timeout: Timeout = 30.0
    """How long each piece of a request's body may take."""
    write_timeout: Timeout = 30.0
    """How long a client may take nothing of its answer."""
    buffered: Size = 256 << 20
    """Bytes of unfinished content held at once, over all requests."""


class Admin(Section):
    """The port for operators: metrics, health, and what changes something."""

    listen: Listen = Field(default=Address("127.0.0.1", 9180), json_schema_extra={"default": "127.0.0.1:9180"})
    """Where it listens; the environment variable GATEWAY_ADMIN gives another default."""
    token: Annotated[str, Field(repr=False)] = ""
    """What callers of the admin API for keys and grants must present as a bearer token, required off loopback;
    GATEWAY_ADMIN_TOKEN gives a default. /metrics, /livez and /readyz never need it."""


class Log(Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """One JSON object per line, lines for people, or whichever fits the output."""
    sample: Sample = Field(default=HITS, json_schema_extra={"default": {"hit": "1/100"}})
    """Which share of requests that were answered without a fault has a line, by what the metrics call `cache`: `all`,
    `none` or `1/N`; of what is not named all, but of hits 1/100. At `level: debug` each has one."""


def _kept_long_enough(seconds: float) -> float:
    # Two months of 31 days, and a day for the hours that clocks are set by.
    if seconds < 63 * 86400:
        raise ValueError("must be at least 63d, so that the month that ended last is whole")
    return seconds


class Ledger(Section):
    """The accounts' books."""

    keep: Annotated[Duration, AfterValidator(_kept_long_enough)] = 400 * 86400.0
    """How long records and receipts are kept, 63d at least, so that the month that ended last is whole; older ones go,
    and a checkpoint holds their sums."""


class Auth(Section):
    """How callers are known."""

    accept: Annotated[Many[Accepted], NOT_EMPTY] = (
        KeySource("bearer"),
        KeySource("basic"),
        KeySource("header", "X-Api-Key"),
        KeySource("header", "Authorization"),
    )
    """`bearer`, `basic`, `header:NAME` and `query:NAME`."""


class UpstreamTimeout(Section):
    """How long an upstream may take."""

    connect: Timeout = 3.0
    """For a connection."""
    first_byte: Timeout = 30.0
    """For the head of its answer."""
    total: Timeout = 60.0
    """For the whole exchange; a stream has an idle limit instead."""


class UpstreamLimits(Section):
    """What an upstream is spared; beyond, requests get 503 with Retry-After, free."""

    connections: Count = 100
    """Open connections to it."""
    queue: Annotated[int, Field(ge=0, le=10**9)] = 1000
    """Requests that wait for a connection."""
    wait: Duration = 2.0
    """How long a request waits for a connection."""
    rate: Annotated[RateText | None, NONE] = None
    """Requests to it in any window; `none` for no limit."""


class UpstreamCost(Section):
    """Where an upstream says what a call has cost; recorded beside what the gateway charges for it."""

    body: MemberPath
    """The member of its JSON object that holds the tokens; dots lead into objects within, as in `usage.tokens`."""


class UpstreamBreaker(Section):
    """When an upstream that fails is left alone: then it costs nobody time, stale responses are served where they may
    be, and everyone else gets 503 with Retry-After at once, free. No answer is a failure, and 502, 503 and 504 are."""

    after: Count = 5
    """Failures in a row after which nothing is sent to it."""
    pause: Timeout = Field(default=10.0, alias="for")
    """For how long; then one request at a time is sent to see whether it is well again. A longer Retry-After of its
    own counts, up to 5m."""


class Upstream(Section):
    """An API behind the gateway."""

    url: Annotated[Many[UpstreamURL], NOT_EMPTY]
    """Its URL; of several the next one is tried on a failed connection. A base path is prepended."""
    credentials: Literal["gateway", "client"] = "gateway"
    """Whether `headers` replace the client's credentials, or the client's key goes on to the upstream."""
    headers: dict[FieldName, FieldValue] = Field(default={}, repr=False)
    """Request fields that the gateway sends, credentials above all."""
    timeout: Annotated[UpstreamTimeout, short_for("total", DURATION_SCHEMA)] = UpstreamTimeout()
    """How long it may take; a duration alone is the total."""
    limits: UpstreamLimits = UpstreamLimits()
    """What it is spared."""
    breaker: UpstreamBreaker | None = None
    """When it is left alone, each of its URLs for itself; left out: never."""
    cost: UpstreamCost | None = None
    """What it charges, as its answers tell it, for `gateway usage`; left out: not recorded."""


class Defaults(Section):
    """What is said once for many."""

    route: RouteDefaults = RouteDefaults()
    """What holds for every route that does not say otherwise: a mapping is laid under the route's own, key by key."""


class Config(Section):
    """The whole config, as `config.yaml` holds it."""

    include: Many[Included] = ()
    """Other files with the same keys, relative to this one, which alone may have it: `upstreams`, `plans`,
    `organizations`, `keys`, `background_refreshes` and `routes` of all files are joined, and anything else stands in
    one of them. `*` `?` and `[...]` match files by name, none as well. The included routes come first, in this order,
    and this file's last. Anchors hold within their file, and `${file:PATH}` starts from its folder; `store.path` and
    `tls` start from this one's."""
    listen: Listen = Field(default=Address("127.0.0.1", 8080), json_schema_extra={"default": "127.0.0.1:8080"})
    """Where clients connect; the environment variable GATEWAY_LISTEN gives another default."""
    tls: Tls | None = None
    """How clients' connections are encrypted; left out, they are not. Turning it on or off needs a restart."""
    hosts: Many[Host] = ()
    """The hosts that are served, others get 421; left out: any."""
    trusted_proxies: Many[Network] = ()
    """Addresses and networks whose Forwarded and X-Forwarded fields are believed and added to; anyone else's are
    replaced."""
    limits: Limits = Limits()
    """What clients may use."""
    fast_lane: bool = True
    """Answer hits straight from the connection where nothing has to be waited for; `false` sends every request the long
    way. Both send the same answers: this rules one of them out when something is to be found out."""
    admin: Admin = Admin()
    """The port for operators."""
    log: Log = Log()
    """What is logged."""
    timezone: Timezone = "UTC"
    """The time zone of calendar grants and usage."""
    store: Store = Store()
    """Where stored responses and the ledger are kept."""
    ledger: Ledger = Ledger()
    """The books."""
    auth: Auth = Auth()
    """Where requests may carry their API key."""
    upstreams: dict[Name, Upstream] = {}
    """The APIs behind the gateway, by name."""
    plans: dict[Name, Annotated[Plan, EMPTY]] = {}
    """What keys may spend and how fast, by name."""
    organizations: dict[Name, Annotated[Organization, EMPTY]] = {}
    """Who keys belong to, by name."""
    keys: tuple[Key, ...] = ()
    """The accounts with their API keys."""
    background_refreshes: tuple[BackgroundRefresh, ...] = ()
    """What is refreshed in the background at a client's request; they match before all routes."""
    routes: tuple[Route, ...] = ()
    """What happens to requests; the first match wins."""
    defaults: Defaults = Defaults()
    """What holds where nothing else is said."""

    _document: Document = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Keep the document, the validation's context: what is wrong is told with its place."""
        self._document = context

    @property
    def document(self) -> Document:
        """What the config was read from."""
        return self._document

    def without_document(self) -> "Config":
        """The same config, which knows no places any more: its document is an empty one."""
        config = self.model_copy()
        config.model_post_init(Document(self._document.file, self._document.folder, Node(0, 0, None)))
        return config


class _JsonSchema(GenerateJsonSchema):
    """Shows defaults as the config spells them; sections that are left out as empty ones."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default")
        spelled = (
            {} if isinstance(default, Section) else SchemaSerializer(schema["schema"]).to_python(default, mode="json")
        )
        return super().default_schema({**schema, "default": spelled})


def schema_json() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that a config and its included files are valid against, for editors."""
    return {"$schema": _JsonSchema.schema_dialect, **as_written(described())}


def described() -> dict[str, Any]:
    """The same with each value in its plain form, short forms included, as the reference page shows it."""
    schema = Config.model_json_schema(schema_generator=_JsonSchema)
    schema["patternProperties"] = {"^x-": {}}
    return schema
