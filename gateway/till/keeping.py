"""What is kept of a charged answer, as items that follow the charge in the same call."""

from typing import NamedTuple

from gateway.admission.snapshot import Account
from gateway.fleet import names
from gateway.ledger.records import Kept
from gateway.metering import Keep
from gateway.till import items
from gateway.till.place import Place


class Keeping(NamedTuple):
    """`words` keep it where the charge before them is done; `forget` undoes that where its reversal is."""

    words: items.Words = ()
    forget: items.Words = ()


NOTHING = Keeping()


def keeping(place: Place, keep: Keep | None, tokens: int, operation: int | None) -> Keeping:
    """What goes with a charge of `tokens`: nothing with one that is free.

    What remains after the charge only the turn script knows: it is kept beside the content, which says that nothing is
    known.
    """
    if keep is None or not tokens:
        return NOTHING
    kept = keep(place.told(tokens, 0, 0, operation))
    name = key_of(place.account, kept)
    return Keeping(items.keep(name, kept), items.forget(name))


def key_of(account: Account, kept: Kept) -> str:
    """Where it is kept."""
    return names.kept(names.shard(account.organization), kept.account, kept.key)
