import pytest
from ledger.samples import CHARGE, GRANT, tab

from gateway.ledger import backlog
from gateway.ledger.accounts import Accounts
from gateway.ledger.backlog import Backlog

OTHER = CHARGE._replace(account="other")


def test_groups_gather_to_a_batch_with_an_entry_for_each_tab_and_each_charge() -> None:
    waiting, one, two = Backlog(), tab(Accounts()), tab(Accounts())
    assert (waiting.first, waiting.take()) == (None, None)
    waiting.add(7, [(GRANT, 1), (OTHER, 2)], [(one, 3)])
    waiting.add(8, [], [])
    waiting.add(9, [(OTHER, 1), (GRANT, 1)], [(two, 1), (one, 2)])
    assert waiting.first == 7
    batch = waiting.take()
    assert batch is not None
    assert (batch.first, batch.last, len(batch)) == (7, 9, 5)
    assert batch.entries() == [(CHARGE, 5), (CHARGE, 1), (OTHER, 3), (GRANT, 1), (GRANT, 1)]
    assert waiting.take() is None


def test_without_room_it_takes_nothing_in_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST", 2)
    waiting = Backlog()
    assert [waiting.add(number, [(GRANT, 1)], ()) for number in range(1, 5)] == [0, 1, 2, 2]
    batch = waiting.take()
    assert batch is not None
    assert (batch.first, batch.last) == (1, 2)
    waiting.add(5, [(GRANT, 1)], ())
    assert waiting.first == 5
