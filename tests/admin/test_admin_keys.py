"""The operators' API over real sockets: keys, and what the hostile and the clumsy get."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from admin.books import Books, books
from admin.operated import TOKEN, Operated, operated
from keys.rings import digest, file
from support.addresses import HOST

from gateway.admin.grants import GrantsApi
from gateway.admin.keys import KeysApi

pytestmark = pytest.mark.slow


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Books]:
    async with books(tmp_path) as kept:
        yield kept


@pytest.fixture
async def door(kept: Books) -> AsyncIterator[Operated]:
    keyring = kept.ring.keyring
    grants = GrantsApi(keyring.account, kept.metering)
    async with operated([*KeysApi(keyring).endpoints(), *grants.endpoints()]) as door:
        yield door


async def created(door: Operated, **values: object) -> Any:
    answer = await door.post("/-/keys", values)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_key_from_its_making_to_its_end(door: Operated, kept: Books) -> None:
    made = await created(door, id="shop", plan="pro", expires="2027-01-31")
    assert kept.ring.holds(made["key"])
    assert (made["account"], made["number"], made["test"]) == ("shop", 1, False)
    rotated = (await door.post("/-/keys/shop/rotate", {"overlap": "1h"})).json()
    assert rotated["ending"] == [{"number": 1, "hint": made["hint"], "expires": "2026-01-15T13:00:00Z"}]
    listed = (await door.client.get("/-/keys")).json()
    assert [(row["number"], row["state"], row["hint"]) for row in listed["keys"]] == [
        (1, "valid", made["hint"]),
        (2, "valid", rotated["hint"]),
    ]
    assert listed["next"] is None
    revoked = await door.client.delete("/-/keys/shop")
    assert revoked.json()["revoked"] == [{"number": 1, "hint": made["hint"]}, {"number": 2, "hint": rotated["hint"]}]
    assert not kept.ring.holds(made["key"])
    assert not kept.ring.holds(rotated["key"])


async def test_one_key_is_revoked_by_number_or_hint(door: Operated, kept: Books) -> None:
    first, second = await created(door, id="shop"), await created(door, id="shop")
    assert (await door.client.delete("/-/keys/1")).status_code == 200
    assert (kept.ring.holds(first["key"]), kept.ring.holds(second["key"])) == (False, True)
    assert (await door.client.delete(f"/-/keys/{second['hint']}")).json()["revoked"][0]["number"] == 2
    assert not kept.ring.holds(second["key"])


async def test_a_long_list_comes_in_pages(door: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.keys._MOST_LISTED", 2)
    for _ in range(4):
        await created(door, id="shop")
    first = (await door.client.get("/-/keys")).json()
    assert ([row["number"] for row in first["keys"]], first["next"]) == ([1, 2], 2)
    second = (await door.client.get("/-/keys?after=2")).json()
    assert ([row["number"] for row in second["keys"]], second["next"]) == ([3, 4], None), (
        "the last page says so, full or not"
    )


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
    door: Operated, kept: Books, request_: dict[str, Any], status: int, reason: str
) -> None:
    answer = await door.client.post("/-/keys", **request_)
    document = answer.json()
    assert (answer.status_code, document["reason"], document["status"]) == (status, reason, status)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert TOKEN not in answer.text
    assert await kept.ring.all() == []
    assert door.logged.getvalue() == ""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/-/else", 404),
        ("GET", "/-/keys?after=x", 400),
        ("GET", "/-/keys?after=9999999999999999999", 400),
        ("PUT", "/-/keys", 405),
        ("DELETE", "/-/keys/none", 404),
        ("DELETE", "/-/keys/alpha", 409),
    ],
)
async def test_what_is_not_there(door: Operated, method: str, path: str, status: int) -> None:
    answer = await door.client.request(method, path, headers={"Accept": "application/problem+json"})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("Allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize("path", ["/-/keys", "/-/else", "/%2D/keys", "//-/keys", "/else"])
async def test_all_but_metrics_and_health_is_behind_the_guard(door: Operated, path: str) -> None:
    unknown = {"Authorization": "Bearer guess"}
    assert (await door.client.get(path, headers=unknown)).status_code == 401
    for open_ in ("/metrics", "/livez"):
        assert (await door.client.get(open_, headers=unknown)).status_code == 200


async def test_a_body_that_never_comes_is_not_waited_for(door: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.content._PATIENCE", 0.05)
    reader, writer = await asyncio.open_connection(HOST, door.port)
    lines = ["POST /-/keys HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", "Content-Type: application/json"]
    writer.write("\r\n".join([*lines, "Content-Length: 9", "", "{"]).encode())
    assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_database_that_fails_is_told_and_nothing_changes(door: Operated, kept: Books) -> None:
    made = await created(door, id="shop")
    file(kept.ring).execute("PRAGMA query_only = ON")
    refused = await door.client.delete("/-/keys/shop")
    assert (refused.status_code, refused.json()["reason"]) == (503, "keys_unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert kept.ring.holds(made["key"])


async def test_every_change_is_logged_and_no_key_is(door: Operated) -> None:
    made = await created(door, id="shop", plan="pro")
    rotated = (await door.post("/-/keys/shop/rotate", {})).json()
    await door.post("/-/keys/shop/grant", {"tokens": 5, "reason": "a gift"})
    await door.client.delete("/-/keys/shop")
    lines = door.logged.getvalue()
    events = ["key created", "key rotated", "tokens granted", "keys revoked"]
    assert [line.split('"event": "')[1].split('"')[0] for line in lines.splitlines()] == events
    assert lines.count('"who": "admin"') == lines.count('"account": "shop"') == 4
    assert made["hint"] in lines
    for secret in (made["key"], rotated["key"], digest(made["key"]).hex(), TOKEN):
        assert secret not in lines
