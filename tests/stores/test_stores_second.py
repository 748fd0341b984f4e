"""AiocacheTier over aiocache's memory backend: the contract, expiry, and values that went bad."""

from typing import Any

import pytest
from aiocache import SimpleMemoryCache
from aiocache.serializers import StringSerializer
from stores.samples import sample, variant
from stores.second_tier_contract import GROUP, KEY, SecondTierContract

from gateway.ports import SecondTier
from gateway.stores import TierUnavailable
from gateway.stores.encoding import decode_json
from gateway.stores.memory import VARIANTS
from gateway.stores.second import AiocacheTier


class Recorder(SimpleMemoryCache):  # type: ignore[misc]  # aiocache has no types
    """The memory backend, with the ttl of every write on record, and out of reach on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.ttls: dict[str, float | None] = {}
        self.failure: Exception | None = None

    async def _set(self, key: str, value: object, ttl: float | None = None, **options: Any) -> Any:
        self.ttls[key.partition(":")[0]] = ttl
        return await super()._set(key, value, ttl=ttl, **options)

    async def _multi_get(self, keys: list[str], **options: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        return await super()._multi_get(keys, **options)

    def count(self, kind: str) -> int:
        """Values of one kind: key, variant or group."""
        return sum(name.startswith(kind) for name in self._cache)

    def spoil(self, kind: str, value: object) -> None:
        """Overwrite every value of one kind."""
        for name in self._cache:
            if name.startswith(kind):
                self._cache[name] = value


class TestAiocacheTier(SecondTierContract):
    @pytest.fixture
    def tier(self) -> SecondTier:
        return AiocacheTier(SimpleMemoryCache(), expire_after=None)


async def test_every_value_expires_and_a_mark_outlives_the_responses() -> None:
    backend = Recorder()
    tier = AiocacheTier(backend, expire_after=30)
    await tier.save(sample(KEY))
    await tier.drop(GROUP, 1001.0, None)
    assert backend.ttls == {"key": 30, "variant": 30, "group": 60}


async def test_variants_beyond_the_limit_leave_nothing_behind() -> None:
    backend = Recorder()
    tier = AiocacheTier(backend, expire_after=None)
    for n in range(VARIANTS + 2):
        await tier.save(sample(KEY, selecting=variant(str(n)), began=1000.0 + n))
    assert backend.count("variant") == VARIANTS
    assert len(decode_json(await backend.get(f"key:{KEY}"))) == VARIANTS


async def test_what_is_taken_out_leaves_nothing_behind() -> None:
    backend = Recorder()
    tier = AiocacheTier(backend, expire_after=30)
    responses = [sample(KEY, selecting=variant(language)) for language in ("de", "fr")]
    for stored in responses:
        await tier.save(stored)
    for left, stored in ((1, responses[0]), (0, responses[1])):
        await tier.save(stored.replaced(outdated=True))
        assert (backend.count("variant"), backend.count("key")) == (left, min(left, 1))
    assert backend.ttls == {"key": 30, "variant": 30}


async def test_bytes_pass_whatever_serializer_the_backend_came_with() -> None:
    tier = AiocacheTier(SimpleMemoryCache(serializer=StringSerializer()), expire_after=None)
    await tier.save(sample(KEY))
    assert len(await tier.load(KEY)) == 1


async def test_without_expiry_aiocache_is_told_so() -> None:
    backend = Recorder()
    backend.ttl = 5.0
    tier = AiocacheTier(backend, expire_after=None)
    await tier.save(sample(KEY))
    await tier.drop(GROUP, 1001.0, None)
    assert backend.ttls == {"key": None, "variant": None, "group": None}


@pytest.mark.parametrize("seconds", [0, -1])
def test_an_expiry_that_aiocache_takes_for_never_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        AiocacheTier(SimpleMemoryCache(), expire_after=seconds)


@pytest.mark.parametrize("value", [b"", b"\x03rest", "text", None], ids=["empty", "other-version", "text", "gone"])
@pytest.mark.parametrize("kind", ["key", "variant"])
async def test_an_unreadable_value_is_a_miss_and_can_be_replaced(kind: str, value: object) -> None:
    backend = Recorder()
    tier = AiocacheTier(backend, expire_after=30)
    await tier.save(sample(KEY))
    backend.spoil(kind, value)
    assert await tier.load(KEY) == ()
    await tier.save(sample(KEY))
    assert len(await tier.load(KEY)) == 1


async def test_behind_an_unreadable_mark_everything_is_outdated_until_the_next_drop() -> None:
    backend = Recorder()
    tier = AiocacheTier(backend, expire_after=30)
    await tier.drop(GROUP, 900.0, None)
    await tier.save(sample(KEY, groups=GROUP, began=1000.0))
    backend.spoil("group", b"?")
    assert await tier.load(KEY) == ()
    await tier.drop(GROUP, 1001.0, KEY)
    await tier.save(sample(KEY, groups=GROUP, began=1001.0))
    assert [stored.began for stored in await tier.load(KEY)] == [1001.0]


@pytest.mark.parametrize("failure", [ConnectionRefusedError("no"), TimeoutError(), LookupError("the client's own")])
async def test_whatever_the_backend_raises_is_one_error(failure: Exception) -> None:
    backend = Recorder()
    tier = AiocacheTier(backend, expire_after=30)
    await tier.save(sample(KEY))
    backend.failure = failure
    for call in (tier.load(KEY), tier.save(sample(KEY)), tier.drop(GROUP, 1001.0, None)):
        with pytest.raises(TierUnavailable, match=type(failure).__name__):
            await call
    backend.failure = None
    assert len(await tier.load(KEY)) == 1


async def test_behind_unreadable_purges_nothing_is_found_until_the_next_one() -> None:
    backend = Recorder()
    tier = AiocacheTier(backend, expire_after=30)
    await tier.purge(("everything",), 900.0, hard=False)
    await tier.save(sample(KEY, began=1000.0))
    backend.spoil("purges", b"?")
    assert await tier.load(KEY) == ()
    await tier.purge(("prefix", "api", "/v9"), 1001.0, hard=False)
    assert await tier.load(KEY) == ()
    await tier.save(sample(KEY, began=1001.0))
    assert [stored.began for stored in await tier.load(KEY)] == [1001.0]
    assert backend.ttls["purges"] == 60
