"""The closed set of journal records.

A record is whole in itself: what it does to a balance, and how that is undone, needs nothing but the record.
"""

from typing import NamedTuple

HOUSE = "gateway:house"
"""The account of the gateway's own fetches; the colon keeps it apart from every configured name."""

Lines = tuple[tuple[str, int], ...]


class LedgerCorrupt(Exception):
    """The journal or the book does not hold what was written; the message names the place."""


class Term(NamedTuple):
    """Where a balance is in its plan: the id of the latest period with a grant, and the tokens granted for it."""

    period: int
    given: int


BEFORE_ANY = Term(-1, 0)


class Grant(NamedTuple):
    """`tokens` come in for `term`; `prior` is the term before. `at` is in wall-clock seconds, here and below."""

    holder: str
    tokens: int
    term: Term
    prior: Term
    at: float


class Lapse(NamedTuple):
    """`tokens` nobody spent go with the end of their period."""

    holder: str
    tokens: int
    at: float


class Correction(NamedTuple):
    """An operator adds `tokens` to what was granted, or takes them back where they are negative."""

    holder: str
    tokens: int
    reason: str
    at: float


class Renamed(NamedTuple):
    """What `former` has goes over to `holder`, but for what it still has reserved.

    `was` and `prior` are their terms before, and `term` is the later one of these: nothing is granted twice. Whoever
    takes the former name begins anew.
    """

    former: str
    holder: str
    granted: int
    charged: int
    lapsed: int
    balance: int
    term: Term
    was: Term
    prior: Term
    at: float


class Charge(NamedTuple):
    """A plain lookup from what is stored, charged at once. Unlimited: granted as it is charged.

    `minute` counts UTC minutes since the epoch, here and below; `outcome` is a name of `outcomes.Outcome`.
    """

    account: str
    holder: str
    organization: str
    route: str
    upstream: str
    tokens: int
    minute: int
    outcome: str
    unlimited: bool


class Reserve(NamedTuple):
    """An operation begins: `tokens` are set aside, from the grant of `period` (None: unlimited, granted as reserved).

    `lines` are its quote's parts by name; `request` is the id in X-Request-Id.
    """

    id: int
    account: str
    holder: str
    organization: str
    route: str
    upstream: str
    period: int | None
    tokens: int
    lines: Lines
    request: str
    at: float

    @property
    def plain(self) -> bool:
        """Whether it is a plain lookup: priced at its base, whatever comes of it."""
        return self.tokens == next((part for name, part in self.lines if name == "base"), self.tokens)


class Sale(NamedTuple):
    """A priced reuse, charged at once: what a `reserve` would have set aside is spent."""

    reserve: Reserve
    outcome: str


class Settle(NamedTuple):
    """An operation is charged `tokens` of what it reserved. The rest returns, or lapses where its period is over."""

    reserve: Reserve
    tokens: int
    lapses: bool
    outcome: str
    at: float


class Release(NamedTuple):
    """An operation ends free: all it reserved returns, or lapses where its period is over."""

    reserve: Reserve
    lapses: bool
    outcome: str
    at: float


class Refund(NamedTuple):
    """The charge of a settled operation is reversed: its `tokens` return, or lapse where their period is over."""

    reserve: Reserve
    tokens: int
    lapses: bool
    outcome: str
    at: float


class Spend(NamedTuple):
    """The vendor charged `tokens` for one upstream call that `account` caused; no balance changes."""

    account: str
    organization: str
    route: str
    upstream: str
    tokens: int
    minute: int


class Kept(NamedTuple):
    """The answer of `operation`, kept until `until` (wall-clock seconds) for whoever repeats its request.

    `key` and `fingerprint` are digests in hexadecimal, of the Idempotency-Key and of the request. `content` is opaque
    here and in Base64; empty where the answer is too large to be kept.
    """

    account: str
    key: str
    fingerprint: str
    operation: int
    until: float
    content: str


FLEET_CLOCK = "fleet"
"""In place of a boot's id in `Forced`: its uptime is by the fleet's clock."""


class Forced(NamedTuple):
    """One force refresh against an organization's cap; it may count until the wall clock passes `until`.

    `uptime` is `ports.Clock.uptime` of the boot named `boot`: within that, no clock that was set can blur its age.
    """

    organization: str
    at: float
    until: float
    boot: str
    uptime: float


class Joined(NamedTuple):
    """The book is a fleet's from now on, by the name `fleet` that no other has; where that is empty, no more."""

    fleet: str
    at: float


class Opening(NamedTuple):
    """A balance of the fleet's ledger where a book of it begins, as if nothing were reserved: reservations follow."""

    holder: str
    granted: int
    charged: int
    lapsed: int
    balance: int
    term: Term
    at: float


class Position(NamedTuple):
    """The book has the records of the fleet's `shard` up to `number`, the entry `id` of its stream.

    `homes` are the holders whose balances were met there for the first time.
    """

    shard: int
    id: str
    number: int
    homes: tuple[str, ...]


OfFleet = Joined | Opening | Position
Record = (
    Grant
    | Lapse
    | Correction
    | Renamed
    | Charge
    | Reserve
    | Sale
    | Settle
    | Release
    | Refund
    | Spend
    | Kept
    | Forced
    | OfFleet
)
Entry = tuple[Record, int]
"""A record, and how often it stands in its group."""
