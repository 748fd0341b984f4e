"""How everything in Redis is called: one place for the names of the keys, layout version 2.

What is an organization's carries the hash tag `{N}`, N the organization's shard: in a cluster all of it is in one slot.
What is the whole fleet's carries `{fleet}`.
"""

from hashlib import blake2b
from itertools import count
from zlib import crc32

LAYOUT = "2"
"""The version of all of this; nodes of another one are refused at the start."""

SHARDS = 16

VERSION = "gateway:{fleet}:version"
INCARNATIONS = "gateway:{fleet}:incarnations"
"""The number given to the node that started last."""
NODES = "gateway:{fleet}:nodes"
"""A set of the incarnations that have started and have not been forgotten since."""
EPOCH = "gateway:{fleet}:epoch"
TOKENS = "gateway:{fleet}:tokens"
"""The fencing token given last."""
CLOCK = "gateway:{fleet}:clock"
"""The moment of the latest turn call, in microseconds of Redis's clock and of the fleet's, which never goes back."""
SEQUENCE = "gateway:{fleet}:sequence"
LOG = "gateway:{fleet}:log"
MARKS = "gateway:{fleet}:marks"
"""A sorted set of the groups that were outdated, by digest, with the number of the latest entry that did it."""
PURGES = "gateway:{fleet}:purges"
"""A sorted set of the purges that no groups tell, with the numbers of their entries."""
FLOOR = "gateway:{fleet}:floor"
"""What was fetched by a node that did not know the entry of this number is outdated, whatever it is."""
HOMES = "gateway:{fleet}:homes"
BOOKS = "gateway:{fleet}:books"
"""Every folder that follows the records, with the entries up to which it has them."""
IDENTITY = "gateway:{fleet}:identity"
"""What tells this fleet from every other one."""
RECOVERY = "gateway:{fleet}:recovery"
"""Who is about to agree on the server, once everybody has put back what it has lost."""
STORED = "gateway:{fleet}:stored:"
"""What the names of stored responses begin with; the digest of their cache key follows."""
SHARED = "gateway:{fleet}:shared"
"""How many bytes and responses that is in all."""
SHARED_SIZES = "gateway:{fleet}:shared:sizes"
"""Bytes and responses under each cache key, by its digest."""
SHARED_ENDS = "gateway:{fleet}:shared:ends"
"""A sorted set of these digests by when all under them has expired."""
MOVING = "gateway:{fleet}:moving"
"""The embedded ledger that is on its way into this Redis and has not arrived."""
KEYS = "gateway:{fleet}:keys"
"""How many changes made keys have seen, and the word of the latest."""
KEYS_MADE = "gateway:{fleet}:keys:made"
"""Every made key by its number."""
KEYS_ACCOUNTS = "gateway:{fleet}:keys:accounts"
"""Every account that was made with its keys."""
KEYS_SEEN = "gateway:{fleet}:keys:seen"
"""Up to which change each node has them, by its incarnation."""
JOBS = "gateway:{fleet}:jobs"
"""The stream of all that is asked of the register of refreshes."""
JOBS_HEAD = "gateway:{fleet}:jobs:head"
"""Its latest entry, who leads, and the copy that everything up to an entry is in."""
JOBS_LEADER = "gateway:{fleet}:jobs:leader"
"""The lease of the node that does background refreshes."""


def shard(organization: str) -> int:
    """The shard, 0 to 15, that an organization's money is in."""
    return crc32(organization.encode()) % SHARDS


NODE = "gateway:{fleet}:node:"
"""What the names of heartbeats begin with; the incarnation follows."""


def somewhere(number: int) -> str:
    """The name of an organization, of no real one, whose money would be in shard `number`."""
    return next(name for name in map(str, count()) if shard(name) == number)


def node(incarnation: int) -> str:
    """The heartbeat of a node, which expires without it."""
    return f"{NODE}{incarnation}"


def call(incarnation: int) -> str:
    """Number and reply of a node's last turn call."""
    return f"gateway:{{fleet}}:call:{incarnation}"


def digest(key: str) -> str:
    """What a cache key is called: a client may make one as long as it likes."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def lease(digest: str, rank: int) -> str:
    """Who of the fleet makes the fetch of `rank` of what `digest` names, and who waits for it."""
    return f"gateway:{{fleet}}:lease:{digest}:{rank}"


def fence(digest: str) -> str:
    """The latest fencing token of that, whatever its rank: what any other fetch brings is refused."""
    return f"gateway:{{fleet}}:fence:{digest}"


def landed(digest: str, token: str) -> str:
    """What became of the fetch with that fencing token."""
    return f"gateway:{{fleet}}:landed:{digest}:{token}"


def apart(digest: str) -> str:
    """There while no fetch of what `digest` names is shared."""
    return f"gateway:{{fleet}}:apart:{digest}"


def inbox(incarnation: str) -> str:
    """The stream that tells a node which of its waiting fetches to ask for again."""
    return f"gateway:{{fleet}}:inbox:{incarnation}"


def stored(digest: str) -> str:
    """The stored responses under the cache key of this digest, every variant."""
    return f"{STORED}{digest}"


def tagged(tag: str) -> str:
    """The digests of the cache keys under which something with the tag of this digest is stored."""
    return f"gateway:{{fleet}}:tagged:{tag}"


def prefix(number: int) -> str:
    """What everything of shard `number` begins with."""
    return f"gateway:{{{number}}}:"


def jobs_call(node: str) -> str:
    """The number of a node's last call on the register of refreshes."""
    return f"gateway:{{fleet}}:jobs:call:{node}"


def jobs_copy(name: str) -> str:
    """A copy of the register of refreshes, a list of its parts."""
    return f"gateway:{{fleet}}:jobs:copy:{name}"


def balance(number: int, holder: str) -> str:
    """A holder's tokens, in shard `number`: eight doubles, as the turn script packs them."""
    return f"gateway:{{{number}}}:balance:{holder}"


def holders(number: int) -> str:
    """Everyone with a balance in shard `number`."""
    return f"gateway:{{{number}}}:holders"


def open_operations(number: int) -> str:
    """The reservations of shard `number` that have not been settled."""
    return f"gateway:{{{number}}}:open"


def throttle(number: int, policy: str, account: str) -> str:
    """How fast an account may go on by one setting of its throttle: the level and its moment, two doubles."""
    return f"gateway:{{{number}}}:throttle:{policy}:{account}"


def forced(number: int, organization: str) -> str:
    """An organization's force refreshes of late."""
    return f"gateway:{{{number}}}:forced:{organization}"


def records(number: int) -> str:
    """The stream of what was charged in shard `number`."""
    return f"gateway:{{{number}}}:records"


def sequence(number: int) -> str:
    """The number of the latest entry of that stream."""
    return f"gateway:{{{number}}}:sequence"


def deferred(number: int, journal: str) -> str:
    """How far a journal of charges that were made without Redis has been applied in shard `number`."""
    return f"gateway:{{{number}}}:deferred:{journal}"


def kept(number: int, account: str, digest: str) -> str:
    """The answer kept for an Idempotency-Key."""
    return f"gateway:{{{number}}}:kept:{account}:{digest}"


def claim(number: int, account: str, digest: str) -> str:
    """Who answers a request with an Idempotency-Key now."""
    return f"gateway:{{{number}}}:claim:{account}:{digest}"
