"""What stored responses and their indexes take in memory, as CPython 3.11 allocates it."""

from itertools import chain
from sys import getsizeof

from gateway.rfc9111.stored import StoredResponse


def size_of(stored: StoredResponse) -> int:
    """Bytes that `stored` takes with all it refers to, as the allocator rounds them.

    But for the names of its groups: the records of the groups hold those.
    """
    terms, splice = stored.terms, stored.splice
    return allocated(
        *(stored, stored.key, stored.reason, stored.head, stored.body, stored.etag, stored.last_modified),
        *(stored.began, stored.received, stored.initial_age, stored.groups),
        *(stored.selecting, *stored.selecting, *chain.from_iterable(stored.selecting)),
        *(terms, terms.lifetime, terms.heuristic, terms.stale_while_revalidate, terms.stale_if_error, terms.date),
        *(() if splice is None else (splice, splice.opened, splice.packed, splice.crc)),
    )


def allocated(*parts: object) -> int:
    """Bytes that the allocator hands out for `parts`, each by itself; None takes none."""
    sizes = [getsizeof(part) for part in parts if part is not None]
    # Up to 512 bytes come in steps of 16 from Python's own allocator; beyond, malloc adds its header.
    return sum([(size + 15 if size <= 512 else size + 23) & -16 for size in sizes])
