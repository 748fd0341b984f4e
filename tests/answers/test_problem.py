import json
import re
from pathlib import Path

import pytest

from gateway.answers.head import field_lines
from gateway.answers.problem import problem_body, problem_fields
from gateway.errors import Problem, Reason

ERRORS_PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_every_reason_has_its_document(reason: Reason) -> None:
    content_type, body = problem_body(Problem(reason), "req-1", None)
    assert content_type == "application/json"
    assert json.loads(body) == {
        "type": f"/-/problems/{reason.name}",
        "title": reason.title,
        "status": reason.status,
        "detail": reason.title,
        "request_id": "req-1",
        "error": reason.title,
        "code": reason.code,
        "reason": reason.name,
    }


def test_the_detail_is_the_sentence() -> None:
    _, body = problem_body(Problem(Reason.bad_flag, "`offers` is neither"), "r", None)
    document = json.loads(body)
    assert (document["detail"], document["error"]) == ("`offers` is neither", "`offers` is neither")


def test_stray_bytes_of_the_client_do_not_break_the_document() -> None:
    _, body = problem_body(Problem(Reason.no_route, "no \udcff here"), "id-\udce9", None)
    document = json.loads(body)
    assert (document["detail"], document["request_id"]) == ("no ? here", "id-?")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param(None, "application/json", id="absent"),
        pytest.param("*/*", "application/json", id="any"),
        pytest.param("application/json", "application/json", id="json"),
        pytest.param("text/html, application/Problem+JSON;q=0.5", "application/problem+json", id="9457-3-named"),
        pytest.param("application/problem+json;q=0", "application/json", id="9110-12.4.2-refused"),
    ],
)
def test_content_type(accept: str | None, content_type: str) -> None:
    assert problem_body(Problem(Reason.no_route), "r", accept)[0] == content_type


@pytest.mark.parametrize(
    ("seconds", "value"),
    [
        pytest.param(0.0, "1", id="at-least-one"),
        pytest.param(0.2, "1", id="below-one"),
        pytest.param(2.0, "2", id="whole"),
        pytest.param(2.01, "3", id="rounded-up"),
    ],
)
def test_retry_after(seconds: float, value: str) -> None:
    fields = problem_fields(Problem(Reason.throttled, retry_after=seconds))
    assert dict(fields) == {"Cache-Control": "no-store", "Retry-After": value}


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        pytest.param(Problem(Reason.no_route), {}, id="plain"),
        pytest.param(Problem(Reason.missing_key), {"WWW-Authenticate": "Bearer"}, id="9110-15.5.2-default"),
        pytest.param(
            Problem(Reason.unknown_key, fields=(("www-authenticate", "Basic"), ("www-authenticate", "Bearer"))),
            {"www-authenticate": ["Basic", "Bearer"]},
            id="9110-15.5.2-own",
        ),
        pytest.param(
            Problem(Reason.method_not_allowed, fields=(("Allow", "GET, HEAD"),)),
            {"Allow": "GET, HEAD"},
            id="9110-15.5.6",
        ),
    ],
)
def test_fields(problem: Problem, expected: dict[str, str | list[str]]) -> None:
    lines = [f"{name}: {v}" for name, value in expected.items() for v in ([value] if isinstance(value, str) else value)]
    assert field_lines(problem_fields(problem)).decode() == "\r\n".join(["Cache-Control: no-store", *lines, ""])


def test_the_errors_page_lists_every_reason() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\d+) \| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", ERRORS_PAGE.read_text(), re.MULTILINE
    )
    listed = [(name, int(status), code, meaning.split(".")[0]) for name, status, code, meaning, _ in rows]
    assert listed == [(reason.name, reason.status, reason.code, reason.title) for reason in Reason]
