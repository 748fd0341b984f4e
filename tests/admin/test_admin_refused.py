"""The last refusals over real sockets."""

from dataclasses import dataclass

from admin.operated import operated

from gateway.admin.refused import RefusedApi
from gateway.watch import Refused

THROTTLED = Refused(1_768_478_400.0, "product", "throttled", 429, "GET", "ci", "acme", "id-1")
UNREAD = Refused(1_768_478_401.0, "", "malformed_request", 400, "", None, None, "id-2")


@dataclass
class Seen:
    refusals: list[Refused]

    async def __call__(self) -> list[Refused]:
        return self.refusals


async def test_the_newest_first() -> None:
    async with operated(RefusedApi(Seen([THROTTLED, UNREAD])).endpoints()) as door:
        answer = await door.client.get("/-/refusals")
    unread, throttled = answer.json()["refusals"]
    assert throttled == {
        "at": "2026-01-15T12:00:00Z",
        "route": "product",
        "reason": "throttled",
        "status": 429,
        "method": "GET",
        "account": "ci",
        "organization": "acme",
        "request_id": "id-1",
    }
    assert (unread["at"], unread["request_id"], unread["account"]) == ("2026-01-15T12:00:01Z", "id-2", None)


async def test_none_so_far() -> None:
    async with operated(RefusedApi(Seen([])).endpoints()) as door:
        assert (await door.client.get("/-/refusals")).json() == {"refusals": []}
