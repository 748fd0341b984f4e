"""What a config comes to before it is swapped in, and what is left of the former one: no request waits for either."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Snapshot
from gateway.config.compile import snapshot
from gateway.config.schema import Config
from gateway.keys.directory import Directory
from gateway.keys.keyring import Keyring, Reread
from gateway.metrics import Metrics
from gateway.ports import Clock
from gateway.roster import Roster
from gateway.upstreams.client import HttpUpstream

# Prepared heads, accounts and keys that are given back before others' work goes on: half a millisecond.
_FREED = 500


@dataclass(slots=True, frozen=True)
class Provisioned:
    """A config ready to be swapped in; the preparer's keys are the keyring's, whatever that holds by then."""

    config: Config
    preparer: Preparer
    roster: Roster
    keys: Reread

    def remains(self) -> "Remains":
        """What there are many of in it, for when it is not in use any more."""
        config, keys = self.config, self.keys
        return Remains(
            config.keys,
            config.organizations.values(),
            keys.configured.values(),
            keys.directory.configured.values(),
            keys.made.values(),
            keys.found.values(),
            self.roster.accounts.values(),
        )


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


async def connected(
    ready: Provisioned, known: Mapping[str, HttpUpstream], metrics: Metrics, clock: Clock
) -> dict[str, HttpUpstream]:
    """The `known` upstreams where their settings are the same, new ones for the others."""
    upstreams = {}
    for name, policy in ready.preparer.snapshot.upstreams.items():
        upstream = known.get(name)
        same = upstream is not None and upstream.policy == policy
        upstreams[name] = upstream if upstream is not None and same else HttpUpstream(policy, metrics, clock)
        # Each takes a moment, and there may be many.
        await asyncio.sleep(0)
    return upstreams


class Shrinking(Protocol):
    """What remembers a lot by a config."""

    def shrink(self, most: int) -> bool:
        """Give up to `most` of it back, whether or not it is still used; False once nothing is left."""


class Remains:
    """What is in `parts`: of the last user's references the last ones, so that not all of it is freed at once."""

    def __init__(self, *parts: Collection[object]) -> None:
        self._parts = list(parts)
        self._left: list[object] = []

    def shrink(self, most: int) -> bool:
        """Lets up to `most` of it go; False once nothing is left."""
        if self._left:
            del self._left[-most:]
        elif self._parts:
            self._left = [*self._parts.pop()]
        return bool(self._left or self._parts)


async def emptied(memo: Shrinking) -> None:
    """Give back what was remembered by a former config, some in each turn: ahead of the last request that uses it."""
    left = True
    while left:
        left = memo.shrink(_FREED)
        await asyncio.sleep(0)
