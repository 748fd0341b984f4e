"""Untracked: the collector looks at it no more, and it goes all the same."""

import gc
from weakref import ref

from gateway.untracked import untracked


class Held:
    __slots__ = ("__weakref__",)


def test_what_is_untracked_goes_with_its_last_reference() -> None:
    held = untracked(Held())
    assert untracked(held) is held
    assert not gc.is_tracked(held)
    gone = ref(held)
    del held
    assert gone() is None


def test_a_dict_of_what_is_untracked_stays_so() -> None:
    table = untracked(dict[str, tuple[Held]]())
    table["key"] = untracked((untracked(Held()),))
    assert not gc.is_tracked(table)
    gc.collect()
    assert not any(map(gc.is_tracked, (table, table["key"], table["key"][0])))
