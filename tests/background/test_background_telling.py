"""How the background refresh of one subject stands: in the API's words, of the asking account, for nothing."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from background.yard import REFRESH, background, begins
from support.in_process import ALPHA, Got, Way, way

from gateway.admission.background import Condition, Json, ListPolicy, SincePolicy, StatusPolicy, Word
from gateway.admission.jobs import Recorded, State
from gateway.admission.snapshot import Plan, Price, Rate, Route, ThrottlePolicy

STATUS = "/stores/getrefreshstatus"
NAMES = ("none", "pending", "running", "done", "failed", "cancelled")
WORDS = {name: Word(at, name.title()) for at, name in enumerate(NAMES)}
ANSWER: Json = {"id": "{subject}", "code": "{status_id}", "text": "{status}", "asked": "{attempted}", "from": "{since}"}
LISTED = ListPolicy("/stores", ("storeId",), refreshable=(Condition(("active",), (True,)),))
POLICY = background(status=StatusPolicy(ANSWER, WORDS), since=SincePolicy("refreshDate", "-08:00"))


def routes(listed: ListPolicy | None = None) -> tuple[Route, Route]:
    asked = begins(replace(POLICY, subjects=listed))
    path = begins(POLICY).path.parse(STATUS)
    tells = replace(asked, name="told", path=path, methods=frozenset({"GET"}), price=Price(0), tells_status=True)
    return asked, tells


async def told(running: Way, query: str = "?storeId=1") -> Got:
    return await running.ask(STATUS + query)


@pytest.mark.parametrize("state", [None, *State])
async def test_each_state_has_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State | None) -> None:
    async def recorded(account: str, name: str, subject: str) -> Recorded:
        assert (account, name, subject) == (ALPHA.id, "stores", "1")
        return Recorded(1_590_793_502.0, None, state)

    async with way(tmp_path, *routes()) as running:
        monkeypatch.setattr(running.jobs, "recorded", recorded)
        got = await told(running)
        word = WORDS["none" if state is None else state.value]
        asked = {"id": 1, "code": word.id, "text": word.text, "asked": "2020-05-29 15:05:02", "from": None}
        assert (got.status, orjson.loads(got.body)) == (200, asked)
        assert (got.fields["Cache-Control"], got.tokens) == ("no-store", (0, 2000))


async def test_one_that_was_asked_for(tmp_path: Path) -> None:
    async with way(tmp_path, *routes()) as running:
        await running.ask(f"{REFRESH}?storeId=1", "POST")
        document = orjson.loads((await told(running)).body)
        assert document["text"] == "Pending"
        assert document["asked"] is not None
        assert running.balance.charged == 1


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        pytest.param("", 400, b"bad_subject", id="none"),
        pytest.param("?storeId=x", 400, b"bad_subject", id="no number"),
        pytest.param("?storeId=1", 200, b'"None"', id="refreshable"),
        pytest.param("?storeId=2", 200, b'"None"', id="not refreshable"),
        pytest.param("?storeId=3", 404, b"unknown_subject", id="unknown"),
    ],
)
async def test_which_subjects_have_one(tmp_path: Path, query: str, status: int, reason: bytes) -> None:
    async with way(tmp_path, *routes(LISTED)) as running:
        listed = [{"storeId": 1, "active": True}, {"storeId": 2, "active": False}]
        running.upstream.then(orjson.dumps(listed), fields={"Content-Type": "application/json"})
        got = await told(running, query)
        assert (got.status, reason in got.body) == (status, True)
        assert running.balance.charged == 0


async def test_it_counts_against_the_throttle(tmp_path: Path) -> None:
    throttled = replace(ALPHA, plan=Plan("pro", 2000, throttle=ThrottlePolicy(Rate(1, 60.0), 1)))
    async with way(tmp_path, *routes(), account=throttled) as running:
        assert [(await told(running)).status for _ in range(2)] == [200, 429]
