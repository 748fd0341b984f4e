"""What is counted on tabs, in the ledger's groups, and those who are called when it is committed."""

from functools import partial
from pathlib import Path

import pytest
from ledger.ledgers import failure, full_disk, journal, opened
from ledger.samples import CHARGE, GRANT, tab

from gateway.admission.snapshot import Rate, ThrottlePolicy
from gateway.admission.throttle import TokenBucket
from gateway.errors import Problem, Reason
from gateway.ledger.accounts import Balance


async def test_a_tab_of_an_unlimited_account_is_granted_what_it_counts(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        assert ledger.count(tab(ledger.accounts, CHARGE._replace(unlimited=True))) is None
        await ledger.booked()
        assert ledger.accounts.balance("acme") == Balance(6, 6, 0, 0, 0)
        assert await ledger.drift() == 0


async def test_a_balance_that_was_summed_up_is_summed_up_anew_once_a_tab_counts(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        ledger.post(GRANT)
        lookups = tab(ledger.accounts)
        for times in range(1, 4):
            ledger.count(lookups)
            assert ledger.accounts.sums() == (2000, 6 * times, 0, 0, 2000 - 6 * times)
            assert ledger.accounts.drift() == 0


async def test_nothing_is_counted_once_closed(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        lookups = tab(ledger.accounts)
    for post in (partial(ledger.count, lookups), partial(ledger.post, CHARGE)):
        with pytest.raises(Problem) as caught:
            post()
        assert caught.value.reason is Reason.ledger_unavailable
    assert lookups.count == 0
    assert ledger.accounts.balance("acme") == Balance()


async def test_whoever_is_called_when_it_is_committed_may_post_at_once(tmp_path: Path) -> None:
    heard = list[Problem | None]()
    async with opened(tmp_path) as ledger:
        lookups = tab(ledger.accounts)
        ledger.when_committed(heard.append)
        assert heard == [None]
        ledger.count(lookups)
        ledger.when_committed(heard.append)
        ledger.when_committed(lambda _: ledger.count(lookups))
        assert heard == [None]
        await ledger.committed()
        assert heard == [None, None]
        await ledger.committed()
        assert journal(tmp_path) == [[(CHARGE, 1)], [(CHARGE, 1)]]


async def test_whoever_waits_hears_why_it_failed_once_it_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = list[tuple[Reason | None, int, int]]()
    bucket = TokenBucket(ThrottlePolicy(Rate(1, 1.0), 5))
    async with opened(tmp_path) as ledger:
        ledger.post(GRANT)
        await ledger.committed()
        lookups = tab(ledger.accounts, bucket=bucket)

        def hear(problem: Problem | None) -> None:
            reason = None if problem is None else problem.reason
            heard.append((reason, ledger.accounts.balance("acme").charged, bucket.state(0.0)[0]))

        with monkeypatch.context() as broken:
            broken.setattr("os.write", full_disk)
            for _ in range(3):
                assert bucket.take(0.0)
                ledger.count(lookups)
            ledger.when_committed(hear)
            await failure(ledger.committed())
        assert heard == [(Reason.ledger_unavailable, 0, 5)]
        assert bucket.take(0.0)
        ledger.count(lookups)
        ledger.when_committed(hear)
        await ledger.booked()
        assert heard[1:] == [(None, 6, 4)]
        assert journal(tmp_path) == [[(GRANT, 1)], [(CHARGE, 1)]]
        assert await ledger.drift() == 0
