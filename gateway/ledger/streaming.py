"""The entries of a fleet's record streams (pure): read, in order and without a gap, and as groups of the journal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.ledger import encoding
from gateway.ledger.applying import holders_of
from gateway.ledger.records import Charge, Entry, LedgerCorrupt, Position, Record

BEGINNING = "0-0"
"""The id before all entries of a stream."""


Decode = Callable[[bytes], Sequence[Entry]]
"""`encoding.decode`, or what gives the same."""


class Place(NamedTuple):
    """The entry `id` of a shard's stream, its `number`th; nothing yet at first."""

    id: str = BEGINNING
    number: int = 0


class Streamed(NamedTuple):
    """One entry of the stream of `shard`: `payload` is a group as the journal has it, `entries` what it says."""

    shard: int
    id: str
    number: int
    payload: bytes
    entries: Sequence[Entry]

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.id, self.number)


class Gap(Exception):
    """A shard's records are not what follows those that are known; the message says what is the matter."""


def streamed(shard: int, id_: str, fields: Mapping[bytes, bytes], decode: Decode = encoding.decode) -> Streamed:
    """What Redis says of an entry. Raises Gap where it is no entry of such a stream."""
    try:
        payload = fields[b"g"]
        return Streamed(shard, id_, int(fields[b"s"]), payload, decode(payload))
    except (KeyError, ValueError, LedgerCorrupt) as error:
        raise Gap(f"entry {id_} of shard {shard} cannot be read: {error}") from error


def following(place: Place, entries: Iterable[Streamed]) -> list[Streamed]:
    """Those of one shard's entries that come after `place`. Raises Gap where some are missing in between."""
    number, found = place.number, list[Streamed]()
    for entry in entries:
        if entry.number <= number:
            continue
        if entry.number != number + 1:
            raise Gap(f"records {number + 1} to {entry.number - 1} of shard {entry.shard} are missing in Redis")
        number = entry.number
        found.append(entry)
    return found


def positions(entries: Iterable[Streamed], homes: Mapping[str, int]) -> list[Position]:
    """Up to where `entries` go in each shard, with the holders in them that `homes` does not know yet."""
    latest, new, seen = dict[int, Streamed](), dict[str, int](), set[int]()
    for entry in entries:
        latest[entry.shard] = entry
        for record, _ in entry.entries:
            # Most are the very same charges.
            if id(record) not in seen:
                seen.add(id(record))
                new.update((holder, entry.shard) for holder in holders_of(record) if holder not in homes)
    return [
        Position(shard, entry.id, entry.number, tuple(holder for holder, home in new.items() if home == shard))
        for shard, entry in latest.items()
    ]


def group(entries: Iterable[Streamed], reached: Iterable[Position]) -> tuple[bytes, list[Entry]]:
    """Both as one group of the journal, and what it says; equal charges are one: sums do not mind."""
    charges, others, parts = dict[Record, int](), list[Entry](), list[bytes]()
    for entry in entries:
        if all(isinstance(record, Charge) for record, _ in entry.entries):
            for record, count in entry.entries:
                charges[record] = charges.get(record, 0) + count
        else:
            others += entry.entries
            parts.append(entry.payload.strip()[1:-1])
    summed = [*charges.items(), *((position, 1) for position in reached)]
    return encoding.payload([*parts, *(encoding.entry(*one) for one in summed)]), [*others, *summed]
