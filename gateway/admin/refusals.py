"""Why the operators' door refuses, as problem documents (RFC 9457) in the form of those on the client port."""

from enum import Enum

import orjson


class Refusal(Enum):
    """The closed list: (status, code, title)."""

    malformed = (400, "bad_request", "The request is malformed")
    invalid = (400, "bad_request", "The request asks for something that cannot be")
    token_required = (401, "unauthorized", "The admin token is required")
    token_wrong = (401, "unauthorized", "The admin token is wrong")
    foreign_site = (403, "forbidden", "The request comes from another site")
    not_found = (404, "not_found", "There is no such thing here")
    method_not_allowed = (405, "bad_request", "The method is not allowed here")
    too_slow = (408, "bad_request", "The request took too long to arrive")
    conflict = (409, "bad_request", "The request is at odds with what is there")
    body_too_large = (413, "bad_request", "The request body is too large")
    not_json = (415, "bad_request", "The request body must be application/json")
    internal_error = (500, "internal_error", "Something went wrong in the gateway")
    keys_unavailable = (503, "service_unavailable", "The key database is not available for now")
    ledger_unavailable = (503, "service_unavailable", "The ledger is not available for now")

    def __init__(self, status: int, code: str, title: str) -> None:
        self.status = status
        self.code = code
        self.title = title


class Denied(Exception):
    """A request that is not carried out. `detail` is shown and must hold no secret; `fields` are sent besides."""

    def __init__(self, refusal: Refusal, detail: str = "", fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal
        self.detail = detail
        self.fields = fields

    def document(self) -> bytes:
        """The answer's content."""
        refusal = self.refusal
        detail = self.detail or refusal.title
        return orjson.dumps(
            {
                "type": f"/-/problems/{refusal.name}",
                "title": refusal.title,
                "status": refusal.status,
                "detail": detail,
                "error": detail,
                "code": refusal.code,
                "reason": refusal.name,
            }
        )
