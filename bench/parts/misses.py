"""Misses: every request for something new, stored on the way, and what the way through costs."""

from bench.load import Asked, Measured, measure, untouched
from bench.parts.arena import Arena
from bench.processes import Server
from bench.report import Goal, Table, at_least, at_most
from bench.rounds import Rounds, alternate
from bench.settings import GATEWAY

_LEAST, _ADDED = 7_000, 0.4
_COLUMNS = ("", "misses/s", "slowest–fastest", "gateway ÷ it", "CPU µs", "p50 ms, one connection", "added ms")


def misses(arena: Arena) -> Table:
    """The rate with 32 connections, and the median time with one beside the upstream's own."""
    asked = [arena.source, *arena.caching()]
    rounds = arena.settings.few
    many = alternate(asked, rounds, lambda server: _round(server, arena.settings.seconds))
    one = alternate(asked, rounds, lambda server: _round(server, arena.settings.seconds, 1))
    own = one[arena.source.name].p50
    rows = [_row(name, many[GATEWAY].rate, rounds, one[name].p50, own) for name, rounds in many.items()]
    note = "A new URL each time; the upstream, on the load's core, answers at once."
    return Table("Misses", note, _COLUMNS, rows, _goals(many[GATEWAY].rate, one[GATEWAY].p50 - own))


def _round(server: Server, seconds: int, connections: int = 32) -> Measured:
    return measure(server, Asked("sequence", urls=10_000_000, first=untouched()), seconds, connections)


def _row(name: str, gateway: float, rounds: Rounds, p50: float, own: float) -> tuple[str, ...]:
    rates = (f"{rounds.rate:,.0f}", rounds.spread, f"{gateway / rounds.rate:.2f}", f"{rounds.work:.0f}")
    return (name, *rates, f"{p50:.3f}", f"{p50 - own:.3f}")


def _goals(rate: float, added: float) -> list[Goal]:
    return [at_least("misses a second", rate, _LEAST, ",.0f"), at_most("added ms at p50", added, _ADDED)]
