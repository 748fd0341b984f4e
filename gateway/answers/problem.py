"""The gateway's own answers: problem documents (RFC 9457) that also carry the seed's `error` and `code`."""

from math import ceil

import orjson
from multidict import CIMultiDict

from gateway.answers.negotiation import weights
from gateway.errors import Problem

PROBLEM_JSON = "application/problem+json"


def problem_body(problem: Problem, request_id: str, accept: str | None) -> tuple[str, bytes]:
    """Content-Type and content of `problem`'s answer.

    An object of `type` (a relative reference that names the reason and is stable), `title`, `status`, `detail`,
    `request_id`, `error` (one sentence), `code` (the seed's word) and `reason` (`errors.Reason`'s name). The type is
    `application/problem+json` where `accept` names that, else `application/json`.
    """
    reason = problem.reason
    detail = _sendable(problem.detail or reason.title)
    document = {
        "type": f"/-/problems/{reason.name}",
        "title": reason.title,
        "status": reason.status,
        "detail": detail,
        "request_id": _sendable(request_id),
        "error": detail,
        "code": reason.code,
        "reason": reason.name,
    }
    named = accept is not None and weights(accept).get(PROBLEM_JSON, 0.0) > 0
    return PROBLEM_JSON if named else "application/json", orjson.dumps(document)


def problem_fields(problem: Problem) -> CIMultiDict[str]:
    """The fields of `problem`'s answer besides Content-Type: its own, Cache-Control, Retry-After, WWW-Authenticate.

    Retry-After is in whole seconds, rounded up, at least 1 (RFC 9110 §10.2.3). A 401 always has a challenge (§15.5.2).
    """
    fields = CIMultiDict({"Cache-Control": "no-store"})
    fields.extend(problem.fields)
    if problem.retry_after is not None:
        fields["Retry-After"] = str(max(1, ceil(problem.retry_after)))
    if problem.reason.status == 401:
        fields.setdefault("WWW-Authenticate", "Bearer")
    return fields


def _sendable(text: str) -> str:
    """`text` without the lone surrogates that stand for stray bytes in a request and that JSON cannot carry."""
    return text.encode("utf-8", "replace").decode("utf-8")
