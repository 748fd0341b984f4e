"""Reserve, settle, release: each in the journal before anything leaves, and given back where it cannot be."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admission.snapshots import make_request, public_route, seed_route
from support.in_process import ALPHA, GRANT, Way, way

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome, Pays
from gateway.admission.snapshot import Account
from gateway.errors import Overtaken, Problem, Reason
from gateway.journalled import Journalled
from gateway.messages import Request
from gateway.operation import Operation
from gateway.reservation import Reservation
from gateway.settlement import Settlement

pytestmark = pytest.mark.slow

ITEM = "/v1/products/1"
FORCED = f"{ITEM}?include_offers=1&force_refresh=1"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    async with way(tmp_path, seed_route(), public_route()) as started:
        yield started


def operation(running: Way, target: str = ITEM) -> Operation:
    request = make_request(target)
    return Operation(request, "id", 0.0, running.live.preparer.prepare(request))


async def test_a_reuse_is_admitted_and_charged_in_one_step(running: Way) -> None:
    charge = await running.settlement.settle(operation(running), Outcome.hit)
    assert charge is not None
    assert (charge.tokens, charge.remaining, running.balance.reserved) == (1, GRANT - 1, 0)


@pytest.mark.parametrize("outcome", Outcome, ids=lambda outcome: outcome.name)
async def test_a_fetch_reserves_all_it_may_cost_and_settles_by_its_outcome(running: Way, outcome: Outcome) -> None:
    op = operation(running, FORCED)
    assert await running.settlement.reserve(op)
    assert running.balance.reserved == 9
    assert not await running.settlement.reserve(op)
    charge = await running.settlement.settle(op, outcome)
    assert charge is not None
    tokens = {Pays.total: 9, Pays.plain: 6, Pays.nothing: 0, Pays.refunded: 0}[outcome.pays]
    assert (charge.tokens, op.tokens, charge.remaining) == (tokens, tokens, GRANT - tokens)
    assert op.reservation is None


async def test_whose_key_another_node_has_revoked_meanwhile_has_nothing_fetched(running: Way) -> None:
    """The meter's answer brought the word of it."""
    told = list[str]()

    def revoked(request: Request) -> None:
        told.append(request.target)
        raise Problem(Reason.unknown_key)

    settlement, op = Settlement(Journalled(running.meter, running.ledger), revoked), operation(running)
    with pytest.raises(Problem) as caught:
        await settlement.reserve(op)
    assert (caught.value.reason, told) == (Reason.unknown_key, [ITEM])
    await settlement.release(op, Reason.unknown_key.name)
    assert (running.balance.reserved, running.balance.charged) == (0, 0)


async def test_a_hit_that_is_overtaken_asks_whose_key_it_is_by_now(
    running: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overtaken(*_: object) -> Charge:
        raise Overtaken

    told = list[str]()
    metering = Journalled(running.meter, running.ledger)
    settlement = Settlement(metering, lambda request: told.append(request.target))
    monkeypatch.setattr(metering, "charge", overtaken)
    with pytest.raises(Overtaken):
        await settlement.settle(operation(running), Outcome.hit)
    assert told == [ITEM]


async def test_a_release_says_how_the_account_stands(running: Way) -> None:
    op = operation(running)
    await running.settlement.reserve(op)
    for _ in range(2):
        charge = await running.settlement.release(op, "failed")
        assert charge is not None
        assert (charge.tokens, charge.remaining) == (0, GRANT)


async def test_a_public_route_is_not_metered(running: Way) -> None:
    op = operation(running, "/public/a")
    assert not await running.settlement.reserve(op)
    assert await running.settlement.settle(op, Outcome.miss) is None
    assert await running.settlement.release(op, "failed") is None


async def test_what_was_never_prepared_is_released_for_nothing(running: Way) -> None:
    assert await running.settlement.release(Operation(make_request("//"), "id", 0.0), "refused") is None


async def test_a_refusal_does_not_become_the_ledgers_where_that_cannot_tell_how_the_account_stands(
    running: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis was away, a bad request with a good key was answered 503."""

    def away(account: Account) -> Charge:
        raise Problem(Reason.ledger_unavailable)

    monkeypatch.setattr(running.meter, "standing", away)
    assert await running.settlement.release(operation(running), "bad_request") is None


async def test_a_reservation_the_journal_does_not_take_is_none(running: Way) -> None:
    op = operation(running)
    with running.journal_failing(), pytest.raises(Problem, match="ledger_unavailable"):
        await running.settlement.reserve(op)
    assert (op.reservation, running.balance.reserved) == (None, 0)


async def test_a_settlement_that_cannot_be_made_keeps_its_reservation_for_the_release(
    running: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was forgotten before it was settled, and stayed reserved until the next start."""
    op = operation(running)
    await running.settlement.reserve(op)
    monkeypatch.setattr("gateway.meter.due_for", lambda *given: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await running.settlement.settle(op, Outcome.miss)
    await running.settlement.release(op, "internal_error")
    assert running.balance.reserved == 0


@pytest.mark.parametrize("ending", ["settle", "release"])
async def test_what_the_journal_does_not_take_is_given_back_once_it_takes_again(running: Way, ending: str) -> None:
    op = operation(running)
    await running.settlement.reserve(op)
    settlement = running.settlement
    with running.journal_failing(), pytest.raises(Problem, match="ledger_unavailable"):
        await (settlement.settle(op, Outcome.miss) if ending == "settle" else settlement.release(op, "failed"))
    assert (running.balance.reserved, running.balance.charged) == (1, 0)
    await running.settlement.finish()
    assert (running.balance.reserved, running.balance.charged) == (0, 0)


async def test_it_tries_again_by_itself(running: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.settlement._RETRY", 0.0)
    op = operation(running)
    await running.settlement.reserve(op)
    with running.journal_failing(), pytest.raises(Problem):
        await running.settlement.release(op, "failed")
    async with asyncio.timeout(20):
        await running.settlement._owed_back.finish()
    assert running.balance.reserved == 0


async def test_the_end_does_not_wait_for_a_journal_that_never_takes_again(running: Way) -> None:
    """A full disk held the drain up for ever."""
    op = operation(running)
    await running.settlement.reserve(op)
    with running.journal_failing():
        with pytest.raises(Problem):
            await running.settlement.release(op, "failed")
        async with asyncio.timeout(20):
            await running.settlement.finish()
    (reserve,) = running.ledger.accounts.open.values()
    assert reserve.tokens == 1
    await _given_back(running)


async def _given_back(running: Way) -> None:
    """As the next start does."""
    (reserve,) = running.ledger.accounts.open.values()
    running.meter.release(Reservation(ALPHA, Quote(1), reserve), "abandoned")
    await running.ledger.committed()


async def test_the_house_pays_for_the_gateways_own_fetches(running: Way) -> None:
    prepared = operation(running, FORCED).prepared
    assert prepared is not None
    reservation = await running.settlement.reserve_house(prepared)
    assert running.house.reserved == 6
    await running.settlement.settle_house(reservation, Outcome.validated)
    assert (running.house.charged, running.balance.charged) == (6, 0)


async def test_a_refund_reverses_a_charge(running: Way) -> None:
    op = operation(running)
    await running.settlement.reserve(op)
    reservation = op.reservation
    await running.settlement.settle(op, Outcome.miss)
    await running.settlement.refund(reservation, None)
    assert (running.balance.charged, running.balance.remaining) == (0, GRANT)
    await running.settlement.refund(None, None)
