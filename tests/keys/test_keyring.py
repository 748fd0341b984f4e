"""The ring of keys: what is valid when, what orders do and refuse, and that memory never runs ahead of the disk."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from keys.rings import DAY, Disk, Ring, Shelf, create, digest, file, loaded, overlap
from support.clock import FakeClock
from support.config import KEY, plan
from support.polling import PATIENCE

from gateway.admission.minting import is_whole
from gateway.admission.snapshot import Rate, Scope
from gateway.config.compile import snapshot
from gateway.errors import BadStart
from gateway.keys.database import FILE, MadeKey
from gateway.keys.directory import Directory
from gateway.keys.orders import Creation, Fault, Refused, Unavailable
from gateway.keys.planning import Planned

Store = Disk | Shelf


@pytest.fixture(params=["disk", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Where made keys are kept: every kind of it."""
    return Disk(tmp_path) if request.param == "disk" else Shelf(request.getfixturevalue("redis_url"))


@pytest.fixture
async def ring(store: Store, tmp_path: Path) -> AsyncIterator[Ring]:
    ring = await Ring.open(store, FakeClock(), loaded(tmp_path))
    yield ring
    await ring.close()


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Ring]:
    ring = await Ring.open(Disk(tmp_path), FakeClock(), loaded(tmp_path))
    yield ring
    await ring.close()


@dataclass
class Following:
    """Opens the next processes on the same store, with another config."""

    store: Store
    folder: Path
    opened: list[Ring]

    async def __call__(self, ring: Ring, **changes: object) -> Ring:
        await ring.close()
        self.opened.append(await Ring.open(self.store, ring.clock, loaded(self.folder, **changes)))
        return self.opened[-1]


@pytest.fixture
async def again(store: Store, tmp_path: Path) -> AsyncIterator[Following]:
    following = Following(store, tmp_path, [])
    yield following
    for ring in following.opened:
        await ring.close()


async def test_a_made_key_holds_at_once_and_after_a_restart(ring: Ring, again: Following) -> None:
    planned = await ring.keyring.create(create(id="shop", plan="pro"))
    assert is_whole(planned.secret)
    assert ring.holds(planned.secret)
    assert planned.key is not None
    assert (planned.key.number, planned.key.hint) == (1, f"rk_live_…{planned.secret[-4:]}")
    assert [account.id for account in ring.told] == ["shop"]
    following = await again(ring)
    assert following.holds(planned.secret)
    account = following.keyring[digest(planned.secret)]
    assert (account.id, account.organization, account.plan.name, account.holder) == ("shop", "shop", "pro", "shop")


async def test_an_account_of_its_own_is_as_described(ring: Ring) -> None:
    order = create(id="shop", organization="acme", throttle="10/s", scopes=["lookup"], expires="2026-02-01", test=True)
    account = ring.keyring[digest((await ring.keyring.create(order)).secret)]
    assert (account.organization, account.plan.grant, account.test) == ("acme", 2000, True)
    assert account.plan.throttle is not None
    assert account.plan.throttle.rate == Rate(10, 1.0)
    assert account.scopes == {Scope.lookup}
    assert account.expires == 1_769_904_000.0
    assert ring.keyring.account("shop") is not None


async def test_a_key_for_an_account_of_the_config(ring: Ring) -> None:
    planned = await ring.keyring.create(create(id="alpha"))
    assert ring.keyring[digest(planned.secret)] is ring.keyring.account("alpha")
    tested = await ring.keyring.create(create(id="alpha", test=True))
    assert tested.secret.startswith("rk_test_")
    assert ring.keyring[digest(tested.secret)].test
    assert ring.keyring[digest(KEY)].id == "alpha"
    assert len(ring.keyring) == len(set(ring.keyring)) == 3


async def test_the_config_wins(ring: Ring, again: Following) -> None:
    """Its key, though the same was made, and its account, though one of that id was made."""
    planned = await ring.keyring.create(create(id="shop", plan="free"))
    keys = [{"id": "theirs", "key": planned.secret}, {"id": "shop", "plan": "pro", "key": ""}]
    following = await again(ring, keys=keys)
    assert following.keyring[digest(planned.secret)].id == "theirs"
    other = await following.keyring.create(create(id="shop"))
    assert following.keyring[digest(other.secret)].plan.name == "pro"
    await following.keyring.rotate("shop", overlap("0s"))
    assert not following.holds(other.secret)
    assert following.keyring[digest(planned.secret)].id == "theirs"


async def test_a_key_of_an_account_that_the_config_dropped_stands_for_nobody(ring: Ring, again: Following) -> None:
    planned = await ring.keyring.create(create(id="alpha"))
    following = await again(ring, keys=[])
    assert not following.holds(planned.secret)
    assert following.keyring.account("alpha") is None
    with pytest.raises(Refused, match="no such account"):
        await following.keyring.rotate("alpha", overlap("1h"))
    # Whoever takes the name later must not get the old key's holder in.
    await following.keyring.create(create(id="alpha", plan="free"))
    assert not following.holds(planned.secret)
    last = await again(following, keys=[])
    assert not last.holds(planned.secret)


async def test_a_dropped_account_can_still_be_revoked(ring: Ring, again: Following) -> None:
    planned = await ring.keyring.create(create(id="alpha"))
    following = await again(ring, keys=[])
    assert [key.number for key in (await following.keyring.revoke("alpha")).revoked] == [1]
    assert following.told == []
    last = await again(following)
    assert not last.holds(planned.secret)


async def test_a_plan_that_is_gone_grants_nothing(ring: Ring, again: Following) -> None:
    planned = await ring.keyring.create(create(id="shop", plan="free"))
    following = await again(ring, plans={"pro": plan(2000)})
    assert following.keyring[digest(planned.secret)].plan.grant == 0


async def test_rotation_lets_the_others_go_on_for_a_while(ring: Ring, again: Following) -> None:
    old = (await ring.keyring.create(create(id="alpha"))).secret
    tested = (await ring.keyring.create(create(id="alpha", test=True))).secret
    planned = await ring.keyring.rotate("alpha", overlap("24h"))
    assert [key.number for key in planned.ending] == [1]
    assert all(map(ring.holds, (old, planned.secret, tested, KEY)))
    ring.clock.advance(DAY - 1)
    assert ring.holds(old)
    following = await again(ring)
    assert following.holds(old)
    ring.clock.advance(1)
    assert [following.holds(key) for key in (old, planned.secret, tested, KEY)] == [False, True, True, True]


async def test_a_further_rotation_does_not_lengthen_an_overlap(ring: Ring) -> None:
    first = (await ring.keyring.create(create(id="alpha"))).secret
    await ring.keyring.rotate("alpha", overlap("1h"))
    planned = await ring.keyring.rotate("alpha", overlap("24h"))
    assert [key.number for key in planned.ending] == [2]
    ring.clock.advance(3600)
    assert not ring.holds(first)


async def test_rotation_without_overlap_revokes_at_once(ring: Ring) -> None:
    old = (await ring.keyring.create(create(id="alpha"))).secret
    planned = await ring.keyring.rotate("alpha", overlap("0s"))
    assert digest(old) not in ring.keyring
    assert ring.holds(planned.secret)
    ring.clock.wall_now -= 3600
    assert digest(old) not in ring.keyring


async def test_rotation_of_test_keys_alone_makes_a_test_key(ring: Ring) -> None:
    await ring.keyring.create(create(id="alpha", test=True))
    assert (await ring.keyring.rotate("alpha", overlap("1h"))).secret.startswith("rk_test_")


@pytest.mark.parametrize("by", ["account", "number", "hint", "hint in ASCII"])
async def test_revoking_holds_at_once_and_after_a_restart(ring: Ring, again: Following, by: str) -> None:
    planned = await ring.keyring.create(create(id="shop"))
    assert planned.key is not None
    hint = planned.key.hint
    name = {"account": "shop", "number": "1", "hint": hint, "hint in ASCII": hint.replace("…", "...")}[by]
    ring.told.clear()
    assert [key.number for key in (await ring.keyring.revoke(name)).revoked] == [1]
    assert digest(planned.secret) not in ring.keyring
    assert [account.id for account in ring.told] == ["shop"]
    assert (await ring.keyring.revoke(name)).revoked == ()
    following = await again(ring)
    assert not following.holds(planned.secret)


async def test_revoking_one_key_leaves_the_others(ring: Ring) -> None:
    keys = [(await ring.keyring.create(create(id="shop"))).secret for _ in range(3)]
    await ring.keyring.revoke("2")
    assert list(map(ring.holds, keys)) == [True, False, True]
    await ring.keyring.revoke("shop")
    assert list(map(ring.holds, keys)) == [False, False, False]


async def test_an_account_without_valid_keys_may_be_described_anew(ring: Ring) -> None:
    first = await ring.keyring.create(create(id="shop", plan="pro", throttle="5/s", scopes="lookup"))
    await ring.keyring.revoke("shop")
    await ring.keyring.create(create(id="shop"))
    unchanged = ring.keyring.account("shop")
    await ring.keyring.revoke("shop")
    second = await ring.keyring.create(create(id="shop", plan="free"))
    account = ring.keyring[digest(second.secret)]
    assert unchanged is not None
    assert unchanged.plan.name == "pro"
    assert (account.plan.name, account.scopes) == ("free", frozenset([Scope.lookup]))
    assert account.plan.throttle is not None
    assert not ring.holds(first.secret)


async def test_an_expired_account_can_be_made_anew_and_its_old_keys_stay_invalid(ring: Ring) -> None:
    """What is not said stays: an account with a plan must not become an unlimited one by the way."""
    first = await ring.keyring.create(create(id="shop", plan="pro", expires="2026-01-16"))
    ring.clock.advance(DAY)
    with pytest.raises(Refused, match="would have expired"):
        await ring.keyring.create(create(id="shop"))
    with pytest.raises(Refused, match="no valid key"):
        await ring.keyring.rotate("shop", overlap("1h"))
    second = await ring.keyring.create(create(id="shop", expires="2026-03-01"))
    assert ring.keyring[digest(second.secret)].plan.name == "pro"
    assert [ring.holds(first.secret), ring.holds(second.secret)] == [False, True]


REFUSED = {
    "described though configured": (create(id="alpha", plan="pro"), Fault.conflict, "is in the config"),
    "described though it has keys": (create(id="shop", plan="pro"), Fault.conflict, "has valid keys"),
    "no such plan": (create(id="new", plan="prp"), Fault.unknown, "no plan `prp`, did you mean `pro`"),
    "no such organization": (create(id="new", organization="acne"), Fault.unknown, "no organization `acne`"),
    "an organization's name": (create(id="acme"), Fault.conflict, "an organization has the name"),
    "a former name": (create(id="before"), Fault.conflict, "is what a key of the config was"),
    "one balance, one plan": (create(id="n", organization="shared", plan="pro"), Fault.conflict, "one balance"),
    "over before it begins": (create(id="new", expires="2020-01-01"), Fault.invalid, "would have expired"),
}


@pytest.mark.parametrize(("order", "fault", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_made_is_refused(ring: Ring, order: Creation, fault: Fault, words: str) -> None:
    await ring.keyring.create(create(id="shop"))
    with pytest.raises(Refused, match=words) as caught:
        await ring.keyring.create(order)
    assert caught.value.fault is fault
    assert len(await ring.all()) == 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("none", Fault.unknown),
        ("99", Fault.unknown),
        ("9" * 40, Fault.unknown),
        ("٣", Fault.unknown),
        ("rk_live_…", Fault.unknown),
        ("alpha", Fault.conflict),
        ("1", Fault.conflict),
    ],
    ids=[
        "no account",
        "no number",
        "no integer",
        "no ASCII digit",
        "no hint",
        "in the config",
        "an account and a number",
    ],
)
async def test_what_cannot_be_revoked_is_refused(ring: Ring, name: str, fault: Fault) -> None:
    made = (await ring.keyring.create(create(id="1"))).secret
    with pytest.raises(Refused) as caught:
        await ring.keyring.revoke(name)
    assert caught.value.fault is fault
    assert ring.holds(made)


async def test_a_hint_of_several_keys_revokes_none(ring: Ring) -> None:
    for name in (b"a", b"b"):
        key = MadeKey(0, name, "alpha", "rk_live_…same", False, 0.0)
        await ring.made.change(lambda _, key=key: Planned("alpha", 0.0, key=key))  # type: ignore[misc]
    with pytest.raises(Refused, match="several keys have this hint: say one's number, 1, 2"):
        await ring.keyring.revoke("rk_live_…same")
    await ring.keyring.revoke("1")
    assert [key.number for key in (await ring.keyring.revoke("rk_live_…same")).revoked] == [2]


async def test_rotation_needs_a_key(ring: Ring) -> None:
    with pytest.raises(Refused, match="`alpha` has no valid key that was made here"):
        await ring.keyring.rotate("alpha", overlap("1h"))


async def test_a_change_that_is_not_written_does_not_hold(disk: Ring) -> None:
    planned = await disk.keyring.create(create(id="shop"))
    disk.told.clear()
    file(disk).execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="readonly"):
        await disk.keyring.revoke("shop")
    with pytest.raises(Unavailable, match="readonly"):
        await disk.keyring.create(create(id="shop"))
    assert disk.holds(planned.secret)
    assert (len(disk.keyring), disk.told) == (2, [])


async def test_a_change_holds_though_nobody_waits_for_it(ring: Ring) -> None:
    """Whoever asked has hung up: what is on the disk must hold in memory too."""
    told = asyncio.Event()
    ring.keyring.listen(lambda _: told.set())
    waiting = asyncio.create_task(ring.keyring.create(create(id="shop")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(told.wait(), PATIENCE)
    assert [account.id for account in ring.told] == ["shop"]
    assert len(ring.keyring) == 2


async def test_many_at_once_are_each_whole(ring: Ring) -> None:
    made = await asyncio.gather(*[ring.keyring.create(create(id="shop")) for _ in range(50)])
    assert len({planned.secret for planned in made}) == 50
    assert sorted(planned.key.number for planned in made if planned.key) == list(range(1, 51))
    assert all(ring.holds(planned.secret) for planned in made)


async def test_one_of_two_who_describe_the_same_account_is_refused(ring: Ring) -> None:
    orders = [create(id="shop", plan=name) for name in ("pro", "free")]
    first, second = await asyncio.gather(*map(ring.keyring.create, orders), return_exceptions=True)
    assert isinstance(second, Refused)
    assert not isinstance(first, BaseException)
    assert ring.keyring[digest(first.secret)].plan.name == "pro"


async def test_another_config_finds_the_made_keys_under_its_own_plans(ring: Ring, tmp_path: Path) -> None:
    made = await ring.keyring.create(create(id="shop", plan="free"))
    other = loaded(tmp_path, plans={"pro": plan(2000), "free": plan(99)}, keys=[])
    read = await ring.keyring.reread(snapshot(other).keys, Directory(other))
    assert ring.keyring[digest(made.secret)].plan.grant == 10
    assert ring.keyring.adopt(read)
    assert ring.keyring[digest(made.secret)].plan.grant == 99
    assert digest(KEY) not in ring.keyring


@pytest.mark.parametrize("change", ["created", "revoked"])
async def test_a_key_that_changed_after_the_rereading_is_not_lost_with_it(ring: Ring, change: str) -> None:
    """The rereading was adopted, and a key made meanwhile was gone, one revoked meanwhile there again."""
    keys, directory = snapshot(ring.config).keys, Directory(ring.config)
    former = await ring.keyring.create(create(id="shop"))
    read = await ring.keyring.reread(keys, directory)
    if change == "created":
        changed = await ring.keyring.create(create(id="shop"))
    else:
        changed = former
        await ring.keyring.revoke("shop")
    assert not ring.keyring.adopt(read)
    assert ring.keyring.adopt(await ring.keyring.reread(keys, directory))
    assert (digest(changed.secret) in ring.keyring) == (change == "created")


@pytest.mark.parametrize("column", ["throttle", "scopes"])
async def test_an_account_that_cannot_be_read_is_one_clear_line(disk: Ring, column: str) -> None:
    await disk.keyring.create(create(id="shop"))
    file(disk).execute(f"UPDATE accounts SET {column} = 'x'")
    with pytest.raises(BadStart, match="cannot be read"):
        await disk.configure(disk.config)


async def test_no_secret_is_written_or_shown(disk: Ring, tmp_path: Path) -> None:
    planned = await disk.keyring.create(create(id="shop"))
    secret = planned.secret
    assert secret not in repr(planned)
    assert secret not in str(await disk.keyring.listed(0, -1))
    assert secret.encode() not in (tmp_path / FILE).read_bytes()


@pytest.mark.slow
async def test_a_hundred_thousand_keys_cost_one_lookup_each(disk: Ring, tmp_path: Path) -> None:
    """Counted, not timed: a key more writes its own pages alone, whatever else is there."""
    db = file(disk)
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO keys VALUES (NULL, ?, ?, 'rk_live_…aaaa', 0, 0.0, NULL, NULL)",
        ((number.to_bytes(32, "big"), f"account-{number % 50_000}") for number in range(100_000)),
    )
    db.executemany(
        "INSERT INTO accounts VALUES (?, NULL, 'pro', '10/s', 'lookup refresh', NULL, 0.0)",
        ((f"account-{number}",) for number in range(50_000)),
    )
    db.execute("COMMIT")
    await disk.configure(disk.config)
    assert len(disk.keyring) == 100_001
    assert disk.keyring[(99_999).to_bytes(32, "big")].id == "account-49999"
    steps: list[None] = []
    db.set_progress_handler(lambda: steps.append(None), 100)
    await disk.keyring.create(create(id="account-7"))
    await disk.keyring.rotate("account-8", overlap("24h"))
    await disk.keyring.revoke("account-9")
    await disk.keyring.revoke("500")
    assert len(steps) < 50


async def test_changes_wait_while_the_ring_is_held(ring: Ring) -> None:
    with ring.keyring.held():
        making = asyncio.create_task(ring.keyring.create(create(id="shop")))
        read = await ring.keyring.reread(snapshot(ring.config).keys, Directory(ring.config))
        assert ring.keyring.adopt(read)
        assert not making.done()
    assert ring.holds((await making).secret)
