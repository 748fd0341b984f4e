"""What every tier behind memory must do; a subclass gives the fixture `tier` and pytest runs all of it."""

import asyncio
from typing import Protocol

import pytest
from stores.samples import sample, variant

from gateway.ports import SecondTier
from gateway.rfc9111.stored import StoredResponse, Terms
from gateway.stores.memory import VARIANTS

KEY = "api /v1/products/1"
OTHER = "api /v1/products/1?offers"
GROUP = ("api everyone /v1/products/1",)


class Keeping(Protocol):
    """What every tier can do, whatever outdates what it holds."""

    async def load(self, key: str) -> tuple[StoredResponse, ...]:
        """As `ports.SecondTier`."""

    async def save(self, stored: StoredResponse) -> None:
        """As `ports.SecondTier`."""


class KeepingContract:
    """Inherit as `TestX` and define the fixture `tier`: an empty one for each test. Times may be wrong by `near`."""

    near = 0.0

    async def test_nothing_is_found_where_nothing_was_saved(self, tier: Keeping) -> None:
        await tier.save(sample(OTHER))
        assert await tier.load(KEY) == ()

    async def test_what_was_saved_is_found_whole(self, tier: Keeping) -> None:
        terms = Terms(
            lifetime=1.5,
            heuristic=2.5,
            no_cache=True,
            must_revalidate=True,
            stale_while_revalidate=3.5,
            stale_if_error=4.5,
            immutable=True,
            date=5.5,
        )
        stored = sample(
            KEY, body=bytes(range(256)), head=b"X-Raw: \xff\r\n", etag='"\udcff"', groups=GROUP, terms=terms
        )
        await tier.save(stored)
        [found] = await tier.load(KEY)
        assert (found.key, found.status, found.reason) == (KEY, 200, "OK")
        assert (found.body, found.head, found.etag) == (stored.body, stored.head, stored.etag)
        assert (found.began, found.received) == pytest.approx((1000.0, 1001.0), abs=self.near)
        assert found.initial_age == 1.0
        assert (found.terms, found.groups, found.outdated) == (stored.terms, GROUP, False)

    async def test_variants_live_side_by_side_most_recently_received_first(self, tier: Keeping) -> None:
        for language, began in (("de", 1000.0), ("fr", 1002.0), ("en", 1001.0)):
            await tier.save(sample(KEY, selecting=variant(language), began=began))
        assert [found.selecting for found in await tier.load(KEY)] == [variant("fr"), variant("en"), variant("de")]

    async def test_a_variant_replaces_its_own(self, tier: Keeping) -> None:
        await tier.save(sample(KEY, body=b"old", selecting=variant("de")))
        await tier.save(sample(KEY, body=b"new", selecting=variant("de"), began=1001.0))
        assert [found.body for found in await tier.load(KEY)] == [b"new"]

    async def test_one_that_began_earlier_replaces_nothing(self, tier: Keeping) -> None:
        await tier.save(sample(KEY, body=b"new", began=1001.0, received=1002.0))
        await tier.save(sample(KEY, body=b"late", began=1000.0, received=1003.0))
        assert [found.body for found in await tier.load(KEY)] == [b"new"]

    async def test_variants_saved_at_once_all_stay(self, tier: Keeping) -> None:
        await asyncio.gather(*(tier.save(sample(KEY, selecting=variant(str(n)))) for n in range(20)))
        assert len(await tier.load(KEY)) == 20

    async def test_the_least_recently_received_variants_go_beyond_the_limit(self, tier: Keeping) -> None:
        for n in range(VARIANTS + 2):
            await tier.save(sample(KEY, selecting=variant(str(n)), began=1000.0 + n))
        found = await tier.load(KEY)
        assert [stored.began for stored in found] == pytest.approx(
            [1000.0 + n for n in range(VARIANTS + 1, 1, -1)], abs=self.near
        )


class SecondTierContract(KeepingContract):
    """The same for a tier that is told by `drop` and `purge`."""

    async def test_a_drop_outdates_what_began_before_it_in_its_group(self, tier: SecondTier) -> None:
        await tier.save(sample(KEY, groups=GROUP, began=1000.0))
        await tier.save(sample(OTHER, groups=GROUP, began=1001.0))
        await tier.save(sample("api /elsewhere", groups=("elsewhere",), began=1000.0))
        await tier.drop(GROUP, 1001.0, None)
        assert await tier.load(KEY) == ()
        assert len(await tier.load(OTHER)) == 1
        assert len(await tier.load("api /elsewhere")) == 1

    async def test_a_drop_spares_the_key_to_keep(self, tier: SecondTier) -> None:
        for key in (KEY, OTHER):
            await tier.save(sample(key, groups=GROUP))
        await tier.drop(GROUP, 2000.0, KEY)
        assert len(await tier.load(KEY)) == 1
        assert await tier.load(OTHER) == ()

    async def test_a_later_drop_does_not_bring_back_what_an_earlier_one_outdated(self, tier: SecondTier) -> None:
        await tier.save(sample(KEY, groups=GROUP, began=1000.0))
        await tier.drop(GROUP, 1001.0, OTHER)
        await tier.drop(GROUP, 1002.0, KEY)
        assert await tier.load(KEY) == ()

    async def test_of_drops_at_once_the_latest_holds(self, tier: SecondTier) -> None:
        await tier.save(sample(KEY, groups=GROUP, began=1005.0))
        await asyncio.gather(*(tier.drop(GROUP, before, None) for before in (1010.0, 1001.0, 1002.0)))
        assert await tier.load(KEY) == ()

    async def test_one_group_of_several_is_enough(self, tier: SecondTier) -> None:
        await tier.save(sample(KEY, groups=("tag:a", "tag:b")))
        await tier.drop(("tag:b", "tag:c"), 2000.0, None)
        assert await tier.load(KEY) == ()

    async def test_what_began_before_a_drop_is_not_found_though_saved_after_it(self, tier: SecondTier) -> None:
        await tier.drop(GROUP, 1001.0, None)
        await tier.save(sample(KEY, groups=GROUP, began=1000.0))
        assert await tier.load(KEY) == ()

    async def test_an_outdated_response_is_not_found(self, tier: SecondTier) -> None:
        stored = sample(KEY)
        stored.outdated = True
        await tier.save(stored)
        assert await tier.load(KEY) == ()

    async def test_an_outdated_response_takes_its_own_variant_out_and_no_other(self, tier: SecondTier) -> None:
        for language in ("de", "fr"):
            await tier.save(stored := sample(KEY, selecting=variant(language)))
        await tier.save(stored.replaced(outdated=True))
        assert [found.selecting for found in await tier.load(KEY)] == [variant("de")]
        await tier.save(sample(KEY, selecting=variant("de"), began=1001.0, body=b"new"))
        assert [found.body for found in await tier.load(KEY)] == [b"new"]

    async def test_an_outdated_response_leaves_what_began_later_in_its_place(self, tier: SecondTier) -> None:
        await tier.save(sample(KEY, began=1001.0))
        await tier.save(sample(KEY).replaced(outdated=True))
        assert [found.began for found in await tier.load(KEY)] == [1001.0]

    async def test_what_was_taken_out_can_come_again(self, tier: SecondTier) -> None:
        for outdated in (False, True, False):
            await tier.save(sample(KEY).replaced(outdated=outdated))
        assert len(await tier.load(KEY)) == 1

    async def test_a_response_fetched_after_a_drop_is_found(self, tier: SecondTier) -> None:
        await tier.save(sample(KEY, body=b"old", groups=GROUP))
        await tier.drop(GROUP, 1001.0, None)
        await tier.save(sample(KEY, body=b"new", groups=GROUP, began=1001.0))
        assert [found.body for found in await tier.load(KEY)] == [b"new"]

    @pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
    @pytest.mark.parametrize(
        "selection", [("everything",), ("prefix", "api", "/v1"), ("route", "api", "", "", "/v1/{x}")], ids="-".join
    )
    async def test_a_purge_takes_what_its_selection_does_and_began_before(
        self, tier: SecondTier, selection: tuple[str, ...], hard: bool
    ) -> None:
        for key, began in (("api\n\n/v1/a", 1000.0), ("api\n\n/v1/b", 1001.0)):
            await tier.save(sample(key, began=began))
        await tier.purge(selection, 1001.0, hard=hard)
        assert [stored.purged for stored in await tier.load("api\n\n/v1/a")] == ([] if hard else [1001.0])
        assert [stored.is_purged for stored in await tier.load("api\n\n/v1/b")] == [False]

    async def test_a_purge_leaves_what_its_selection_does(self, tier: SecondTier) -> None:
        await tier.save(sample("api\n\n/v2"))
        await tier.purge(("prefix", "api", "/v1"), 2000.0, hard=True)
        assert [stored.is_purged for stored in await tier.load("api\n\n/v2")] == [False]

    async def test_what_began_before_a_purge_is_purged_though_saved_after_it(self, tier: SecondTier) -> None:
        await tier.purge(("everything",), 1001.0, hard=True)
        await tier.save(sample(KEY))
        assert await tier.load(KEY) == ()

    async def test_a_soft_purge_does_not_bring_back_what_a_hard_one_removed(self, tier: SecondTier) -> None:
        await tier.save(sample("api\n\n/v1"))
        await tier.purge(("prefix", "api", "/v1"), 1001.0, hard=True)
        for at in range(100):
            await tier.purge(("prefix", "api", f"/{at}"), 1002.0 + at, hard=False)
        await tier.purge(("everything",), 2000.0, hard=False)
        assert await tier.load("api\n\n/v1") == ()

    async def test_purges_at_once_all_hold(self, tier: SecondTier) -> None:
        for number in range(20):
            await tier.save(sample(f"api\n\n/{number}/x"))
        await asyncio.gather(*(tier.purge(("prefix", "api", f"/{n}/"), 2000.0, hard=True) for n in range(20)))
        assert not any([await tier.load(f"api\n\n/{number}/x") for number in range(20)])
