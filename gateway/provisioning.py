"""What a config comes to before it is swapped in, and what is left of the former one: no request waits for either."""

import asyncio
from dataclasses import dataclass, replace

from gateway.admission.memo import Memo
from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Snapshot
from gateway.config.compile import snapshot
from gateway.config.schema import Config
from gateway.keys.directory import Directory
from gateway.keys.keyring import Keyring, Reread
from gateway.roster import Roster

# Prepared heads that are given back before others' work goes on: half a millisecond.
_FREED = 500


@dataclass(slots=True, frozen=True)
class Provisioned:
    """A config ready to be swapped in; the preparer's keys are the keyring's, whatever that holds by then."""

    config: Config
    preparer: Preparer
    roster: Roster
    keys: Reread


async def provisioned(config: Config, keyring: Keyring) -> Provisioned:
    """Work out all that can be without anything being changed. Raises BadStart for unreadable keys."""
    compiled, directory = await asyncio.to_thread(_compiled, config)
    keys = await keyring.reread(compiled.keys, directory)
    return await asyncio.to_thread(_whole, config, replace(compiled, keys=keyring), keys)


def _compiled(config: Config) -> tuple[Snapshot, Directory]:
    compiled = snapshot(config)
    # An explanation or a page of stored responses is held against every route: none may be the first on the loop.
    for route in compiled.routes:
        route.path.compile()
        if route.refresh is not None and route.refresh.post is not None:
            route.refresh.post.compile()
    return compiled, Directory(config)


def _whole(config: Config, compiled: Snapshot, keys: Reread) -> Provisioned:
    return Provisioned(config, Preparer(compiled), Roster.of(keys.found.values(), compiled.timezone), keys)


async def emptied(memo: Memo) -> None:
    """Give back a former config's prepared heads, some in each turn: ahead of the last request that goes by them."""
    left = True
    while left:
        left = memo.shrink(_FREED)
        await asyncio.sleep(0)
