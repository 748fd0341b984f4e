"""Objects that the garbage collector need not look at: a million of them would stop the loop for half a second.

It looks for cycles. What refers to nothing but text, numbers and more of its kind is in none, and goes with its last
reference all the same.
"""

import ctypes
from typing import TypeVar

T = TypeVar("T")

_untrack = ctypes.pythonapi.PyObject_GC_UnTrack
_untrack.argtypes = [ctypes.py_object]
_untrack.restype = None


def untracked(container: T) -> T:
    """`container`, of a type that the collector looks at: from now on it does not. Twice makes no difference.

    A dict is looked at again as soon as it gets anything that is.
    """
    _untrack(container)
    return container
