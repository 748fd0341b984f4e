"""Why the operators' door refuses, as problem documents (RFC 9457) in the form of those on the client port."""

from enum import Enum

import orjson

from gateway.config.section import Section


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
    upstream_failed = (502, "upstream_unavailable", "The upstream did not tell what is needed")
    jobs_unavailable = (503, "service_unavailable", "The register of refreshes is not available for now")
    keys_unavailable = (503, "service_unavailable", "The key database is not available for now")
    ledger_unavailable = (503, "service_unavailable", "The ledger is not available for now")

    def __init__(self, status: int, code: str, title: str) -> None:
        self.status = status
        self.code = code
        self.title = title


class Mistake(Section):
    """What is wrong, or probably so, at a place in a config file."""

    file: str
    """As it was named."""
    line: int
    """From 1; 0 where there is no place."""
    column: int
    """From 1; 0 where there is no place."""
    message: str
    """Holds no secret."""


class ProblemDocument(Section):
    """The content of every refusal (RFC 9457)."""

    type: str
    """A relative reference that names the reason and is stable."""
    title: str
    """What happened, in general."""
    status: int
    """The status code."""
    detail: str
    """What happened this time."""
    error: str
    """The same, under the name that it has on the client port."""
    code: str
    """The kind of refusal, in one word."""
    reason: str
    """One of a closed list."""
    errors: tuple[Mistake, ...] = ()
    """Every mistake of a config that was refused."""


class Denied(Exception):
    """A request that is not carried out. `detail` is shown and must hold no secret; `fields` are sent besides."""

    def __init__(
        self,
        refusal: Refusal,
        detail: str = "",
        fields: tuple[tuple[str, str], ...] = (),
        errors: tuple[Mistake, ...] = (),
    ) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal
        self.detail = detail
        self.fields = fields
        self.errors = errors

    def document(self) -> bytes:
        """The answer's content."""
        refusal, detail = self.refusal, self.detail or self.refusal.title
        problem = ProblemDocument(
            type=f"/-/problems/{refusal.name}",
            title=refusal.title,
            status=refusal.status,
            detail=detail,
            error=detail,
            code=refusal.code,
            reason=refusal.name,
            errors=self.errors,
        )
        return orjson.dumps(problem.model_dump(exclude_defaults=True))
