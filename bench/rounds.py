"""Rounds that alternate between servers, and their medians."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from bench.load import Measured
from bench.processes import Server


@dataclass(frozen=True, slots=True)
class Rounds:
    """What one server did in all its rounds; every figure is a median."""

    measured: tuple[Measured, ...]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return median(one.rate for one in self.measured)

    @property
    def p50(self) -> float:
        """Milliseconds within which half of the answers came."""
        return median(one.p50 for one in self.measured)

    @property
    def p99(self) -> float:
        """Milliseconds within which 99 of 100 answers came."""
        return median(one.p99 for one in self.measured)

    @property
    def work(self) -> float:
        """Microseconds of the server's processor time for each answer."""
        return median(one.work for one in self.measured)

    @property
    def size(self) -> float:
        """Bytes of each answer."""
        return median(one.size for one in self.measured)

    @property
    def spread(self) -> str:
        """The slowest and the fastest round, in answers a second."""
        rates = [one.rate for one in self.measured]
        return f"{min(rates):,.0f}–{max(rates):,.0f}"


def alternate(servers: Iterable[Server], number: int, once: Callable[[Server], Measured]) -> dict[str, Rounds]:
    """`number` rounds of `once` for each server, in turn, so that whatever disturbs the machine disturbs all."""
    chosen = list(servers)
    turns = [[once(server) for server in chosen] for _ in range(number)]
    return {server.name: Rounds(measured) for server, measured in zip(chosen, zip(*turns, strict=True), strict=True)}
