"""The config's status and its reload over real sockets."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from admin.operated import Operated, operated

from gateway.admin.config import ConfigApi
from gateway.config.errors import ConfigError
from gateway.reload import ReloadStatus

WELL = ReloadStatus(
    loaded_at=1768478400.0,
    attempted_at=1768478401.5,
    warnings=(ConfigError("config.yaml", 3, 5, "a route that can never match"),),
    files=("config.yaml",),
    changes=("key `old` is gone: its requests get 401",),
)


class Reloads:
    """A reloader whose next reload ends as `then` says."""

    def __init__(self) -> None:
        self.status = WELL
        self.then = WELL

    async def reload(self) -> ReloadStatus:
        self.status = self.then
        return self.status


BROKEN = replace(
    WELL,
    ok=False,
    errors=(ConfigError("keys.yaml", 2, 7, "unknown key `pan`"), ConfigError("config.yaml", 0, 0, "x")),
)


@pytest.fixture
def reloads() -> Reloads:
    return Reloads()


@pytest.fixture
async def door(reloads: Reloads) -> AsyncIterator[Operated]:
    async with operated(ConfigApi(reloads).endpoints()) as door:
        yield door


async def test_how_the_last_load_ended(door: Operated) -> None:
    assert (await door.client.get("/-/config")).json() == {
        "loaded_at": "2026-01-15T12:00:00Z",
        "attempted_at": "2026-01-15T12:00:01Z",
        "ok": True,
        "errors": [],
        "warnings": [{"file": "config.yaml", "line": 3, "column": 5, "message": "a route that can never match"}],
        "files": ["config.yaml"],
        "changes": ["key `old` is gone: its requests get 401"],
    }


async def test_a_reload_answers_how_it_ended(door: Operated, reloads: Reloads) -> None:
    reloads.then = replace(WELL, loaded_at=1768478460.0, changes=("nothing",))
    told = (await door.client.post("/-/config/reload")).json()
    assert (told["loaded_at"], told["changes"]) == ("2026-01-15T12:01:00Z", ["nothing"])


async def test_a_broken_config_is_refused_with_every_mistake(door: Operated, reloads: Reloads) -> None:
    reloads.then = BROKEN
    refused = await door.client.post("/-/config/reload")
    assert (refused.status_code, refused.json()["reason"]) == (409, "conflict")
    assert refused.json()["errors"] == [
        {"file": "keys.yaml", "line": 2, "column": 7, "message": "unknown key `pan`"},
        {"file": "config.yaml", "line": 0, "column": 0, "message": "x"},
    ]
    told = (await door.client.get("/-/config")).json()
    assert (told["ok"], len(told["errors"]), told["files"]) == (False, 2, ["config.yaml"])


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json"}, 200),
        ({}, 200),
    ],
    ids=str,
)
async def test_no_form_of_a_page_reloads(door: Operated, fields: dict[str, str], status: int) -> None:
    assert (await door.client.post("/-/config/reload", headers=fields)).status_code == status


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "https://site.example"},
        {"Origin": "null"},
        {"Host": "rebound.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
async def test_no_script_of_a_page_reloads(reloads: Reloads, fields: dict[str, str]) -> None:
    reloads.then = BROKEN
    async with operated(ConfigApi(reloads).endpoints(), token="") as door:
        assert (await door.client.post("/-/config/reload", headers=fields)).status_code == 403
    assert reloads.status.ok
