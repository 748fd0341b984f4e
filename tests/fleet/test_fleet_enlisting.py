"""Which Redis will do, by what it tells of itself."""

from typing import cast

import pytest

from gateway.fleet.enlisting import Membership, doubtful, told, unfit
from gateway.fleet.failures import LOADING, Unreachable
from gateway.fleet.wire import Wire

WELL = {"redis_version": "7.0.15", "run_id": "a", "redis_mode": "standalone", "maxmemory": "0"}
POLICY = "its maxmemory-policy allkeys-lfu would throw balances away; set volatile-lru or noeviction"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"redis_version": "6.2.0"}, None),
        ({"redis_version": "10.1"}, None),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.1"}, None),
        ({"redis_mode": "sentinel"}, "it is a Sentinel, and not a Redis"),
        ({"redis_version": "6.0.16"}, "it is version 6.0.16, and 6.2 is the oldest that will do"),
        ({"redis_version": "5"}, "it is version 5, and 6.2 is the oldest that will do"),
        ({"redis_version": ""}, "it is version unknown, and 6.2 is the oldest that will do"),
        ({"redis_mode": "cluster"}, "it is a Redis Cluster, which is not supported"),
        ({"run_id": ""}, "its INFO does not tell a run_id"),
        ({"maxmemory": "100", "maxmemory_policy": "allkeys-lfu"}, POLICY),
        ({"maxmemory": "100", "maxmemory_policy": "volatile-lru"}, None),
        ({"maxmemory": "0", "maxmemory_policy": "allkeys-lfu"}, None),
    ],
    ids=lambda given: str(given),
)
def test_what_forbids_to_use_it(change: dict[str, str], why: str | None) -> None:
    assert unfit(WELL | change) == why


OFF = "appendonly is off: a Redis that dies forgets the latest charges; set appendonly yes"
FULL = "its maxmemory is no more than store.shared, and full it refuses all charges; set volatile-lru"
LATER = "with a maxmemory its maxmemory-policy allkeys-lfu would throw balances away; set volatile-lru"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, []),
        ({"aof_enabled": "1", "maxmemory_policy": "noeviction"}, []),
        ({"aof_enabled": "0"}, [OFF]),
        ({"maxmemory_policy": "allkeys-lfu"}, [LATER]),
        ({"maxmemory": "100", "maxmemory_policy": "noeviction"}, [FULL]),
        ({"maxmemory": "101", "maxmemory_policy": "noeviction"}, []),
        ({"maxmemory": "100", "maxmemory_policy": "volatile-lru"}, []),
        ({"aof_enabled": "0", "maxmemory_policy": "allkeys-lfu"}, [OFF, LATER]),
    ],
    ids=lambda given: str(given),
)
def test_what_is_doubtful_of_it(change: dict[str, str], why: list[str]) -> None:
    assert list(doubtful(WELL | change, 100)) == why


class Loading:
    """A Redis that reads its append-only file when it is asked for INFO, and has read it right after."""

    async def ask(self, _: tuple[bytes, ...], __: float) -> bytes:
        info = WELL | {"loading": "1", "aof_enabled": "0"}
        return "".join(f"{name}:{value}\r\n" for name, value in info.items()).encode()

    async def run(self, *_: object) -> list[object]:
        return [b"2", 1]


async def test_one_that_reads_its_append_only_file_is_not_taken_for_one_without() -> None:
    membership = Membership()
    with pytest.raises(Unreachable, match=LOADING):
        await membership.begin(cast("Wire", Loading()), 1.0)
    assert (membership.doubts, membership.server) == ((), "")


def test_an_answer_to_info() -> None:
    assert told(b"# Server\r\nredis_version:7.0.15\r\nconfig_file:/a:b\r\n\r\n") == {
        "redis_version": "7.0.15",
        "config_file": "/a:b",
    }


def test_what_is_no_answer_to_info() -> None:
    with pytest.raises(Unreachable):
        told(1)
