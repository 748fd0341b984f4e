"""Who asks: what is remembered for one is another's only where both would be told the same, and nobody's key is."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from admission.snapshots import ACCEPT, TTL, digest, make_snapshot, public_route, seed_route
from fastlane.laned import ACCOUNTS, ADDRESS, ALPHA, BRAVO, CHARLIE, Laned, bearer, laned
from fastlane.parsing import head, parsed
from support.in_process import Scripted

from gateway.admission.snapshot import Account, CachePolicy, KeySource, Route, Scope, Share
from gateway.fastlane.heads import Heads, stripped
from gateway.ledger.balance import Balance
from gateway.ledger.seat import Seat

pytestmark = pytest.mark.slow

LINE = "GET /v1/products/1"
PROXY = "198.51.100.7"
DELTA = "rk_live_delta"


def shared(share: Share) -> Route:
    return seed_route(cache=replace(TTL, share=share))


def heads_of(*routes: Route, trusted: tuple[str, ...] = ()) -> Heads:
    keys = {digest(key.encode()): account for key, account in ACCOUNTS.items()}
    snapshot = make_snapshot(*routes, keys=keys, trusted_proxies=trusted)
    return Heads(snapshot, lambda account: Seat(account, Balance(), None, None), 1 << 20)


def mark(heads: Heads, *lines: str, peer: str = ADDRESS) -> bytes:
    data = head(LINE, *lines)
    heads.learn(peer, data, parsed(data))
    who = heads.known(peer).get(stripped(data[data.find(b"\r\n") :]).lines)
    assert who is not None
    return who.mark


@pytest.mark.parametrize(
    ("share", "with_colleagues", "with_all"),
    [(Share.everyone, True, True), (Share.organization, True, False), (Share.key, False, False)],
)
@pytest.mark.parametrize("line", [bearer, "X-Api-Key: {}".format], ids=["bearer", "field"])
def test_who_shares_a_mark(share: Share, with_colleagues: bool, with_all: bool, line: Callable[[str], str]) -> None:
    """The narrowest circle of any route counts, as a mark is there before its request has one."""
    heads = heads_of(shared(Share.everyone), shared(share))
    alpha, bravo, charlie = [mark(heads, line(key)) for key in ACCOUNTS]
    assert (alpha == bravo, alpha == charlie) == (with_colleagues, with_all)
    assert mark(heads) not in (alpha, bravo, charlie)
    assert mark(heads, line(ALPHA), "User-Agent: other") != alpha


def test_any_other_field_makes_another_mark() -> None:
    heads = heads_of(shared(Share.everyone))
    unlike = [[], ["A: b"], ["A: d"], ["A: b", "A: d"], ["A: d", "A: b"], ["A: b, d"], ["A: b", "C: d"], ["AA: b"]]
    marks = {mark(heads, bearer(ALPHA), *lines) for lines in [*unlike, ["A:"], ["A: b\xe9"], ["A: b\xea"], ["A: bC:d"]]}
    assert len(marks) == len(unlike) + 4
    assert mark(heads, bearer(ALPHA), "A:  b ", "C:d") == mark(heads, bearer(ALPHA), "A: b", "C: d")


def test_fields_that_are_new_in_each_request_make_no_other_mark() -> None:
    heads = heads_of(shared(Share.everyone))
    assert mark(heads, bearer(ALPHA)) == mark(heads, "X-Request-Id: 1", bearer(BRAVO), "traceparent: 2")


def test_behind_a_proxy_that_is_believed_the_same_head_is_another() -> None:
    heads = heads_of(shared(Share.everyone), trusted=("198.51.100.0/24",))
    assert mark(heads, bearer(ALPHA), peer=PROXY) != mark(heads, bearer(ALPHA))
    data = head(LINE, bearer(BRAVO))
    heads.learn(PROXY, data, parsed(data))
    assert heads.known(ADDRESS).get(data[data.find(b"\r\n") :]) is None


async def test_what_one_account_has_asked_for_needs_no_preparing_for_another(tmp_path: Path) -> None:
    """1,000 keys and 10,000 URLs are 11,000 things to remember, and each is charged to its own account."""
    async with laned(tmp_path, shared(Share.everyone)) as lanes:
        for key in ACCOUNTS:
            await lanes.hit(head(LINE, bearer(key)))
        asked, charged = lanes.preparer.times, [lanes.charged(key) for key in ACCOUNTS]
        for key in (BRAVO, CHARLIE, BRAVO):
            assert await lanes.ask(head(LINE, bearer(key))) is not None
        assert lanes.preparer.times == asked
        assert [lanes.charged(key) - before for key, before in zip(ACCOUNTS, charged, strict=True)] == [0, 2, 1]


@pytest.mark.parametrize("share", [Share.organization, Share.key])
async def test_what_is_not_shared_is_not_served_to_others(tmp_path: Path, share: Share) -> None:
    async with laned(tmp_path, shared(share)) as lanes:
        for number, key in enumerate(ACCOUNTS):
            lanes.way.upstream.always = Scripted((b'{"for":%d}' % number,), fields={"Content-Type": "application/json"})
            await lanes.ask_full(head(LINE, bearer(key)))
        told = [await lanes.ask(head(LINE, bearer(key))) for key in ACCOUNTS]
        bodies = [got.body for got in told if got is not None]
        second = 0 if share is Share.organization else 1
        assert bodies == [b'{"for":0}', b'{"for":%d}' % second, b'{"for":2}']


async def test_an_account_that_moves_takes_nothing_with_it(tmp_path: Path) -> None:
    """What it asks for in its new organization is not remembered for those in the former one."""
    async with laned(tmp_path, shared(Share.organization)) as lanes:
        for key in (ALPHA, BRAVO):
            assert await lanes.hit(head(LINE, bearer(key))) is not None
        lanes.changed(ALPHA, replace(ACCOUNTS[ALPHA], organization="umbrella"), ACCOUNTS[ALPHA])
        theirs = "GET /v1/products/2"
        await lanes.ask_full(head(theirs, bearer(CHARLIE)))
        assert await lanes.ask(head(theirs, bearer(ALPHA))) is None
        assert await lanes.ask(head(theirs, bearer(BRAVO))) is None


TESTED = ALPHA.replace("live", "test")
REFUSED = {
    "no-key": ([], "", 401),
    "unknown": ([bearer("rk_live_nobody")], "", 401),
    "empty": (["Authorization:"], "", 401),
    "two-authorizations": ([bearer(ALPHA), bearer(ALPHA)], "", 400),
    "two-keys": ([bearer(ALPHA), f"X-Api-Key: {BRAVO}"], "", 400),
    "known-and-unknown": ([bearer(ALPHA), "X-Api-Key: rk_live_nobody"], "", 400),
    "basic-and-bearer": ([bearer(ALPHA), f"Authorization: Basic {b64encode(BRAVO.encode()).decode()}"], "", 400),
    "another-in-the-query": ([bearer(ALPHA)], f"?token={BRAVO}", 400),
    "another-in-a-new-field": ([bearer(ALPHA), f"X-Request-Id: {BRAVO}"], "", 400),
    "unknown-in-a-new-field": ([f"X-Request-Id: {BRAVO}x"], "", 401),
    "expired": ([bearer("rk_live_expired")], "", 401),
    "without-the-scope": ([bearer("rk_live_refresher")], "", 403),
}
MORE = {
    TESTED: ACCOUNTS[ALPHA],
    "rk_live_expired": Account("expired", "acme", ACCOUNTS[ALPHA].plan, "expired", expires=1_768_478_399.0),
    "rk_live_refresher": replace(
        ACCOUNTS[ALPHA], id="refresher", holder="refresher", scopes=frozenset({Scope.refresh})
    ),
}
EVERYWHERE = (*ACCEPT, KeySource("query", "token"), KeySource("header", "X-Request-Id"))


@pytest.mark.parametrize(("lines", "query", "status"), REFUSED.values(), ids=REFUSED)
async def test_keys_that_are_refused_are_not_served(tmp_path: Path, lines: list[str], query: str, status: int) -> None:
    """However often they ask, and whatever is known by now of who else does."""
    accept = EVERYWHERE if query or "X-Request-Id" in str(lines) else ACCEPT
    async with laned(tmp_path, shared(Share.everyone), accounts={**ACCOUNTS, **MORE}, accept=accept) as lanes:
        for key in (ALPHA, BRAVO):
            await lanes.hit(head(LINE, bearer(key)))
            await lanes.hit(head(LINE + "?token", bearer(key)))
        spent = lanes.charged(ALPHA), lanes.charged(BRAVO)
        data = head(LINE + query, *lines)
        for _ in range(3):
            assert await lanes.ask(data) is None
            assert (await lanes.ask_full(data)).status == status
        assert (lanes.charged(ALPHA), lanes.charged(BRAVO)) == spent


async def test_a_test_key_stays_with_the_full_lane(tmp_path: Path) -> None:
    async with laned(tmp_path, shared(Share.everyone), accounts={**ACCOUNTS, **MORE}) as lanes:
        assert await lanes.hit(head(LINE, bearer(ALPHA))) is not None
        assert await lanes.hit(head(LINE, bearer(TESTED))) is None


KEYS_IN_THE_QUERY = [f"?token={ALPHA}", f"?t%6Fken={ALPHA}", f"?a=b&token={ALPHA}", "?token"]


@pytest.mark.parametrize("query", KEYS_IN_THE_QUERY)
@pytest.mark.parametrize("lines", [[], [bearer(ALPHA)]], ids=["alone", "and-in-a-field"])
async def test_keys_in_the_query_stay_with_the_full_lane(tmp_path: Path, query: str, lines: list[str]) -> None:
    async with laned(tmp_path, shared(Share.everyone), accept=EVERYWHERE[:-1]) as lanes:
        data = head(LINE + query, *lines)
        status = (await lanes.ask_full(data)).status
        assert status == (401 if query == "?token" and not lines else 200)
        assert await lanes.ask(data) is None
        assert await lanes.ask(head(LINE + query, bearer(BRAVO))) is None


async def test_nothing_is_learnt_where_a_new_field_may_hold_a_key(tmp_path: Path) -> None:
    async with laned(tmp_path, shared(Share.everyone), accept=EVERYWHERE) as lanes:
        assert await lanes.hit(head(LINE, bearer(ALPHA))) is None
        assert (await lanes.ask_full(head(LINE, f"X-Request-Id: {ALPHA}"))).status == 200
        assert await lanes.ask(head(LINE, f"X-Request-Id: {ALPHA}")) is None


async def test_nobody_is_served_what_is_public_and_nothing_else(tmp_path: Path) -> None:
    open_door = public_route(cache=CachePolicy())
    async with laned(tmp_path, shared(Share.everyone), open_door) as lanes:
        lanes.way.upstream.always = Scripted((b"{}",), fields={"Cache-Control": "max-age=60"})
        await lanes.hit(head(LINE, bearer(ALPHA)))
        assert await lanes.hit(head("GET /public/1")) is not None
        assert await lanes.hit(head(LINE)) is None
        # The key goes on to the upstream, which may answer by it.
        assert await lanes.hit(head("GET /public/1", bearer(ALPHA))) is None


async def served(lanes: Laned, key: str) -> tuple[bool, int]:
    """Whether the fast lane serves `key` although the full one has not been asked since, and what that says."""
    got = await lanes.ask(head(LINE, bearer(key)))
    return got is not None, (await lanes.ask_full(head(LINE, bearer(key)))).status


@pytest.fixture
async def lanes(tmp_path: Path) -> AsyncIterator[Laned]:
    """Both lanes, which have answered the account of `ALPHA` by two keys."""
    async with laned(tmp_path, shared(Share.everyone), accounts={**ACCOUNTS, DELTA: ACCOUNTS[ALPHA]}) as running:
        for key in (ALPHA, DELTA, BRAVO):
            assert await running.hit(head(LINE, bearer(key))) is not None
        yield running


async def test_a_revoked_key_is_refused_at_once_and_the_others_go_on(lanes: Laned) -> None:
    lanes.changed(ALPHA, None, ACCOUNTS[ALPHA])
    assert await served(lanes, ALPHA) == (False, 401)
    assert await served(lanes, BRAVO) == (True, 200)
    assert await served(lanes, DELTA) == (False, 200)
    assert await served(lanes, DELTA) == (True, 200)
    assert await served(lanes, ALPHA) == (False, 401)


async def test_a_rotated_key_ends_when_it_is_said_to(lanes: Laned) -> None:
    ending = replace(ACCOUNTS[ALPHA], expires=lanes.clock.wall() + 90)
    lanes.changed(ALPHA, ending, ACCOUNTS[ALPHA])
    assert await served(lanes, ALPHA) == (False, 200)
    assert await served(lanes, ALPHA) == (True, 200)
    lanes.clock.advance(89.5)
    assert await served(lanes, ALPHA) == (True, 200)
    lanes.clock.advance(0.5)
    assert await served(lanes, ALPHA) == (False, 401)


async def test_a_key_that_has_expired_is_good_again_only_if_the_clock_is_set_back(lanes: Laned) -> None:
    ending = replace(ACCOUNTS[ALPHA], expires=lanes.clock.wall() + 10)
    lanes.changed(ALPHA, ending, ACCOUNTS[ALPHA])
    await served(lanes, ALPHA)
    lanes.clock.wall_now += 10
    assert await served(lanes, ALPHA) == (False, 401)
    lanes.clock.wall_now -= 10
    assert await served(lanes, ALPHA) == (True, 200)


async def test_a_key_that_lost_its_scope_is_refused(lanes: Laned) -> None:
    lanes.changed(ALPHA, replace(ACCOUNTS[ALPHA], scopes=frozenset({Scope.refresh})), ACCOUNTS[ALPHA])
    assert await served(lanes, ALPHA) == (False, 403)
    assert await served(lanes, ALPHA) == (False, 403)


async def test_a_key_that_is_made_anew_for_another_account_is_charged_there(lanes: Laned) -> None:
    lanes.changed(ALPHA, None, ACCOUNTS[ALPHA])
    lanes.changed(ALPHA, ACCOUNTS[CHARLIE], ACCOUNTS[CHARLIE])
    assert await served(lanes, ALPHA) == (False, 200)
    spent = lanes.charged(ALPHA), lanes.charged(CHARLIE)
    assert await lanes.ask(head(LINE, bearer(ALPHA))) is not None
    assert (lanes.charged(ALPHA), lanes.charged(CHARLIE)) == (spent[0], spent[1] + 1)


async def test_an_account_that_spends_from_another_balance_is_charged_there(lanes: Laned) -> None:
    """As one that was renamed: the next request already."""
    lanes.changed(ALPHA, replace(ACCOUNTS[ALPHA], holder="renamed", former="alpha"), ACCOUNTS[ALPHA])
    assert await served(lanes, ALPHA) == (False, 200)
    before = lanes.charged(ALPHA)
    assert await served(lanes, ALPHA) == (True, 200)
    assert lanes.charged(ALPHA) == before
    assert lanes.way.ledger.accounts.balance("renamed").charged > 0


@pytest.mark.parametrize("target", ["/v1/products/1", "/v1/products/2"], ids=["asked-before", "new"])
async def test_a_key_that_is_good_no_more_spoils_nothing_for_the_others(lanes: Laned, target: str) -> None:
    """What is refused to one account is not remembered for all that share its mark."""
    await lanes.ask_full(head(f"GET {target}", bearer(BRAVO)))
    lanes.changed(ALPHA, None, ACCOUNTS[ALPHA])
    assert await lanes.ask(head(f"GET {target}", bearer(ALPHA))) is None
    assert await lanes.ask(head(f"GET {target}", bearer(BRAVO))) is not None


async def test_a_changed_account_is_learnt_anew_and_spoils_nothing(lanes: Laned) -> None:
    lanes.changed(ALPHA, replace(ACCOUNTS[ALPHA], expires=lanes.clock.wall() + 3600), ACCOUNTS[ALPHA])
    other = head("GET /v1/products/2", bearer(ALPHA))
    assert await lanes.ask(other) is None
    await served(lanes, ALPHA)
    assert await lanes.hit(other) is not None
