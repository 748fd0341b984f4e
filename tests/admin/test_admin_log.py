"""The log's level over real sockets."""

import json
from collections.abc import AsyncIterator

import pytest
from admin.operated import Operated, operated

from gateway.admin.log import LogApi
from gateway.logs.logs import Level


class Logs:
    """What keeps a level."""

    level: Level = "info"

    async def set_level(self, level: Level) -> None:
        self.level = level


@pytest.fixture
def logs() -> Logs:
    return Logs()


@pytest.fixture
async def door(logs: Logs) -> AsyncIterator[Operated]:
    async with operated(LogApi(logs).endpoints()) as door:
        yield door


async def test_the_level_is_told_and_set(door: Operated, logs: Logs) -> None:
    assert (await door.client.get("/-/log")).json() == {"level": "info"}
    assert (await door.client.put("/-/log", json={"level": "debug"})).json() == {"level": "debug"}
    assert logs.level == "debug"
    assert (await door.client.get("/-/log")).json() == {"level": "debug"}
    (line,) = door.logged.getvalue().splitlines()
    expected = {"event": "log level set", "who": "admin", "to": "debug", "before": "info"}
    assert expected.items() <= json.loads(line).items()


@pytest.mark.parametrize("content", [{}, {"level": "loud"}, {"level": None}, {"level": "info", "more": 1}], ids=str)
async def test_another_level_is_refused(door: Operated, logs: Logs, content: object) -> None:
    refused = await door.client.put("/-/log", json=content)
    assert (refused.status_code, refused.json()["reason"]) == (400, "invalid")
    assert logs.level == "info"
