"""The operators' API over real sockets: keys, corrections, and what the hostile and the clumsy get."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from keys.rings import Ring, digest, loaded
from support.addresses import HOST, free_port
from support.clock import FakeClock
from support.in_process import no_gauges

from gateway.admin import Admin
from gateway.admin.keys import KeysApi
from gateway.config.compile import snapshot
from gateway.health import Health
from gateway.ledger.ledger import Ledger
from gateway.meter import Meter
from gateway.metrics import Metrics

TOKEN = "operators-own-token"


@dataclass
class Operated:
    """An open door, a client with its token, and all that was logged."""

    ring: Ring
    ledger: Ledger
    client: httpx.AsyncClient
    port: int
    logged: StringIO

    async def post(self, path: str, content: object) -> httpx.Response:
        return await self.client.post(path, json=content)

    async def created(self, **values: object) -> Any:
        answer = await self.post("/-/keys", values)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
async def operated(tmp_path: Path) -> AsyncIterator[Operated]:
    logged, clock, config = StringIO(), FakeClock(), loaded(tmp_path)
    async with AsyncExitStack() as stack:
        stack.callback(structlog.reset_defaults)
        structlog.configure(
            processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer(ensure_ascii=False)],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.WriteLoggerFactory(logged),
        )
        ledger = Ledger.open(tmp_path / "var", "process", clock)
        stack.push_async_callback(ledger.close)
        ring = Ring(tmp_path / "var", clock, config)
        stack.push_async_callback(ring.keyring.close)
        meter, port = Meter(ledger, clock), free_port()
        meter.configure(replace(snapshot(config), keys=ring.keyring))
        ring.keyring.listen(meter.enroll)
        api = KeysApi(ring.keyring, meter, ledger.committed)
        admin = Admin(Metrics(no_gauges(), "0"), Health({}), TOKEN, api.routes())
        await admin.open(HOST, port)
        stack.push_async_callback(admin.close)
        fields = {"Authorization": f"Bearer {TOKEN}"}
        client = httpx.AsyncClient(base_url=f"http://{HOST}:{port}", headers=fields, trust_env=False)
        yield Operated(ring, ledger, await stack.enter_async_context(client), port, logged)


async def test_a_key_from_its_making_to_its_end(operated: Operated) -> None:
    made = await operated.created(id="shop", plan="pro", expires="2027-01-31")
    assert operated.ring.holds(made["key"])
    assert (made["account"], made["number"], made["test"]) == ("shop", 1, False)
    rotated = (await operated.post("/-/keys/shop/rotate", {"overlap": "1h"})).json()
    assert rotated["ending"] == [{"number": 1, "hint": made["hint"], "expires": "2026-01-15T13:00:00Z"}]
    listed = (await operated.client.get("/-/keys")).json()
    assert [(row["number"], row["state"], row["hint"]) for row in listed["keys"]] == [
        (1, "valid", made["hint"]),
        (2, "valid", rotated["hint"]),
    ]
    assert listed["next"] is None
    revoked = await operated.client.delete("/-/keys/shop")
    assert revoked.json()["revoked"] == [{"number": 1, "hint": made["hint"]}, {"number": 2, "hint": rotated["hint"]}]
    assert not operated.ring.holds(made["key"])
    assert not operated.ring.holds(rotated["key"])


async def test_one_key_is_revoked_by_number_or_hint(operated: Operated) -> None:
    first, second = await operated.created(id="shop"), await operated.created(id="shop")
    assert (await operated.client.delete("/-/keys/1")).status_code == 200
    assert (operated.ring.holds(first["key"]), operated.ring.holds(second["key"])) == (False, True)
    assert (await operated.client.delete(f"/-/keys/{second['hint']}")).json()["revoked"][0]["number"] == 2
    assert not operated.ring.holds(second["key"])


async def test_a_correction_is_in_the_journal_before_its_answer(operated: Operated) -> None:
    await operated.created(id="shop", plan="pro")
    answer = await operated.post("/-/keys/shop/grant", {"tokens": 50, "reason": "a gift"})
    assert answer.json() == {"account": "shop", "tokens": 50, "before": 2000, "after": 2050}
    answer = await operated.post("/-/keys/shop/grant", {"tokens": -2050, "reason": "all back"})
    assert answer.json()["after"] == 0
    refused = await operated.post("/-/keys/shop/grant", {"tokens": -1, "reason": "too much"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "conflict")
    assert operated.ledger.accounts.balance("shop").balance == 0
    assert operated.ledger.committed().done()


async def test_an_unlimited_plan_has_nothing_to_correct(operated: Operated) -> None:
    await operated.created(id="free")
    refused = await operated.post("/-/keys/free/grant", {"tokens": 1, "reason": "a gift"})
    assert (refused.status_code, "unlimited" in refused.json()["detail"]) == (409, True)


async def test_an_account_and_how_it_stands(operated: Operated) -> None:
    await operated.created(id="shop", organization="acme", throttle="10/min", scopes=["lookup"])
    told = (await operated.client.get("/-/accounts/shop")).json()
    assert told == {
        "account": "shop",
        "organization": "acme",
        "plan": "pro",
        "balance_of": "key",
        "balance": 2000,
        "reserved": 0,
        "charged": 0,
        "granted": 2000,
        "next_grant": {"at": "2026-02-01T00:00:00Z", "tokens": 2000},
        "throttle": {"limit": 10, "window": 60, "remaining": 10, "reset": 0},
        "cap": None,
        "scopes": ["lookup"],
        "expires": None,
        "test": False,
    }
    unlimited = await operated.created(id="free", organization="shared")
    told = (await operated.client.get(f"/-/accounts/{unlimited['account']}")).json()
    assert (told["balance_of"], told["throttle"]) == ("organization", None)


async def test_a_long_list_comes_in_pages(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.keys._MOST_LISTED", 2)
    for _ in range(3):
        await operated.created(id="shop")
    first = (await operated.client.get("/-/keys")).json()
    assert ([row["number"] for row in first["keys"]], first["next"]) == ([1, 2], 2)
    second = (await operated.client.get("/-/keys?after=2")).json()
    assert ([row["number"] for row in second["keys"]], second["next"]) == ([3], None)


ORDER = {"id": "shop"}
HOSTILE: dict[str, tuple[dict[str, Any], int, str]] = {
    "no token": ({"headers": {"Authorization": ""}, "json": ORDER}, 401, "token_required"),
    "a wrong token": ({"headers": {"Authorization": "Bearer guess"}, "json": ORDER}, 401, "token_wrong"),
    "a form": ({"data": ORDER}, 415, "not_json"),
    "JSON unmarked": ({"content": b'{"id": "shop"}'}, 415, "not_json"),
    "nothing": ({"content": b"", "headers": {"Content-Type": "application/json"}}, 400, "malformed"),
    "no JSON": ({"content": b"{id: shop}", "headers": {"Content-Type": "application/json"}}, 400, "malformed"),
    "deep": ({"content": b"[" * 9000, "headers": {"Content-Type": "application/json"}}, 400, "malformed"),
    "no object": ({"json": [ORDER]}, 400, "malformed"),
    "oversized": ({"json": {"id": "a" * 20_000}}, 413, "body_too_large"),
    "an unknown field": ({"json": ORDER | {"key": "rk_live_mine"}}, 400, "invalid"),
    "an unknown plan": ({"json": ORDER | {"plan": "none"}}, 404, "not_found"),
    "an id of the config, described": ({"json": {"id": "alpha", "plan": "pro"}}, 409, "conflict"),
}


@pytest.mark.parametrize(("request_", "status", "reason"), HOSTILE.values(), ids=HOSTILE)
async def test_hostile_orders_change_nothing(
    operated: Operated, request_: dict[str, Any], status: int, reason: str
) -> None:
    answer = await operated.client.post("/-/keys", **request_)
    document = answer.json()
    assert (answer.status_code, document["reason"], document["status"]) == (status, reason, status)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert TOKEN not in answer.text
    assert operated.ring.database.listed() == []
    assert operated.logged.getvalue() == ""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/-/else", 404),
        ("GET", "/-/accounts/none", 404),
        ("GET", "/-/keys?after=x", 400),
        ("GET", "/-/keys?after=9999999999999999999", 400),
        ("PUT", "/-/keys", 405),
        ("DELETE", "/-/keys/none", 404),
        ("DELETE", "/-/keys/alpha", 409),
    ],
)
async def test_what_is_not_there(operated: Operated, method: str, path: str, status: int) -> None:
    answer = await operated.client.request(method, path, headers={"Accept": "application/problem+json"})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("Allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize("path", ["/-/keys", "/-/else", "/%2D/keys", "//-/keys", "/else"])
async def test_all_but_metrics_and_health_is_behind_the_guard(operated: Operated, path: str) -> None:
    unknown = {"Authorization": "Bearer guess"}
    assert (await operated.client.get(path, headers=unknown)).status_code == 401
    for open_ in ("/metrics", "/livez"):
        assert (await operated.client.get(open_, headers=unknown)).status_code == 200


async def test_a_body_that_never_comes_is_not_waited_for(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.content._PATIENCE", 0.05)
    reader, writer = await asyncio.open_connection(HOST, operated.port)
    lines = ["POST /-/keys HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", "Content-Type: application/json"]
    writer.write("\r\n".join([*lines, "Content-Length: 9", "", "{"]).encode())
    assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_database_that_fails_is_told_and_nothing_changes(operated: Operated) -> None:
    made = await operated.created(id="shop")
    operated.ring.database._db.execute("PRAGMA query_only = ON")
    refused = await operated.client.delete("/-/keys/shop")
    assert (refused.status_code, refused.json()["reason"]) == (503, "keys_unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert operated.ring.holds(made["key"])


async def test_a_ledger_that_fails_is_told_and_grants_nothing(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    await operated.created(id="shop", plan="pro")
    await operated.client.get("/-/accounts/shop")

    def full(payload: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(operated.ledger._journal, "append", full)
    refused = await operated.post("/-/keys/shop/grant", {"tokens": 1, "reason": "a gift"})
    assert (refused.status_code, refused.json()["reason"]) == (503, "ledger_unavailable")
    assert operated.ledger.accounts.balance("shop").balance == 2000
    assert "granted" not in operated.logged.getvalue()


async def test_every_change_is_logged_and_no_key_is(operated: Operated) -> None:
    made = await operated.created(id="shop", plan="pro")
    rotated = (await operated.post("/-/keys/shop/rotate", {})).json()
    await operated.post("/-/keys/shop/grant", {"tokens": 5, "reason": "a gift"})
    await operated.client.delete("/-/keys/shop")
    lines = operated.logged.getvalue()
    events = ["key created", "key rotated", "tokens granted", "keys revoked"]
    assert [line.split('"event": "')[1].split('"')[0] for line in lines.splitlines()] == events
    assert lines.count('"who": "admin"') == lines.count('"account": "shop"') == 4
    assert made["hint"] in lines
    for secret in (made["key"], rotated["key"], digest(made["key"]).hex(), TOKEN):
        assert secret not in lines
