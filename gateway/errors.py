"""The closed list of problems that the gateway itself answers with (RFC 9457), each with its status and code."""

from enum import Enum


class Reason(Enum):
    """Why the gateway answered instead of the upstream: (status, the seed's code word, title)."""

    malformed_request = (400, "bad_request", "The request is malformed")
    ambiguous_target = (400, "bad_request", "The request target is ambiguous")
    bad_flag = (400, "bad_request", "A flag in the query is neither on nor off")
    conflicting_keys = (400, "bad_request", "The request carries two different API keys")
    unexpected_body = (400, "bad_request", "This request must not carry a body")
    bad_subject = (400, "bad_request", "What is to be refreshed is not named in a way that can be read")
    bad_since = (400, "bad_request", "The date is not one from which can be refreshed")
    missing_key = (401, "unauthorized", "An API key is required")
    unknown_key = (401, "unauthorized", "The API key is not known")
    expired_key = (401, "unauthorized", "The API key has expired")
    quota_exhausted = (402, "payment_required", "The tokens are used up and the plan does not renew")
    over_max_tokens = (402, "payment_required", "The request would cost more than it allows")
    insufficient_scope = (403, "forbidden", "The API key may not ask for this")
    origin_not_allowed = (403, "forbidden", "Pages of this origin may not call this route")
    no_route = (404, "not_found", "No route matches this request")
    unknown_subject = (404, "not_found", "There is nothing of this id to refresh")
    no_refresh = (404, "not_found", "There is no such refresh for this API key")
    no_receipt = (404, "not_found", "There is no such receipt for this API key")
    not_stored = (404, "not_found", "A test key gets stored responses only, and none is stored for this request")
    method_not_allowed = (405, "bad_request", "The method is not allowed here")
    request_timeout = (408, "bad_request", "The request took too long to arrive")
    not_refreshable = (409, "bad_request", "This cannot be refreshed")
    refresh_ended = (409, "bad_request", "The refresh has ended")
    request_in_progress = (409, "bad_request", "A request with this Idempotency-Key is still being answered")
    answer_not_kept = (409, "bad_request", "The answer of this Idempotency-Key was too large to be kept")
    body_too_large = (413, "bad_request", "The request body is too large")
    target_too_long = (414, "bad_request", "The request target is too long")
    expectation_failed = (417, "bad_request", "The expectation cannot be met")
    misdirected_request = (421, "bad_request", "This host is not served here")
    idempotency_key_reused = (422, "bad_request", "This Idempotency-Key was used for another request")
    throttled = (429, "rate_limited", "Too many requests for this API key")
    quota_exceeded = (429, "rate_limited", "The plan's tokens are used up until it renews")
    force_refresh_capped = (429, "rate_limited", "Too many force refreshes for this organization")
    fields_too_large = (431, "bad_request", "The request's fields are too large")
    internal_error = (500, "internal_error", "The gateway failed")
    not_implemented = (501, "bad_request", "The gateway does not implement this")
    upstream_refused = (502, "upstream_unavailable", "The upstream cannot be reached")
    upstream_dns = (502, "upstream_unavailable", "The upstream's name does not resolve")
    upstream_truncated = (502, "upstream_unavailable", "The upstream's answer broke off")
    upstream_invalid = (502, "upstream_unavailable", "The upstream's answer is not valid HTTP")
    upstream_error = (502, "upstream_unavailable", "The upstream failed")
    upstream_credentials_rejected = (
        502,
        "upstream_unavailable",
        "The upstream rejects the gateway's credentials",
    )
    upstream_rate_limited = (503, "service_unavailable", "The upstream's rate limit is reached")
    upstream_unavailable = (503, "service_unavailable", "The upstream is not available for now")
    upstream_circuit_open = (503, "service_unavailable", "The upstream failed repeatedly and is left alone for now")
    upstream_queue_full = (503, "service_unavailable", "Too many requests wait for the upstream")
    jobs_unavailable = (503, "service_unavailable", "The register of refreshes is not available for now")
    ledger_unavailable = (503, "service_unavailable", "The ledger is not available for now")
    buffers_full = (503, "service_unavailable", "The gateway holds too much unfinished content")
    upstream_connect_timeout = (504, "upstream_timeout", "The upstream did not accept the connection in time")
    only_if_cached = (504, "upstream_timeout", "Nothing stored may be used, and the request allows nothing else")
    validation_failed = (504, "upstream_timeout", "What is stored must be validated first, and that failed")
    upstream_read_timeout = (504, "upstream_timeout", "The upstream did not answer in time")

    def __init__(self, status: int, code: str, title: str) -> None:
        self.status = status
        self.code = code
        self.title = title


UNSENT = frozenset(
    {
        Reason.upstream_circuit_open,
        Reason.upstream_connect_timeout,
        Reason.upstream_dns,
        Reason.upstream_queue_full,
        Reason.upstream_refused,
    }
)
"""The upstream has seen nothing of the request."""


class Overtaken(Exception):
    """What was to be reused may have been outdated by another node, whose word has come by now: decide again."""


class Problem(Exception):
    """An answer of the gateway's own.

    `detail` is shown to the client and must hold no secret; `retry_after` is in seconds; `fields` are sent besides
    (`Allow`, `WWW-Authenticate`). `upstream_status` is the status the upstream gave, where it gave one. Of what is
    refused as it is prepared `route` names the route, if any, and `asker` whose API key it was: account, organization.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str | None = None,
        *,
        retry_after: float | None = None,
        fields: tuple[tuple[str, str], ...] = (),
        upstream_status: int | None = None,
    ) -> None:
        super().__init__(reason.name)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
        self.fields = fields
        self.upstream_status = upstream_status
        self.route = ""
        self.asker: tuple[str, str] | None = None


class BadStart(Exception):
    """The gateway cannot start; the message is the one clear line that is printed before exit 2."""
