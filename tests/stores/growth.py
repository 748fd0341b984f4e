"""Run as a process: fill a memory tier and print its own count and what the process grew by, in bytes."""

import gc
import os
import random
import sys
from pathlib import Path

from gateway.messages import Splice
from gateway.rfc9111.stored import StoredResponse, Terms
from gateway.stores.memory import MemoryTier

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """The process's resident memory in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def response(number: int, median: int, dice: random.Random) -> StoredResponse:
    """One of many different ones: nothing in it is shared with another, as if parsed from the wire."""
    body = dice.randbytes(int(median * dice.lognormvariate(0, 1.2)))
    path = f"/v1/products/{number // 3}"
    splice = Splice(body[:-1], comma=True, packed=body[: len(body) // 3], crc=dice.getrandbits(32))
    return StoredResponse(
        key=f"retailer everyone {path}?page={number % 3}",
        status=200,
        reason=bytes([79, 75]).decode(),
        head=b"Content-Type: application/json\r\nX-Id: %d\r\n" % number + dice.randbytes(dice.randrange(300)),
        body=body,
        terms=Terms(lifetime=float(dice.randrange(1, 4000)), date=number + 0.75),
        selecting=(("accept-language", f"de-{number}"),) if number % 4 == 0 else (),
        etag=f'"{number:x}"',
        last_modified=f"Mon, 01 Jan 2024 00:00:{number % 60} GMT" if number % 2 else None,
        began=number + 0.25,
        received=number + 0.5,
        initial_age=number % 7 + 0.125,
        groups=(f"everyone retailer {path}", f"everyone tag:brand-{number % 50}")[: 1 + number % 2],
        splice=splice if number % 2 else None,
    )


def main(limit: int, count: int, median: int) -> None:
    """Write `counted grown responses` after putting `count` with bodies of `median` bytes into a tier of `limit`.

    Groups are outdated in between, each by a mark of its own.
    """
    dice = random.Random(9111)
    MemoryTier(limit).put(response(0, median, dice))
    before = resident()
    tier = MemoryTier(limit)
    for number in range(count):
        tier.put(response(number, median, dice))
        if number % 10 == 0:
            group = f"everyone retailer /v1/products/{number // 3}"
            tier.mark((group,), number + 0.125, number + 0.375, f"retailer everyone {group}")
    sys.stdout.write(f"{tier.bytes} {resident() - before} {len(tier)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
