"""Keys of one organization are in one slot of a cluster, and those of the fleet in another one."""

import pytest
from redis.crc import key_slot

from gateway.fleet import names


@pytest.mark.parametrize(("organization", "number"), [("acme", 14), ("", 0), ("größe", 9)])
def test_an_organizations_shard_never_changes(organization: str, number: int) -> None:
    assert names.shard(organization) == number


def test_what_belongs_together_is_in_one_slot() -> None:
    of_one = [names.balance(7, "a"), names.records(7), names.sequence(7), names.open_operations(7), names.holders(7)]
    assert len({key_slot(name.encode()) for name in of_one}) == 1
    of_all = [names.VERSION, names.NODES, names.node(3), names.call(3), names.LOG, names.EPOCH]
    assert len({key_slot(name.encode()) for name in of_all}) == 1
