from pathlib import Path

import pytest
from ledger.fleets import ACME, Money, connected, granted
from ledger.samples import CHARGE
from structlog.testing import capture_logs

from gateway.fleet import names
from gateway.ledger import registry
from gateway.ledger.registry import FORGOTTEN, Registered, Registry, bound, name_of, order, read, spared, written
from gateway.ledger.shards import SHARDS
from gateway.ledger.streaming import BEGINNING, Place


def test_a_registered_book_is_read_as_it_was_written() -> None:
    ids = {shard: f"{shard}-1" for shard in SHARDS}
    assert read(written(Registered(7, ids))) == Registered(7, ids)
    assert read(written(Registered(7, {}))).ids == dict.fromkeys(SHARDS, BEGINNING)
    for value in (b"[]", b"[1,[]]", b'{"a":1}', b"x"):
        with pytest.raises(ValueError, match=r"\S"):
            read(value)


def test_the_last_book_says_what_is_spared() -> None:
    books = [Registered(0, dict.fromkeys(SHARDS, id_)) for id_ in ("10-0", "9-5", "9-10")]
    assert spared(books) == dict.fromkeys(SHARDS, "9-5")
    assert spared([]) == {}
    assert order("9-5") < order("9-10") < order("10-0")


@pytest.mark.parametrize(
    ("info", "most"),
    [
        pytest.param(b"# Memory\r\nmaxmemory:0\r\n", registry.MOST, id="no limit"),
        pytest.param(b"maxmemory:400\r\n", 100, id="a quarter"),
        pytest.param(b"maxmemory:99999999999\r\n", registry.MOST, id="much"),
        pytest.param(b"", registry.MOST, id="not told"),
    ],
)
def test_the_bound_goes_by_redis_memory(info: bytes, most: int) -> None:
    assert bound(info) == most


def test_a_folder_has_one_name(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert name_of(tmp_path) == name_of(tmp_path) != name_of(tmp_path / "other")


async def test_streams_are_trimmed_to_what_every_book_has(redis_url: str) -> None:
    money = Money(redis_url)
    for records in ([granted(1000)], [CHARGE], [CHARGE], [CHARGE]):
        money.post(*records)
    ids = [id_.decode() for id_, _ in money.redis.xrange(names.records(ACME))]
    async with connected(redis_url) as connection:
        first, second = Registry(connection, "first"), Registry(connection, "second")
        await first.register({ACME: Place(ids[3], 4)})
        await second.register({})
        await first.trim()
        assert money.redis.xlen(names.records(ACME)) == 4
        await second.register({ACME: Place(ids[1], 2)})
        await first.trim()
        # The last one that all have stays: by that a book finds its place again.
        assert [id_.decode() for id_, _ in money.redis.xrange(names.records(ACME))] == ids[1:]
        now = money.redis.time()[0]
        money.redis.hset(names.BOOKS, "second", written(Registered(now - FORGOTTEN - 5, {})))
        await first.trim()
        assert money.redis.xlen(names.records(ACME)) == 1
        assert money.redis.hkeys(names.BOOKS) == [b"first"]
    money.close()


async def test_streams_too_large_are_cut_and_that_is_told(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    money = Money(redis_url)
    for _ in range(50):
        money.post(CHARGE)
    monkeypatch.setattr(registry, "MOST", 1)
    async with connected(redis_url) as connection:
        with capture_logs() as logs:
            await Registry(connection, "first").trim()
    assert money.redis.xlen(names.records(ACME)) < 50
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["record streams cut"]
    money.close()
