"""What an order comes to: read from the key database and decided, as a change that is still to be written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from gateway.admission.minting import hint, mint
from gateway.keys.database import Change, KeyDatabase, MadeAccount, MadeKey
from gateway.keys.directory import Directory
from gateway.keys.orders import Creation, Fault, Refused, Rotation

_ELLIPSIS = "…"
# What a SQLite integer holds in any case.
_MOST_DIGITS = 18

Below = Callable[[int], int]
"""`below(n)` is an unbiased random number of at least 0 and less than `n`."""


@dataclass(slots=True, frozen=True)
class Planned:
    """A change to the keys of `account`: those revoked, those that end with their new `expires`, a new one.

    `secret` is the new key itself, which is shown once; `made` the account where one is made.
    """

    account: str
    at: float
    revoked: tuple[MadeKey, ...] = ()
    ending: tuple[MadeKey, ...] = ()
    made: MadeAccount | None = None
    key: MadeKey | None = None
    secret: str = field(default="", repr=False)

    @property
    def change(self) -> Change:
        """What is to be written."""
        return Change(
            at=self.at,
            revoked=tuple([key.number for key in self.revoked]),
            until=self.ending[0].expires or 0.0 if self.ending else 0.0,
            ending=tuple([key.number for key in self.ending]),
            account=self.made,
            key=self.key,
        )

    @property
    def written(self) -> tuple[MadeKey, ...]:
        """Every key that it changes or makes, as it is then."""
        revoked = [key._replace(revoked=self.at) for key in self.revoked]
        return (*revoked, *self.ending, *([] if self.key is None else [self.key]))


def creation(database: KeyDatabase, directory: Directory, order: Creation, below: Below, wall: float) -> Planned:
    """One more key for a known account, or the first of a new one. Raises Refused.

    An account without a valid key may be described anew, what is left out staying as it was; old keys are then revoked.
    """
    key, secret = _minted(order.id, below, wall, test=order.test)
    if order.id in directory.configured:
        if order.describes:
            message = f"`{order.id}` is in the config, which says its organization, plan, throttle, scopes and expires"
            raise Refused(Fault.conflict, message)
        return Planned(order.id, wall, key=key, secret=secret)
    before, keys = database.account(order.id), database.keys_of(order.id)
    if before is not None and not _is_over(before, wall):
        if not order.describes:
            return Planned(order.id, wall, key=key, secret=secret)
        if _valid(keys, wall):
            message = f"`{order.id}` has valid keys: revoke them to describe it anew, or leave its description out"
            raise Refused(Fault.conflict, message)
    made = directory.described(order, before, wall)
    # Also those of an account that the config has had under this id.
    revoked = tuple([key for key in keys if key.revoked is None])
    return Planned(order.id, wall, revoked, made=made, key=key, secret=secret)


def rotation(
    database: KeyDatabase, directory: Directory, id_: str, order: Rotation, below: Below, wall: float
) -> Planned:
    """A new key, and an end for the valid ones of its kind: its test keys where it has no others. Raises Refused."""
    made = database.account(id_)
    if directory.account(id_, made) is None:
        raise Refused(Fault.unknown, "there is no such account")
    valid = [] if _is_over(made, wall) and id_ not in directory.configured else _valid(database.keys_of(id_), wall)
    if not valid:
        raise Refused(Fault.conflict, f"`{id_}` has no valid key that was made here: create one")
    old = [key for key in valid if not key.test] or valid
    key, secret = _minted(id_, below, wall, test=old[0].test)
    if order.overlap == 0:
        return Planned(id_, wall, revoked=tuple(old), key=key, secret=secret)
    until = wall + order.overlap
    ending = tuple([key._replace(expires=until) for key in old if key.expires is None or key.expires > until])
    return Planned(id_, wall, ending=ending, key=key, secret=secret)


def revocation(database: KeyDatabase, directory: Directory, name: str, wall: float) -> Planned:
    """The end of all keys of the account `name`, or of the one key of that number or hint. Raises Refused."""
    of_account = database.keys_of(name)
    single = _single(database, name)
    if of_account and single:
        raise Refused(Fault.conflict, f"`{name}` is an account and a key's number: say the key's hint")
    keys = [key for key in of_account or single if key.revoked is None]
    if len(keys) > 1 and not of_account:
        numbers = ", ".join([str(key.number) for key in keys])
        raise Refused(Fault.conflict, f"several keys have this hint: say one's number, {numbers}")
    if not of_account and not single:
        if name in directory.configured:
            raise Refused(Fault.conflict, f"`{name}` has its keys in the config: take them out there")
        raise Refused(Fault.unknown, "there is no such account, key number or hint")
    return Planned((of_account or single)[0].account, wall, revoked=tuple(keys))


def _single(database: KeyDatabase, name: str) -> list[MadeKey]:
    """The keys that `name` can mean as a number or a hint."""
    if name.isascii() and name.isdecimal():
        return database.numbered(int(name)) if len(name) <= _MOST_DIGITS else []
    return database.hinted(name.replace("...", _ELLIPSIS))


def _minted(account: str, below: Below, wall: float, *, test: bool) -> tuple[MadeKey, str]:
    secret = mint(below, test=test)
    return MadeKey(0, sha256(secret.encode("ascii")).digest(), account, hint(secret), test, wall), secret


def _valid(keys: Sequence[MadeKey], wall: float) -> list[MadeKey]:
    return [key for key in keys if key.holds(wall)]


def _is_over(made: MadeAccount | None, wall: float) -> bool:
    return made is not None and made.expires is not None and made.expires <= wall
