"""What comes back of the first answer to an Idempotency-Key, how long, and what a flood of repeats may take."""

import asyncio
from collections.abc import Iterator

import pytest
from admission.snapshots import seed_route
from hypothesis import given
from hypothesis import strategies as st
from stores.samples import sample
from support.repeating import CHARGE, DAY, Desk, desk_on_a_book, refused

from gateway.admission.charge import Charge
from gateway.errors import Problem, Reason
from gateway.ledger.receipts import receipt_id
from gateway.rfc9111.stored import StoredResponse
from gateway.stores import encoding


@pytest.fixture
def desk() -> Iterator[Desk]:
    with desk_on_a_book() as opened:
        yield opened


@pytest.mark.parametrize("remaining", [None, 0, 1991])
@pytest.mark.parametrize("operation", [None, 31])
async def test_the_first_answer_comes_back(desk: Desk, remaining: int | None, operation: int | None) -> None:
    stored = sample(body=b'{"a":1}' * 9, groups=("g",), forced=True)
    desk.answered(stored, Charge(9, remaining, operation=operation))
    replay = await desk.repeated()
    assert replay is not None
    assert (replay.tokens, replay.remaining, replay.operation) == (9, remaining, operation)
    assert (replay.stored.status, replay.stored.head, replay.stored.body) == (200, stored.head, stored.body)
    assert (replay.stored.etag, replay.stored.received, replay.stored.forced) == ('"v1"', stored.received, True)


@given(head=st.binary(max_size=50), body=st.binary(max_size=40_000), tokens=st.integers(0, 10**15))
def test_any_answer_comes_back_byte_by_byte(head: bytes, body: bytes, tokens: int) -> None:
    with desk_on_a_book() as desk:
        desk.answered(sample(head=head, body=body), Charge(tokens, tokens))
        replay = asyncio.run(desk.repeated())
    assert replay is not None
    assert (replay.stored.head, replay.stored.body, replay.tokens, replay.remaining) == (head, body, tokens, tokens)


async def test_content_that_tokens_go_into_is_cut_open(desk: Desk) -> None:
    body = b'{"a":"%b"}' % b"x".ljust(200_000, b"y")
    route = seed_route(tokens_in_body=True)
    claim = desk.claim(route=route)
    desk.book.keep(claim.kept(CHARGE, sample(body=body)))
    claim.end()
    replay = await desk.idempotency.earlier(desk.claim(route=route))
    assert replay is not None
    assert replay.stored.splice is not None
    assert replay.stored.splice.opened == body[:-1]
    assert b"Vary: Accept-Encoding" in replay.stored.head


async def test_content_that_is_no_object_stays_whole(desk: Desk) -> None:
    route = seed_route(tokens_in_body=True)
    claim = desk.claim(route=route)
    desk.book.keep(claim.kept(CHARGE, sample(body=b"[1]")))
    claim.end()
    replay = await desk.idempotency.earlier(desk.claim(route=route))
    assert replay is not None
    assert (replay.stored.splice, replay.stored.body, replay.stored.head) == (None, b"[1]", sample().head)


async def test_a_key_never_seen_has_no_answer(desk: Desk) -> None:
    desk.answered(sample(), key="other")
    assert await desk.repeated() is None


@pytest.mark.parametrize(
    ("size", "kept"), [(256 * 1024, True), (256 * 1024 + 1, False), (None, False)], ids=["most", "above", "stream"]
)
async def test_how_much_is_kept(desk: Desk, size: int | None, kept: bool) -> None:
    desk.answered(None if size is None else sample(body=bytes(size)))
    if kept:
        replay = await desk.repeated()
        assert replay is not None
        assert len(replay.stored.body) == size
        return
    problem = await refused(desk)
    receipt = receipt_id(31)
    assert (problem.reason, problem.fields) == (Reason.answer_not_kept, (("X-Receipt-Id", receipt),))
    assert f"/-/receipts/{receipt}" in str(problem.detail)


async def test_what_was_not_kept_may_have_no_receipt(desk: Desk) -> None:
    desk.answered(None, Charge(1, 1999))
    problem = await refused(desk)
    assert (problem.reason, problem.detail, problem.fields) == (Reason.answer_not_kept, None, ())


async def test_an_answer_of_another_version_is_as_good_as_not_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(encoding, "VERSION", encoding.VERSION - 1)
        desk.answered(sample())
    assert (await refused(desk)).reason is Reason.answer_not_kept


EXPIRY = {
    "at once": (0.0, True),
    "a day, nearly": (DAY - 1, True),
    "a day": (DAY, False),
    "long after": (30 * DAY, False),
    "set back": (-3600.0, True),
    "set back far": (-30 * DAY, True),
}


@pytest.mark.parametrize(("passed", "known"), EXPIRY.values(), ids=EXPIRY.keys())
async def test_an_answer_is_known_for_a_day_of_the_wall_clock(desk: Desk, passed: float, known: bool) -> None:
    desk.answered(sample())
    desk.clock.wall_now += passed
    assert (await desk.repeated() is not None) is known


async def test_an_expired_key_is_free_for_another_request(desk: Desk) -> None:
    desk.answered(sample())
    desk.clock.advance(DAY)
    assert await desk.repeated(target="/v1/products/2?force_refresh=1") is None


@pytest.mark.parametrize("stored", [sample(), None], ids=["kept", "stream"])
async def test_what_is_withdrawn_is_asked_anew(desk: Desk, stored: StoredResponse | None) -> None:
    claim = desk.claim()
    desk.book.keep(claim.kept(CHARGE, stored))
    claim.end()
    desk.book.keep(claim.withdrawn())
    assert await desk.repeated() is None


async def test_without_the_book_nothing_is_answered(desk: Desk) -> None:
    desk.answered(sample())
    desk.book.failure = Problem(Reason.ledger_unavailable)
    assert (await refused(desk)).reason is Reason.ledger_unavailable
    desk.book.failure = None
    assert await desk.repeated() is not None


async def test_one_accounts_flood_leaves_readers_to_others(desk: Desk) -> None:
    desk.book.held.clear()
    flood = [asyncio.create_task(desk.repeated(key=f"k{number}")) for number in range(200)]
    await desk.book.entered(16)
    other = asyncio.create_task(desk.repeated(key="k0", account="other"))
    await desk.book.entered()
    desk.book.held.set()
    assert await asyncio.gather(*flood, other) == [None] * 201
    assert (desk.book.peak, desk.book.reading) == (17, 0)
