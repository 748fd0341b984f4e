"""The config as the request's way reads it: immutable, provisioned once, swapped whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Literal, NamedTuple

from gateway.admission.background import BackgroundPolicy
from gateway.admission.cors import Cors
from gateway.admission.patterns import PathPattern
from gateway.admission.rate import Rate as Rate
from gateway.admission.tagging import Tag
from gateway.rfc9111.stored import Policy


@dataclass(slots=True, frozen=True)
class ThrottlePolicy:
    """A token bucket: refills at `rate`, holds at most `burst`."""

    rate: Rate
    burst: int


class Every(Enum):
    """How often a plan grants its tokens; `never` is prepaid."""

    month = "month"
    day = "day"
    hour = "hour"
    never = "never"


@dataclass(slots=True, frozen=True)
class Plan:
    """`grant` None is unlimited: counted, never refused for tokens. `carry_over`: what is left does not lapse."""

    name: str
    grant: int | None = None
    every: Every = Every.never
    throttle: ThrottlePolicy | None = None
    carry_over: bool = False


class Scope(Enum):
    """What an API key may ask for."""

    lookup = "lookup"
    refresh = "refresh"
    background = "background"


EVERY_SCOPE = frozenset(Scope)


@dataclass(slots=True, frozen=True)
class Account:
    """Who an API key stands for. `holder` names the balance it spends from: the account's own or its organization's.

    `plan` has the account's own throttle where it has one. `expires` is in wall-clock seconds, None for never.
    `former` is the holder whose balance `holder` takes over. `test`: nothing it asks for costs, or reaches an upstream.
    """

    id: str
    organization: str
    plan: Plan
    holder: str
    force_refresh_cap: Rate | None = None
    scopes: frozenset[Scope] = EVERY_SCOPE
    expires: float | None = None
    former: str | None = None
    test: bool = False


@dataclass(slots=True, frozen=True)
class PriceOption:
    """Adds `tokens` when any of the query flags `query_any` is on."""

    name: str
    tokens: int
    query_any: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Price:
    """Tokens for one request; `charge_on` holds status classes (2 for 2xx) and whole status codes."""

    base: int = 1
    options: tuple[PriceOption, ...] = ()
    force_refresh: int = 0
    charge_on: frozenset[int] = frozenset({2, 3, 4})


class Share(Enum):
    """Who may be served one stored response."""

    everyone = "everyone"
    organization = "organization"
    key = "key"


class ClientDirectives(Enum):
    """What a request's own Cache-Control does (RFC 9111 §5.2.1); `price`: the work it forces costs a force refresh."""

    honour = "honour"
    ignore = "ignore"
    price = "price"


@dataclass(slots=True, frozen=True)
class AheadPolicy:
    """Refresh ahead: what was reused `hits` times while fresh is fetched anew in the `last` share of its lifetime.

    At most at `rate`, over the whole route.
    """

    hits: int
    last: float
    rate: Rate


@dataclass(slots=True, frozen=True)
class CachePolicy:
    """A route's `cache`: the freshness policy, what the cache key is made of, and what is kept at most."""

    policy: Policy = field(default_factory=Policy)
    share: Share = Share.everyone
    client_directives: ClientDirectives = ClientDirectives.honour
    query_ignore: frozenset[str] = frozenset()
    query_sort: bool = False
    vary_on: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()
    max_body: int = 8 << 20
    ahead: AheadPolicy | None = None


@dataclass(slots=True, frozen=True)
class RefreshPolicy:
    """A route's `refresh`: the ways to ask for one, and what a forced fetch adds for the upstream's own cache."""

    query: tuple[str, ...] = ()
    post: PathPattern | None = None
    post_query: tuple[tuple[str, str], ...] = ()
    upstream_query: tuple[tuple[str, str], ...] = ()
    upstream_headers: tuple[tuple[str, str], ...] = ()
    cooldown: float = 0.0


@dataclass(slots=True, frozen=True)
class Route:
    """One entry of `routes`, short forms and defaults resolved.

    `host` is lower-case, `*` for any; `methods` None for any. `price` None exactly where `public`. `send_credentials`:
    the upstream's own `headers` are added. `cors` None: what browsers are told is the upstream's business. Requests of
    one with `background` ask for that background refresh, or for the status of one where it `tells_status`.
    `asks_identity`: the content of what the upstream answers is read, so that it is asked for no coding.
    """

    name: str
    host: str
    path: PathPattern
    methods: frozenset[str] | None
    upstream: str
    public: bool
    send_credentials: bool
    strip_prefix: str = ""
    forward: tuple[str, ...] = ()
    cache: CachePolicy | None = None
    price: Price | None = None
    refresh: RefreshPolicy | None = None
    tokens_in_body: bool = False
    cors: Cors | None = None
    background: BackgroundPolicy | None = field(default=None, hash=False)
    tells_status: bool = False
    asks_identity: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        tagged = self.cache is not None and any(tag.reads_content for tag in self.cache.tags)
        object.__setattr__(self, "asks_identity", self.tokens_in_body or tagged)


@dataclass(slots=True, frozen=True)
class BreakerPolicy:
    """After `after` failures in a row nothing is sent for `pause` seconds, and then one request to see."""

    after: int
    pause: float


@dataclass(slots=True, frozen=True)
class UpstreamPolicy:
    """One entry of `upstreams`; timeouts in seconds. `headers` hold secrets and are kept out of repr.

    `cost` is the path, in JSON content, to the tokens that the vendor charges for a call; empty where it says nothing.
    """

    name: str
    urls: tuple[str, ...]
    credentials: Literal["gateway", "client"] = "gateway"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    connect_timeout: float = 3.0
    first_byte_timeout: float = 30.0
    total_timeout: float = 60.0
    connections: int = 100
    queue: int = 1000
    wait: float = 2.0
    rate: Rate | None = None
    cost: tuple[str, ...] = ()
    breaker: BreakerPolicy | None = None

    @property
    def identity(self) -> str:
        """Whose responses are stored under its name: another URL is another API, also after a change of the config."""
        return f"{self.name}#{sha256(self.urls[0].encode()).hexdigest()[:8]}"

    def url(self, target: str) -> str:
        """The absolute URL of `target`, below the first of `urls`."""
        return self.urls[0].rstrip("/") + target


@dataclass(slots=True, frozen=True)
class KeySource:
    """One place where a request may carry its API key (`auth.accept`): bearer, basic, header or query."""

    kind: Literal["bearer", "basic", "header", "query"]
    name: str = ""


class Sifted(NamedTuple):
    """Of a request's field names, as they are spelled, those that go on; in lower case, sorted, the unkeyed ones."""

    passing: frozenset[str]
    dropped: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class Sieve:
    """Which fields of one kind of request for one route go on to its upstream; all names in lower case.

    None in `left_out`, nor what with `_` for `-` is one of `ours`, and none but those in `only`, unless that is None:
    then the upstream is told whence the request comes. `untold` are those of which nobody needs to hear that they are
    left out. `sifted` is what came of the names of former requests: clients repeat themselves.
    """

    route: Route
    left_out: frozenset[str]
    ours: frozenset[str]
    only: frozenset[str] | None
    untold: frozenset[str]
    sifted: dict[tuple[str, ...], Sifted] = field(default_factory=dict, compare=False, repr=False)


@dataclass(slots=True, frozen=True)
class Snapshot:
    """Everything that preparing a request reads. `keys` maps the SHA-256 digest of an API key to its account, `scheme`
    is what clients reach the gateway itself by, `http` or `https`.

    `sieves` are those that `forwarding` has worked out so far: they take longer than to use them.
    """

    routes: tuple[Route, ...]
    upstreams: Mapping[str, UpstreamPolicy]
    keys: Mapping[bytes, Account] = field(repr=False)
    accept: tuple[KeySource, ...] = ()
    hosts: frozenset[str] = frozenset()
    trusted_proxies: tuple[str, ...] = ()
    timezone: str = "UTC"
    scheme: str = "http"
    sieves: dict[tuple[str, str, bool, bool], Sieve] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )
