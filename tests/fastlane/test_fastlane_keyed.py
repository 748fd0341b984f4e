"""Keyed: what lines with another key say is what the parser reads from them, and whose that key is."""

from pathlib import Path

import pytest
from admission.snapshots import ACCEPT, digest, make_snapshot, seed_route
from aiohttp.http_exceptions import HttpProcessingError
from fastlane.laned import ACCOUNTS, ADDRESS, ALPHA, BRAVO, CHARLIE, Client, bearer, laned
from fastlane.parsing import all_parsed, head, is_refused, parsed
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.admission.keys import find_account
from gateway.admission.snapshot import KeySource
from gateway.fastlane.heads import Heads, stripped
from gateway.fastlane.keyed import Keyed
from gateway.fastlane.who import Who
from gateway.ledger.balance import Balance
from gateway.ledger.seat import Seat

SNAPSHOT = make_snapshot(
    seed_route(),
    keys={digest(key.encode()): account for key, account in ACCOUNTS.items()},
    accept=(*ACCEPT, KeySource("header", "Cookie"), KeySource("header", "Connection"), KeySource("header", "A.b")),
)
TARGET = "GET /v1/products/1"
CREDENTIALS = st.sampled_from(
    b"Authorization: Bearer rk_live_alpha|Authorization: Bearer rk_live_bravo|authorization: bearer rk_live_bravo|"
    b"Authorization: rk_live_charlie|Authorization: Bearer nobodys|Authorization: Basic cmtfbGl2ZV9hbHBoYTo=|"
    b"X-Api-Key: rk_live_alpha|X-Api-Key: rk_live_bravo|X-API-KEY: rk_live_bravo|Cookie: rk_live_alpha|"
    b"Authorization:Bearer rk_live_bravo|Authorization: Bearer  rk_live_bravo|Authorization: Bearer rk_live_bravo |"
    b"Authorization: Bearer rk_live\r\n _bravo|Authorization: Bearer rk_live_bravo\n|X-Api-Key: rk\xe9|"
    b"X-Api-Key: a b c|X-Api-Key:|Proxy-Authorization: rk_live_bravo|Connection: rk_live_alpha|Connection: close|"
    b"A.b: rk_live_alpha|A-b: rk_live_alpha|X-Api-Key: Authorization: Bearer".split(b"|")
)
OTHERS = st.sampled_from([b"Accept: */*", b"Accept: a/b", b"X-Request-Id: 1", b"traceparent: 2", b"Content-Length: 0"])


def heads() -> Heads:
    return Heads(SNAPSHOT, lambda account: Seat(account, Balance(), None, None), 1 << 20)


def lines_of(data: bytes) -> bytes:
    return stripped(data[data.find(b"\r\n") :]).lines


def learn(known: Heads, data: bytes) -> None:
    try:
        messages = all_parsed(data)
    except HttpProcessingError:
        return
    if len(messages) == 1 and data.endswith(b"\r\n\r\n") and data.count(b"\r\n\r\n") == 1:
        known.learn(ADDRESS, data, messages[0])


def recognised(known: Heads, data: bytes) -> Who | None:
    return known.recognised(ADDRESS, lines_of(data))


def of(lines: list[bytes]) -> bytes:
    return b"\r\n".join([b"GET / HTTP/1.1", b"Host: gw.example", *lines, b"", b""])


MIXED = st.lists(st.one_of(CREDENTIALS, CREDENTIALS, OTHERS), max_size=3)


@given(before=MIXED, after=MIXED, again=st.booleans(), key=CREDENTIALS)
@example([b"Authorization: Bearer rk_live_alpha"], [], True, b"Authorization: Bearer rk_live_bravo")
def test_who_is_recognised_is_who_the_parser_would_find(
    before: list[bytes], after: list[bytes], again: bool, key: bytes
) -> None:
    known = heads()
    learn(known, of(before))
    # Nearly the same, in half of the cases: a key in another's place.
    data = of([key if line.split(b":")[0] == key.split(b":")[0] else line for line in before] if again else after)
    who = recognised(known, data)
    if who is None:
        return
    (message,) = all_parsed(data)
    kept = [pair for pair in message.headers.items() if pair[0].lower() not in ("x-request-id", "traceparent")]
    assert list(who.fields.items()) == kept
    assert who.account == find_account(SNAPSHOT, message.headers, ())
    other = heads()
    learn(other, data)
    read = other.known(ADDRESS).get(who.lines)
    assert read is not None
    assert (who.lines, who.mark, who.account) == (read.lines, read.mark, read.account)


@pytest.mark.parametrize("line", [bearer, "X-Api-Key: {}".format, "a.B: {}".format], ids=["bearer", "field", "dotted"])
def test_another_key_in_the_same_place_is_recognised_and_known_from_then_on(line: object) -> None:
    assert callable(line)
    known = heads()
    learn(known, head(TARGET, line(ALPHA), "Accept: */*"))
    data = head(TARGET, line(BRAVO), "Accept: */*")
    who = recognised(known, data)
    assert who is not None
    assert who.account == ACCOUNTS[BRAVO]
    assert known.known(ADDRESS).get(lines_of(data)) is who


UNLIKE = {
    "other-field": ["Accept: a", bearer(BRAVO)],
    "other-case": ["Accept: */*", bearer(BRAVO).replace("Auth", "auth")],
    "other-place": [bearer(BRAVO), "Accept: */*"],
    "unknown": ["Accept: */*", bearer("rk_live_nobody")],
    "none": ["Accept: */*"],
    "two": ["Accept: */*", bearer(BRAVO), "X-Api-Key: " + BRAVO],
    "oddly-written": ["Accept: */*", "Authorization:  Bearer " + BRAVO],
    "test": ["Accept: */*", bearer("rk_test_x")],
}


@pytest.mark.parametrize("lines", UNLIKE.values(), ids=UNLIKE)
def test_what_else_is_another_is_not(lines: list[str]) -> None:
    known = heads()
    learn(known, head(TARGET, "Accept: */*", bearer(ALPHA)))
    assert recognised(known, head(TARGET, *lines)) is None


@pytest.mark.parametrize(
    "lines",
    [[bearer(ALPHA), "X-Api-Key: " + ALPHA], [bearer(ALPHA), "X-Api-Key:" + ALPHA], ["Authorization:Bearer " + ALPHA]],
    ids=["two", "two-one-oddly", "oddly-written"],
)
def test_what_is_read_from_lines_with_no_one_plain_key_says_nothing_of_others(lines: list[str]) -> None:
    known = heads()
    learn(known, head(TARGET, *lines))
    assert known.known(ADDRESS).get(lines_of(head(TARGET, *lines))) is not None
    assert recognised(known, head(TARGET, *[line.replace(ALPHA, BRAVO) for line in lines])) is None


def test_a_field_that_frames_or_nominates_is_no_keys() -> None:
    known = heads()
    learn(known, head(TARGET, "Connection: " + ALPHA))
    assert recognised(known, head(TARGET, "Connection: " + BRAVO)) is None
    assert not is_refused(head(TARGET, "Connection: " + BRAVO))


def test_all_that_was_read_can_be_given_back() -> None:
    keyed = Keyed(frozenset({"authorization"}), 1 << 16)
    for number in range(5):
        data = head(TARGET, bearer(ALPHA), f"A: {number}")
        keyed.learn(lines_of(data), CIMultiDict(parsed(data).headers))
    assert keyed.read(lines_of(head(TARGET, bearer(BRAVO), "A: 4"))) is not None
    assert [keyed.shrink(3) for _ in range(3)] == [True, True, False]
    assert keyed.read(lines_of(head(TARGET, bearer(BRAVO), "A: 4"))) is None


async def test_the_first_request_with_a_key_is_a_hit_where_its_client_is_known(tmp_path: Path) -> None:
    """Each is charged to its own account, and a key that is nobody's goes where it is refused."""
    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(head(TARGET, bearer(ALPHA))) is not None
        before = [lanes.charged(key) for key in ACCOUNTS]
        for key in (BRAVO, CHARLIE):
            got = await lanes.ask(head(TARGET, bearer(key), "X-Request-Id: mine"))
            assert got is not None
            assert got.fields["X-Request-Id"] == "mine"
        assert [lanes.charged(key) - was for key, was in zip(ACCOUNTS, before, strict=True)] == [0, 1, 1]
        assert await lanes.ask(head(TARGET, bearer("rk_live_nobody"))) is None


async def test_a_key_that_stands_for_nobody_any_more_is_not_recognised(tmp_path: Path) -> None:
    async with laned(tmp_path, seed_route()) as lanes:
        assert await lanes.hit(head(TARGET, bearer(ALPHA))) is not None
        lanes.changed(BRAVO, None, ACCOUNTS[BRAVO])
        assert await lanes.ask(head(TARGET, bearer(BRAVO))) is None
        lanes.lane.learn(Client(ADDRESS), head(TARGET, bearer(BRAVO)), parsed(head(TARGET, bearer(BRAVO))))
        assert await lanes.ask(head(TARGET, bearer(BRAVO))) is None
