"""Each row of the table of outcomes, brought about on the real way of a request: what it is called and what it pays."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from admission.snapshots import KEY, PRICE, REFRESH, make_request, make_route, seed_route
from background.yard import background, begins
from support.in_process import Way, way

from gateway.admission.outcomes import Outcome, Pays
from gateway.admission.snapshot import CachePolicy, ClientDirectives
from gateway.errors import Problem, Reason
from gateway.ledger.ledger import Ledger
from gateway.ledger.records import Charge, Forced, Record, Refund, Release, Sale, Settle
from gateway.rfc9111.stored import Policy
from gateway.stores.encoding import decode, encode

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
FORCED = f"{ITEM}?include_offers=1&force_refresh=1"
JSON = {"Content-Type": "application/json"}
TEST = {"Authorization": f"Bearer {KEY.replace('live', 'test')}"}
POLICY = Policy(ttl=60.0, stale_while_revalidate=30.0, stale_if_error=3600.0)
ROUTES = (
    seed_route(
        cache=CachePolicy(POLICY, client_directives=ClientDirectives.price, max_body=1000),
        refresh=replace(REFRESH, cooldown=5.0),
        price=replace(PRICE, charge_on=frozenset({2, 3, 404, 422})),
    ),
    make_route("/uncached", name="uncached"),
    begins(background(per_subject=2)),
)

Ended = tuple[str, int]
"""An outcome as recorded, and the tokens it cost."""


class Books(list[Record]):
    """Everything that the journal takes."""

    def __init__(self, running: Way) -> None:
        super().__init__()
        self._tally = running.meter.tally
        running.ledger.listen(self._take)

    def _take(self, record: Record, count: int) -> None:
        self._tally.count(record, count)
        self.extend([record] * count)

    @property
    def ended(self) -> list[Ended]:
        return [found for record in self if (found := _ended(record)) is not None]


def _ended(record: Record) -> Ended | None:
    match record:
        case Charge() | Settle():
            return record.outcome, record.tokens
        case Sale():
            return record.outcome, record.reserve.tokens
        case Release():
            return record.outcome, 0
        case Refund():
            return record.outcome, -record.tokens
        case _:
            return None


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    async with way(tmp_path / "store", *ROUTES) as started:
        yield started


async def followed(running: Way) -> None:
    """Return once both of two reservations are made: who has reserved goes on to its flight without waiting."""
    while len(running.ledger.accounts.open) < 2:  # noqa: ASYNC110 - turns of the loop, not time
        await asyncio.sleep(0)
    await running.ledger.committed()
    await asyncio.sleep(0)


async def hit(running: Way) -> None:
    await running.ask(ITEM)
    await running.ask(ITEM)


async def stale(running: Way) -> None:
    await running.ask(ITEM)
    running.clock.advance(70)
    await running.ask(ITEM)


async def stale_if_error(running: Way) -> None:
    await running.ask(ITEM)
    running.upstream.then(before=(Problem(Reason.upstream_refused),))
    await running.ask(FORCED.replace("include_offers=1&", ""), fields={"X-Request-Id": "forced"})


async def cooldown(running: Way) -> None:
    await running.ask(FORCED)
    await running.ask(FORCED)


async def miss(running: Way) -> None:
    await running.ask(ITEM)


async def validated(running: Way) -> None:
    running.upstream.then(b"{}", fields=JSON | {"ETag": '"1"'})
    await running.ask(ITEM)
    running.clock.advance(120)
    running.upstream.then(status=304, fields={"ETag": '"1"'})
    await running.ask(ITEM)


async def collapsed(running: Way) -> None:
    gate = asyncio.Event()
    running.upstream.then(b"{}", before=(gate,), fields=JSON)
    first = running.asking(ITEM)
    await running.upstream.arrived()
    second = running.asking(ITEM)
    await followed(running)
    gate.set()
    await asyncio.gather(first, second)


async def passed(running: Way) -> None:
    await running.ask("/uncached")


async def refreshed(running: Way) -> None:
    await running.ask(FORCED)


async def undelivered(running: Way) -> None:
    running.upstream.then(b"{}", status=422, fields=JSON)
    await running.ask(FORCED)


async def accepted(running: Way) -> None:
    await running.ask("/stores/refreshstore?storeId=1", "POST")


async def uncharged(running: Way) -> None:
    running.upstream.then(b"{}", status=400, fields=JSON)
    await running.ask(ITEM)


async def unproven(running: Way) -> None:
    running.upstream.then(b"half", fields={"Content-Type": "text/plain"}, delimited=False)
    await running.ask(ITEM)


async def tested(running: Way) -> None:
    await running.ask(ITEM)
    assert (await running.ask(FORCED, fields=TEST)).status == 404
    assert (await running.ask(f"{ITEM}?force_refresh=1", fields=TEST)).tokens[0] == 0


async def truncated(running: Way) -> None:
    running.upstream.then(b"x" * 10, Problem(Reason.upstream_truncated))
    assert (await running.ask("/uncached")).broken


async def repriced(running: Way) -> None:
    """Something old is stored, as from a second tier, while the journal takes the reservation."""
    await running.ask(ITEM)
    (stored,) = running.cache.peek(running.live.preparer.prepare(make_request(ITEM)).key)
    running.cache.forget(stored)
    again = decode(encode(stored))
    assert again is not None
    running.clock.advance(30)
    asking = running.asking(ITEM, fields={"Cache-Control": "max-age=5"})
    await asyncio.sleep(0)
    fetching = running.cache.begin(())
    assert running.cache.store(fetching, again)
    running.cache.end(fetching)
    assert (await asking).tokens[0] == 4


async def abandoned(running: Way) -> None:
    """A copy of what is on disk is what a death leaves."""
    gate = asyncio.Event()
    running.upstream.then(b"{}", before=(gate,), fields=JSON)
    asking = running.asking(ITEM)
    await running.upstream.arrived()
    folder = running.ledger._journal.folder.parent
    copied = shutil.copytree(folder, folder.parent / "copied")
    opened = Ledger.open(copied, "process", running.clock)
    assert opened.accounts.open == {}
    rows = await opened.read(lambda db: db.execute("SELECT tokens, outcomes FROM open").fetchall())
    assert rows == [(0, '{"abandoned":1}')]
    await opened.close()
    gate.set()
    await asking


SCENARIOS: dict[str, Callable[[Way], Awaitable[None]]] = {
    # `test` alone would be a test.
    scenario.__name__.replace("tested", "test"): scenario
    for scenario in (
        *(hit, stale, stale_if_error, cooldown, miss, validated, collapsed, passed, refreshed, accepted, undelivered),
        *(uncharged, unproven, tested, truncated, repriced, abandoned),
    )
}


# What a scenario's request would cost in full and without the surcharge, where it is not the base price.
PRICES = {"stale_if_error": (4, 1), "cooldown": (9, 6), "refreshed": (9, 6), "undelivered": (9, 6), "accepted": (3, 3)}

# Upstream calls that a scenario's requests did without, and the tokens charged for these requests.
SAVED = {"hit": (1, 1), "stale": (1, 1), "cooldown": (1, 6), "collapsed": (1, 1), "test": (1, 0)}


@pytest.mark.parametrize("outcome", Outcome, ids=lambda outcome: outcome.name)
async def test_an_outcome_is_recorded_and_paid_as_the_table_says(running: Way, outcome: Outcome) -> None:
    books = Books(running)
    await SCENARIOS[outcome.name](running)
    await running.settled()
    total, plain = PRICES.get(outcome.name, (1, 1))
    tokens = {Pays.total: total, Pays.plain: plain, Pays.nothing: 0, Pays.refunded: -plain}[outcome.pays]
    if outcome is not Outcome.abandoned:
        assert (outcome.name, tokens) in books.ended
    saved = sum(running.metrics.calls_saved.values()), sum(running.metrics.tokens_saved.values())
    assert saved == SAVED.get(outcome.name, (0, 0))


def test_no_outcome_is_left_out() -> None:
    assert SCENARIOS.keys() == {outcome.name for outcome in Outcome}


async def test_what_a_test_key_asks_for_is_no_refresh_to_the_cap(running: Way) -> None:
    books = Books(running)
    await tested(running)
    assert not [record for record in books if isinstance(record, Forced)]
