"""What stored responses and their indexes take in memory, as CPython 3.11 allocates it."""

from sys import getsizeof

from gateway.rfc9111.stored import StoredResponse

# What one more key adds to the table: a dict's slot and entry, and an OrderedDict's slot and node, on the average of
# shards that are split in two as soon as they are full.
KEY = 80

# A stored response without its texts: what the garbage collector keeps before it, its head and nine references.
_ITSELF = 112


def size_of(stored: StoredResponse) -> int:
    """Bytes that `stored` takes with all it refers to but its key, which all variants share."""
    return _ITSELF + sum([_allocated(33 + len(text)) for text in stored.texts if text is not None])


def size_held(variants: tuple[StoredResponse, ...]) -> int:
    """Bytes that all variants of a key take, with the key and its place in the table; there must be one."""
    return KEY + allocated(variants, variants[0].key) + sum(map(size_of, variants))


def allocated(*parts: object) -> int:
    """Bytes that the allocator hands out for `parts`, each by itself; None takes none."""
    return sum([_allocated(getsizeof(part)) for part in parts if part is not None])


def _allocated(size: int) -> int:
    # Up to 512 bytes come in steps of 16 from Python's own allocator; beyond, malloc adds its header.
    return (size + 15 if size <= 512 else size + 23) & -16
