"""A refresh as both doors tell it: every member by kind, and pages that say whether there are more."""

from dataclasses import replace

import pytest

from gateway.admission.jobs import Job, Kind, Progress, State
from gateway.answers.refresh import page_document, refresh_document
from gateway.ledger.records import HOUSE

NOON = 1_768_478_400.0
SINGLE = Job("a1", Kind.single, "product", "ci", NOON, State.running, url="/v1/products/7?a=1", host="gw.example")
BACKGROUND = Job(
    "b2",
    Kind.background,
    "stores",
    "ci",
    NOON,
    State.failed,
    subject="12345",
    since=1_590_703_502.0,
    ended=NOON + 60.9,
    reason="upstream_error",
    subjects=Progress(1, 0, 1),
    responses=Progress(30, 29, 1),
)

TOLD = {
    "single": (
        replace(SINGLE, state=State.done, ended=NOON + 1, status=200, cache_status="gateway; fwd=request", tokens=4),
        {
            "id": "a1",
            "kind": "single",
            "state": "done",
            "reason": None,
            "account": "ci",
            "background": None,
            "subject": None,
            "since": None,
            "route": "product",
            "url": "/v1/products/7?a=1",
            "host": "gw.example",
            "began": "2026-01-15T12:00:00Z",
            "ended": "2026-01-15T12:00:01Z",
            "progress": {"total": 1, "done": 1, "failed": 0},
            "subjects": None,
            "status": 200,
            "cache_status": "gateway; fwd=request",
            "tokens": 4,
        },
    ),
    "background": (
        BACKGROUND,
        {
            "id": "b2",
            "kind": "background",
            "state": "failed",
            "reason": "upstream_error",
            "account": "ci",
            "background": "stores",
            "subject": "12345",
            "since": "2020-05-28T22:05:02Z",
            "route": None,
            "url": None,
            "host": None,
            "began": "2026-01-15T12:00:00Z",
            "ended": "2026-01-15T12:01:00Z",
            "progress": {"total": 30, "done": 29, "failed": 1},
            "subjects": {"total": 1, "done": 0, "failed": 1},
            "status": None,
            "cache_status": None,
            "tokens": None,
        },
    ),
}


@pytest.mark.parametrize(("job", "document"), TOLD.values(), ids=TOLD)
def test_every_member(job: Job, document: dict[str, object]) -> None:
    assert refresh_document(job) == document


def test_the_house_is_nobody() -> None:
    assert refresh_document(replace(BACKGROUND, account=HOUSE))["account"] is None
    assert refresh_document(replace(SINGLE, account=None))["account"] is None


def test_a_date_of_long_ago_has_four_digits_for_its_year() -> None:
    assert refresh_document(replace(BACKGROUND, since=-62_135_568_422.0))["since"] == "0001-01-01T07:52:58Z"


@pytest.mark.parametrize(
    ("state", "counts"),
    [(State.running, (1, 0, 0)), (State.done, (1, 1, 0)), (State.failed, (1, 0, 1)), (State.cancelled, (1, 0, 0))],
    ids=str,
)
def test_a_single_one_is_of_one_response(state: State, counts: tuple[int, int, int]) -> None:
    told = refresh_document(replace(SINGLE, state=state))["progress"]
    assert told == dict(zip(("total", "done", "failed"), counts, strict=True))


@pytest.mark.parametrize(("found", "ids", "following"), [(3, ["0", "1"], "1"), (2, ["0", "1"], None), (0, [], None)])
def test_pages(found: int, ids: list[str], following: str | None) -> None:
    page = page_document(tuple([replace(SINGLE, id=str(number)) for number in range(found)]), 2)
    refreshes = page["refreshes"]
    assert isinstance(refreshes, list)
    assert ([told["id"] for told in refreshes], page["next"]) == (ids, following)
