"""What comes in while the gateway runs, out of the garbage collector's sight, which would stop it for each look."""

import gc
import pickle
from typing import Any

from pydantic import BaseModel

from gateway.untracked import untracked

_CONTAINERS = (BaseModel, dict, frozenset, list, set, tuple)


def unpickled(data: bytes) -> Any:
    """What was pickled in a process of our own; it holds no cycles, and goes with its last reference.

    Its sections and containers are never looked at: 100,000 keys are half a million of them. Meanwhile, half a second
    for those, nothing at all is collected.
    """
    gc.disable()
    try:
        found = pickle.loads(data)  # noqa: S301 - it comes from a process that we started
        _hide(found)
    finally:
        gc.enable()
    return found


def _hide(root: object) -> None:
    left = [root]
    while left:
        parts = gc.get_referents(left.pop())
        left += [untracked(part) for part in parts if isinstance(part, _CONTAINERS) and gc.is_tracked(part)]
