"""The books: what wrk counted, what was charged for it, and what is missing of the balances after kill -9."""

from bench.parts.arena import KEYS, Arena
from bench.peers.own import charged, launched, spent
from bench.report import Goal, Table
from bench.settings import GATEWAY

_COLUMNS = ("", "hits counted", "charged for them", "charged in all", "taken off the balances")


def books(arena: Arena) -> Table:
    """Kill the gateway, and ask a new one in the same folder for every balance."""
    server = arena.servers[GATEWAY]
    known = charged(server)
    server.kill()
    with launched(server) as again:
        taken = spent(again, KEYS)
    counted = arena.counted
    row = (GATEWAY, f"{counted.answers:,}", f"{counted.tokens:,}", f"{known:,}", f"{taken:,}")
    note = (
        "All hits above: a token each, also for those under way when a round ended. Then the gateway was ended by "
        f"kill -9 and started again: what its {KEYS:,} API keys lacked of their grants, in tokens."
    )
    goal = Goal(f"tokens taken off the balances exactly {known:,}", f"{taken:,}", taken == known)
    return Table("Books", note, _COLUMNS, [row], [goal])
