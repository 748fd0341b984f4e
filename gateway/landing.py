"""What a fetch has brought as one value of bytes, for the nodes that wait for it."""

import asyncio
from struct import Struct
from typing import Any, assert_never
from zlib import crc32

from gateway.collapse import Failed, Fetched, NotKept, Unkept
from gateway.errors import Problem, Reason
from gateway.ports import Landed, Landing
from gateway.rfc9111.freshness import current_age
from gateway.rfc9111.stored import StoredResponse
from gateway.rfc9111.storing import Unstorable
from gateway.stores.encoding import decode, decode_json, encode, encode_json
from gateway.stores.in_flight import Fetching
from gateway.stores.telling import marked

LONG = 64 * 1024
"""Bytes of a response up to which it is passed on; longer ones would hold up what shares the connection."""

_LENGTH = Struct(">I")


_NOTHING = Landing(b"", b"")


async def landing(outcome: Fetched | Failed | None, fetching: Fetching, now: float) -> Landing:
    """`outcome` for other nodes, which share no clock with this: in place of times it says how old a response is.

    A long response that is stored they find in the shared tier, by its checksum; of any other long one nothing is said,
    nor of None.
    """
    match outcome:
        case None:
            return _NOTHING
        case Fetched(stored=stored):
            kept, reason = (False, Unkept.outdated) if fetching.outdated else (outcome.kept, outcome.reason)
            long = _is_long(stored)
            if long and not kept:
                return _NOTHING
            name, check = None if reason is None else reason.name, await _checksum(stored) if long else 0
            said = ["fetched", current_age(stored, now), kept, name, outcome.validated, outcome.found, check]
            return Landing(_whole(said, None if long else stored), marked(stored.groups))
        case Failed(problem=problem, answer=answer):
            if answer is not None and _is_long(answer):
                return _NOTHING
            age = 0.0 if answer is None else current_age(answer, now)
            words = [problem.reason.name, problem.detail, problem.retry_after, problem.fields, problem.upstream_status]
            return Landing(_whole(["failed", age, *words], answer), b"")
        case _:
            assert_never(outcome)


def is_passed_on(landed: Landed) -> bool:
    """Whether it holds all that there is of a response; else the shared tier may."""
    return len(landed.value) > _LENGTH.size + _head_length(landed.value)


async def arrived(landed: Landed, found: StoredResponse | None, began: float, now: float) -> Fetched | Failed | None:
    """What another node's fetch brought, its times as if this node had asked at `began`; steady seconds.

    `found` is what the shared tier holds, where nothing is passed on. None for what cannot be told from that: too long,
    stored no longer, or written by a gateway of another version.
    """
    head, content = _parted(landed.value)
    said, stored = decode_json(head), decode(content) if content else found
    if said is not None and stored is not None:
        stored = stored.replaced(began=began, received=now, initial_age=said[1] + landed.since)
    match said:
        case ("fetched", _, kept, reason, validated, found_, check) if stored is not None:
            if not content and await _checksum(stored) != check:
                return None
            return Fetched(stored, kept, _reason(reason), validated, found=found_)
        case ("failed", _, name, detail, retry_after, fields, status) if not content or stored is not None:
            problem = Problem(Reason[name], detail, retry_after=retry_after, fields=fields, upstream_status=status)
            return Failed(problem, stored if content else None)
        case _:
            return None


def _reason(name: str | None) -> NotKept | None:
    if name is None:
        return None
    return Unkept[name] if name in Unkept.__members__ else Unstorable[name]


def _is_long(stored: StoredResponse) -> bool:
    return len(stored.head) + len(stored.body) > LONG


async def _checksum(stored: StoredResponse) -> int:
    return await asyncio.to_thread(lambda: crc32(stored.body, crc32(stored.head)))


def _whole(said: list[Any], stored: StoredResponse | None) -> bytes:
    head = encode_json(said)
    return _LENGTH.pack(len(head)) + head + (b"" if stored is None else encode(stored))


def _parted(value: bytes) -> tuple[bytes, bytes]:
    end = _LENGTH.size + _head_length(value)
    return value[_LENGTH.size : end], value[end:]


def _head_length(value: bytes) -> int:
    return int(_LENGTH.unpack_from(value)[0]) if value else 0
