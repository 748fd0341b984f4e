"""What is asked of a server under load, and what wrk says of it."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Final, Literal

from bench.processes import HOST, LOAD_CORE, Server, pinned
from bench.upstream import SIZE

CONNECTIONS = 32
POOR_KEY = "rk_bench_poor"
"""A key whose plan pays for one call."""

_SCRIPT: Final = Path(__file__).with_name("requests.lua")
_FIELDS: Final = (("Accept", "*/*"), ("User-Agent", "bench/1"))
_UNITS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
# Keys that may ask for the first time in a second.
_IN_TURN: Final = 10_000
_BYTES: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}

# No URL of one part is another's: each takes its numbers from here.
_BLOCK: Final = 10_000_000
_blocks = count(_BLOCK, _BLOCK)


@dataclass(frozen=True, slots=True)
class Asked:
    """The requests of a load: who asks how for what, with which `further` fields.

    `kind` is one of requests.lua's, or one `same` request.
    """

    kind: Literal["same", "sequence", "mixed", "drawn", "turns", "fresh"] = "same"
    keys: int = 1
    urls: int = 1
    first: int = 0
    query: str = ""
    further: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of each body."""
        return int(self.query.partition("size=")[2] or SIZE)

    @property
    def fields(self) -> Mapping[str, str]:
        """What each request carries besides its key."""
        return dict((*_FIELDS, *self.further))

    def command(self, server: Server, *options: str) -> list[str]:
        """wrk's words for it."""
        fields = {"Authorization": f"Bearer {key(0)}", **self.fields}
        lines = (word for name, value in fields.items() for word in ("-H", f"{name}: {value}"))
        given = ["wrk", "-t1", "--latency", *options, *lines]
        if self.kind == "same":
            return [*given, f"http://{HOST}:{server.port}{target(self.first)}{self.query}"]
        named = [self.kind, str(self.keys), str(self.urls), str(self.first), self.query]
        return [*given, "-s", str(_SCRIPT), f"http://{HOST}:{server.port}/", "--", *named]


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: answers, the bytes of each, answers a second, and how long they took (ms).

    `work` is the server's processor time for each (µs).
    """

    answers: int
    size: float
    rate: float
    p50: float
    p99: float
    work: float


def key(number: int) -> str:
    """The API key with this number, counted from 0."""
    return f"rk_bench_{number:06}"


def target(number: int) -> str:
    """The request target of the product with this number."""
    return f"/v1/products/1{number:010}"


def untouched() -> int:
    """The number of a product that nobody has asked for; so are the ten million after it."""
    return next(_blocks)


def measure(server: Server, asked: Asked, seconds: int, connections: int = CONNECTIONS) -> Measured:
    """One round of load; ends the run on any answer that is not 200, and on any broken connection."""
    options = (f"-c{connections}", f"-d{seconds}s", "--timeout", "10s")
    before = server.worked()
    told = subprocess.run(
        pinned(LOAD_CORE, *asked.command(server, *options)), capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        sys.exit(f"bench: {server.name} did not answer everything:\n{told}")
    answers, rate = int(_found(r"(\d+) requests in", told)[0]), float(_found(r"Requests/sec:\s+([\d.]+)", told)[0])
    work = (server.worked() - before) / max(1, answers) * 1e6
    size = _read(told) / max(1, answers)
    return Measured(answers, size, rate, _percentile("50%", told), _percentile("99%", told), work)


def measure_hits(
    server: Server, source: Server, asked: Asked, seconds: int, connections: int = CONNECTIONS
) -> Measured:
    """The same where every answer must be a hit: ends the run when the upstream was asked."""
    before = calls(source)
    measured = measure(server, asked, seconds, connections)
    if more := calls(source) - before:
        sys.exit(f"bench: {server.name} asked the upstream {more} times: these are not hits")
    return measured


def warm(server: Server, asked: Asked) -> None:
    """Let every key ask once, about, so that what may be remembered is by the first round."""
    if asked.keys > 1:
        measure(server, replace(asked, kind="turns"), 1 + asked.keys // _IN_TURN)


def fill(server: Server, asked: Asked, seconds: int) -> None:
    """Ask for `asked.urls` products one after the other, once each; fails where that takes longer than `seconds`."""
    until = monotonic() + seconds
    done = 0
    while done < asked.urls:
        assert monotonic() < until, f"{server.name} takes too long to store {asked.urls:,}"
        rest = replace(asked, kind="sequence", keys=1, urls=asked.urls - done, first=asked.first + done)
        # Those that were under way when the round ended are asked for again.
        done += max(0, measure(server, rest, 1).answers - 2 * CONNECTIONS)


def calls(upstream: Server) -> int:
    """How often the upstream was asked for a product so far."""
    return int(upstream.get("/calls").body)


def _read(told: str) -> float:
    number, unit = _found(r"requests in \S+, ([\d.]+)([KMG]?)B read", told)
    return float(number) * _BYTES[unit]


def _percentile(which: str, told: str) -> float:
    number, unit = _found(rf"^\s+{which}\s+([\d.]+)([a-z]+)\s*$", told)
    return float(number) * _UNITS[unit]


def _found(pattern: str, told: str) -> tuple[str, ...]:
    found = re.search(pattern, told, re.MULTILINE)
    assert found, told
    return found.groups()
