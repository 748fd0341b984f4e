"""Runs the parts, prints each table when it is done, and keeps them all: `python -m bench [--quick] [PART ...]`."""

import argparse
import os
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from time import monotonic

from bench import report
from bench.machine import facts
from bench.parts.arena import arena
from bench.parts.background import background
from bench.parts.full import filled, flatness, memory
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

USUAL = ("hits", "keys", "misses", "herd", "full", "reloads")
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
    for table in _tables(settings, set(asked.parts or USUAL)):
        print(table.text(), flush=True)
        tables.append(table)
    if not asked.parts:
        page = report.keep("quick" if asked.quick else "full", known | {"took": f"{monotonic() - began:.0f} s"}, tables)
        print(f"{page}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="The gateway beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer peers and rounds, in less than two minutes")
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
        if parts - {"full", "reloads", "background"}:
            with arena(settings, upstream) as servers:
                if "hits" in parts:
                    yield from hits(servers)
                if "keys" in parts:
                    yield keys(servers)
                if "misses" in parts:
                    yield misses(servers)
                if "herd" in parts:
                    yield herd(servers)
        if "full" in parts:
            with filled(settings, upstream) as full:
                yield flatness(settings, upstream, full)
                yield memory(full)
                yield pause(settings, upstream, full)
        if "reloads" in parts:
            yield reloads(settings, upstream)
    if "background" in parts:
        yield from background(settings)


if __name__ == "__main__":
    main()
