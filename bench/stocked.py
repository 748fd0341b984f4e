"""A gateway that has its stored responses from the start: `python -m bench.stocked CONFIG FIRST NUMBER QUERY REPORT`.

It runs as `gateway serve` does. Fetching a million would take longer than all the rest: one is prepared and made as
fetched ones are, and copies with keys, groups and contents of their own are put into the memory tier.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from multidict import CIMultiDict

from bench.load import key, target
from bench.processes import HOST, resident
from bench.upstream import answered, product
from gateway.admission.prepare import Preparer
from gateway.answers.splice import cut
from gateway.arrival import in_stored_form
from gateway.clock import SystemClock
from gateway.config.compile import snapshot
from gateway.config.load import loaded
from gateway.config.schema import Config
from gateway.keys.directory import Directory
from gateway.messages import Request, Response
from gateway.rfc9111.stored import StoredResponse, Times
from gateway.serving import serve
from gateway.storage import embedded
from gateway.stores.memory import MemoryTier


async def _template(config: Config, number: int, query: str) -> StoredResponse:
    """The product with this number as `config` has it stored, as if it had just been fetched."""
    compiled, clock = snapshot(config), SystemClock()
    account, fields = Directory(config).configured[key(0)], CIMultiDict({"Host": HOST, "Accept": "*/*"})
    prepared = Preparer(compiled).prepare(Request("GET", target(number) + query, fields), account)
    head, _, body = answered(_body(number, query)).partition(b"\r\n\r\n")
    response, now = Response(200, "OK", CIMultiDict(_lines(head)), body), clock.steady()
    times = Times(now, now, clock.wall())
    return await in_stored_form(prepared, compiled.upstreams["retailer"], fields, response, times, keep=True)


def _copy(template: StoredResponse, first: int, number: int, query: str) -> StoredResponse:
    """The product with this number, as the `template` is of the `first`."""
    named, name, body = _id(first), _id(number), _body(number, query)
    groups = tuple([group.replace(named, name) for group in template.groups])
    head = bytes(bytearray(template.head))  # each comes with its own, whatever becomes of that
    return template.replaced(
        key=template.key.replace(named, name), groups=groups, head=head, body=body, splice=cut(body)
    )


def _id(number: int) -> str:
    return target(number).rpartition("/")[2]


def _body(number: int, query: str) -> bytes:
    return product(_id(number), int(query.partition("=")[2]))


def _lines(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        yield name, value


def _fill(tier: MemoryTier, template: StoredResponse, numbers: range, query: str) -> int:
    """Bytes of memory that storing them took."""
    before = resident()
    for number in numbers:
        tier.put(_copy(template, numbers[0], number, query))
    return resident() - before


def main(path: Path, first: int, number: int, query: str, report: Path) -> int:
    """Serve until terminated; `report` gets the bytes of memory that storing took before."""
    read = loaded(path)
    tier = MemoryTier(read.config.store.memory)
    template = asyncio.run(_template(read.config, first, query))
    taken = _fill(tier, template, range(first, first + number), query)
    report.write_text(json.dumps({"taken": taken}))
    with patch.object(embedded, "MemoryTier", lambda _: tier):
        return serve(read, path)


if __name__ == "__main__":
    config, first, number, query, report = sys.argv[1:]
    sys.exit(main(Path(config), int(first), int(number), query, Path(report)))
