import pytest
from ledger.samples import CHARGE, GRANT, reserve, tab

from gateway.admission.snapshot import Rate, ThrottlePolicy
from gateway.admission.throttle import TokenBucket
from gateway.ledger.accounts import Accounts, Balance
from gateway.ledger.encoding import decode, encode
from gateway.ledger.group import Group


def gathered(accounts: Accounts, bucket: TokenBucket | None) -> Group:
    """A group of a grant, a reservation, and five charges on two tabs."""
    group = Group()
    for record in (GRANT, reserve(1)):
        accounts.apply(record)
        group.posted.append((record, None))
    for times in (3, 2):
        counting = tab(accounts, bucket=bucket)
        counting.count = times
        accounts.apply(CHARGE, times)
        group.tabs.append(counting)
    return group


def test_a_closed_group_has_what_its_tabs_counted_and_they_begin_anew() -> None:
    group = gathered(Accounts(), None)
    assert not group.empty
    group.close()
    assert [counting.count for counting in group.tabs] == [0, 0]
    assert [count for _, count in group.counted] == [3, 2]
    assert decode(group.payload()) == [(GRANT, 1), (reserve(1), 1), (CHARGE, 3), (CHARGE, 2)]
    assert group.entries == [(GRANT, 1), (reserve(1), 1)]


def test_a_group_without_anything_is_written_as_none() -> None:
    group = Group()
    assert group.empty
    group.close()
    assert group.payload() == encode(())


def test_undone_it_has_never_been() -> None:
    accounts, bucket = Accounts(), TokenBucket(ThrottlePolicy(Rate(1, 1.0), 9))
    for _ in range(6):
        assert bucket.take(0.0)
    group, undone = gathered(accounts, bucket), list[str]()
    group.posted[0] = GRANT, lambda: undone.append("grant")
    group.posted[1] = reserve(1), lambda: undone.append("reserve")
    group.close()
    group.undo(accounts)
    assert undone == ["reserve", "grant"]
    assert accounts.balance("acme") == Balance()
    assert accounts.open == {}
    assert bucket.state(0.0)[0] == 8


def test_a_number_that_json_cannot_say_is_refused_before_it_is_written() -> None:
    with pytest.raises(TypeError):
        tab(Accounts(), CHARGE._replace(tokens=2**64))
