"""Runs the parts, prints each table when it is done, and keeps them all: `python -m bench [--quick] [PART ...]`."""

import argparse
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import TypeVar

from bench import report
from bench.machine import facts
from bench.parts.arena import Arena, arena
from bench.parts.background import background
from bench.parts.books import books
from bench.parts.fleet import fleet
from bench.parts.full import Full, filled, flatness, memory
from bench.parts.herd import herd
from bench.parts.hits import hits
from bench.parts.keys import keys
from bench.parts.misses import misses
from bench.parts.pause import pause
from bench.parts.reloads import reloads
from bench.peers import source
from bench.processes import LOAD_CORE, SERVER_CORE
from bench.report import Table
from bench.settings import Settings

T = TypeVar("T")

# The last of them ends the gateway.
_SIDE_BY_SIDE: dict[str, Callable[[Arena], Table | Iterator[Table]]] = {
    "hits": hits,
    "keys": keys,
    "misses": misses,
    "herd": herd,
    "books": books,
}
_FULL: dict[str, Callable[[Full], Table | Iterator[Table]]] = {"flatness": flatness, "memory": memory, "pause": pause}
USUAL = (*_SIDE_BY_SIDE, *_FULL, "reloads", "fleet")
QUICK = tuple(part for part in USUAL if part not in ("keys", "reloads", "fleet"))
# What has no peer, and takes minutes, is measured where it is asked for by name.
PARTS = (*USUAL, "background")


def main() -> None:
    """Measure what is asked for; only a run of all parts is kept in bench/results."""
    asked = _arguments()
    _prepare()
    settings = Settings.read(quick=asked.quick)
    known = facts(settings)
    began = monotonic()
    tables = []
    for table in _tables(settings, set(asked.parts or (QUICK if asked.quick else USUAL))):
        print(table.text(), flush=True)
        tables.append(table)
    if not asked.parts:
        page = report.keep("quick" if asked.quick else "full", known | {"took": f"{monotonic() - began:.0f} s"}, tables)
        print(f"{page}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="The gateway beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer peers, parts and rounds, in less than 90 seconds")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; all but background"
    )
    return parser.parse_args()


def _prepare() -> None:
    """Have all that a run needs, or end it: the tools, two cores, files for every connection."""
    os.environ["PATH"] += f"{os.pathsep}/usr/sbin"  # where Debian has servers, and who is not root does not look
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            sys.exit(f"bench: {tool} is missing (apt install {'wrk' if tool == 'wrk' else 'util-linux'})")
    if SERVER_CORE == LOAD_CORE:
        sys.exit("bench: two cores are needed, one for the server and one for the load")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))  # and with it all that it started
    os.sched_setaffinity(0, {LOAD_CORE})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tables(settings: Settings, parts: set[str]) -> Iterator[Table]:
    with source() as upstream:
        if parts & _SIDE_BY_SIDE.keys():
            with arena(settings, upstream) as servers:
                yield from _each(_SIDE_BY_SIDE, parts, servers)
        if parts & _FULL.keys():
            with filled(settings, upstream) as full:
                yield from _each(_FULL, parts, full)
        if "reloads" in parts:
            yield reloads(settings, upstream)
        if "fleet" in parts and _has_redis():
            yield from fleet(settings, upstream)
    if "background" in parts:
        yield from background(settings)


def _has_redis() -> bool:
    found = shutil.which("redis-server") is not None
    if not found:
        print("bench: WITHOUT fleet: redis-server is not installed", file=sys.stderr)
    return found


def _each(known: Mapping[str, Callable[[T], Table | Iterator[Table]]], parts: set[str], about: T) -> Iterator[Table]:
    """The tables of those parts that are known, in their order."""
    for name, measured in known.items():
        if name in parts:
            tables = measured(about)
            yield from [tables] if isinstance(tables, Table) else tables


if __name__ == "__main__":
    main()
