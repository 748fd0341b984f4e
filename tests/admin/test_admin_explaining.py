"""Explanations over real sockets: of what runs, for whom it is asked, and nothing of what is asked for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from admin.operated import Operated, operated
from admission.snapshots import KEY, seed_route
from explaining.foreseeing import Foreseer
from support.in_process import ALPHA, Way, way

from gateway.admin.explaining import ExplainApi

ITEM = "/v1/products/1"
PRESENTED = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Way]:
    async with way(tmp_path, seed_route()) as running:
        yield running


@pytest.fixture
async def door(running: Way) -> AsyncIterator[Operated]:
    accounts = {ALPHA.id: ALPHA}
    async with operated(ExplainApi(Foreseer(running).explainer, accounts.get).endpoints()) as door:
        yield door


async def test_what_is_stored_and_what_would_become_of_it(door: Operated, running: Way) -> None:
    await running.ask(ITEM)
    running.clock.advance(12)
    answer = await door.post("/-/explain", {"method": "get", "url": f"http://gw.example{ITEM}", "headers": PRESENTED})
    told = answer.json()
    assert answer.status_code == 200
    assert (told["running"], told["host"], told["route"], told["caller"]["account"]) == (
        True,
        "gw.example",
        "product",
        "ci",
    )
    assert told["verdict"] == {
        "decision": "reuse",
        "grounds": [{"why": "fresh", "words": "the stored response is fresh", "section": "RFC 9111 §4.2"}],
        "cache_status": "gateway; hit; ttl=888",
        "tokens": 1,
        "collapsed": False,
        "spare": None,
    }
    [variant] = told["stored"]
    assert (variant["age"], variant["ttl"], variant["state"]) == (12.0, 888.0, "fresh")
    assert KEY not in answer.text
    assert (running.calls, running.balance.charged) == (1, 1)


async def test_as_an_account_and_with_repeated_fields(door: Operated) -> None:
    content = {"url": ITEM, "headers": [["Accept", "a"], ["Accept", "b"]], "account": ALPHA.id}
    told = (await door.post("/-/explain", content)).json()
    assert (told["caller"]["account"], told["verdict"]["decision"]) == (ALPHA.id, "fetch")
    assert [field["value"] for field in told["onward"]["fields"] if field["name"] == "Accept"] == ["a", "b"]


async def test_a_refusal_is_an_answer(door: Operated) -> None:
    answer = await door.post("/-/explain", {"url": ITEM})
    assert (answer.status_code, answer.json()["refusal"]["reason"]) == (200, "missing_key")


WRONG = {
    "no such account": ({"url": ITEM, "account": "none"}, 404),
    "no url": ({}, 400),
    "no method": ({"url": ITEM, "method": "G T"}, 400),
    "no field": ({"url": ITEM, "headers": {"A b": "c"}}, 400),
    "a setting that is not there": ({"url": ITEM, "key": KEY}, 400),
}


@pytest.mark.parametrize(("content", "status"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_asked(door: Operated, content: dict[str, object], status: int) -> None:
    answer = await door.post("/-/explain", content)
    assert (answer.status_code, KEY in answer.text) == (status, False)


async def test_only_whom_the_guard_lets_in_may_ask(door: Operated) -> None:
    answer = await door.client.post("/-/explain", json={"url": ITEM}, headers={"Authorization": "Bearer guess"})
    assert answer.status_code == 401
