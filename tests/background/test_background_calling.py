"""The gateway's own calls: reserved before, settled after, with the credentials that the config has by then."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from background.yard import ORDERS, SENDING, Yard, background, begins, yard

from gateway.background.calling import ON_LOOP, Calls, parsed
from gateway.errors import Problem, Reason
from gateway.messages import Response


async def sent(running: Yard, **rest: Any) -> Response:
    calls = Calls(running.fetcher, running.settlement, running.watch)
    return await calls.send(running.work.route, running.live, SENDING, **rest)


BOOKED = {
    "an answer": ({}, None, 1),
    "a refusal": ({"status": 404}, None, 1),
    "an error": ({"status": 500}, Reason.upstream_error, 0),
    "credentials refused": ({"status": 403}, Reason.upstream_credentials_rejected, 0),
    "a rate limit": ({"status": 429}, Reason.upstream_rate_limited, 0),
    "no connection": ({"before": (Problem(Reason.upstream_dns),)}, Reason.upstream_dns, 0),
    "content that broke off": ({"broken": Problem(Reason.upstream_truncated)}, Reason.upstream_truncated, 0),
    "content that was cut": ({"content": b"{", "delimited": False}, Reason.upstream_truncated, 0),
    "too much content": ({"content": b"x" * 200}, Reason.upstream_invalid, 0),
    "a bug": ({"before": (ZeroDivisionError(),)}, None, 0),
}


@pytest.mark.parametrize(("script", "reason", "charged"), BOOKED.values(), ids=BOOKED)
async def test_how_it_is_booked(tmp_path: Path, script: dict[str, Any], reason: Reason | None, charged: int) -> None:
    async with yard(tmp_path) as running:
        script = {"fields": {"Content-Type": "application/json"}} | script
        broken = script.pop("broken", None)
        content = script.pop("content", b"{}")
        running.upstream.then(*((content,) if broken is None else (content, broken)), **script)
        ending = (await asyncio.gather(sent(running, most=100), return_exceptions=True))[0]
        match ending:
            case Response():
                assert (ending.status, reason) == (script.get("status", 200), None)
            case Problem():
                assert ending.reason is reason
            case _:
                assert ending in script["before"]
        assert (running.house.charged, running.house.reserved) == (charged, 0)


async def test_what_is_sent(tmp_path: Path) -> None:
    async with yard(tmp_path) as running:
        await sent(running)
        (outgoing,) = running.upstream.sent
        assert (outgoing.method, outgoing.target, outgoing.body) == ("POST", SENDING.target, SENDING.content)
        assert outgoing.background
        names = {"Content-Type", "Authorization", "X-Request-Id", "Via"}
        assert set(outgoing.fields) == names
        assert outgoing.fields["Authorization"] == "Bearer upstream"


async def test_a_rotated_credential_is_the_one_that_is_sent(tmp_path: Path) -> None:
    async with yard(tmp_path, headers=(("Authorization", "Bearer rotated"),)) as running:
        await sent(running)
        assert running.upstream.sent[0].fields["Authorization"] == "Bearer rotated"


async def test_what_the_vendor_charges_is_the_house_s(tmp_path: Path) -> None:
    async with yard(tmp_path, cost=("cost",)) as running:
        running.upstream.then(b'{"cost":7}', fields={"Content-Type": "application/json"})
        spent = []
        running.settlement.spend = lambda *told, ours: spent.append((told[1], ours))  # type: ignore[method-assign]
        await sent(running)
        assert spent == [(7, True)]


@pytest.mark.parametrize("length", [1, ON_LOOP], ids=["short", "long"])
async def test_content_is_parsed(length: int) -> None:
    assert await parsed(b'"' + b"x" * length + b'"') == "x" * length
    with pytest.raises(ValueError, match="unexpected"):
        await parsed(b"x" * length)


async def test_a_route_without_price_costs_nothing(tmp_path: Path) -> None:
    route = replace(begins(background()), price=None)
    async with yard(tmp_path, route, ORDERS) as running:
        await sent(running)
        assert (running.house.charged, running.house.reserved) == (0, 0)


async def test_content_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    async with yard(tmp_path, total_timeout=0.01) as running:
        running.upstream.then(b"{", asyncio.Event())
        with pytest.raises(Problem) as raised:
            await sent(running)
        assert (raised.value.reason, running.house.reserved) == (Reason.upstream_read_timeout, 0)


async def test_where_the_upstream_s_credentials_are_not_sent_they_are_not(tmp_path: Path) -> None:
    async with yard(tmp_path, replace(begins(background()), send_credentials=False)) as running:
        await sent(running)
        assert "Authorization" not in running.upstream.sent[0].fields
