"""aiohttp's client errors as the gateway's problems: translated once, here."""

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from gateway.errors import Problem, Reason

_TABLE: tuple[tuple[type[BaseException], Reason], ...] = (
    (aiohttp.ClientConnectorDNSError, Reason.upstream_dns),
    (aiohttp.ConnectionTimeoutError, Reason.upstream_connect_timeout),
    (aiohttp.ClientConnectorError, Reason.upstream_refused),
    (aiohttp.ClientSSLError, Reason.upstream_refused),
    (TimeoutError, Reason.upstream_read_timeout),
    (aiohttp.ClientResponseError, Reason.upstream_invalid),
    (HttpProcessingError, Reason.upstream_invalid),
    (aiohttp.InvalidURL, Reason.upstream_invalid),
    (aiohttp.ClientError, Reason.upstream_truncated),
    (OSError, Reason.upstream_truncated),
)

TRANSLATED = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)
"""What an exchange may raise; anything else is a bug of ours and passes."""

# The metric's fixed labels for exchanges that ended without an HTTP status.
LABELS = {
    Reason.upstream_refused: "refused",
    Reason.upstream_dns: "dns",
    Reason.upstream_connect_timeout: "connect_timeout",
    Reason.upstream_read_timeout: "read_timeout",
    Reason.upstream_truncated: "truncated",
    Reason.upstream_invalid: "invalid",
}

NOT_CONNECTED = frozenset({Reason.upstream_refused, Reason.upstream_dns, Reason.upstream_connect_timeout})
"""The upstream has seen nothing of the request: the next URL may be tried, whatever the method."""


def translated(error: BaseException) -> Problem:
    """The problem for one of TRANSLATED."""
    reason = next(reason for kind, reason in _TABLE if isinstance(error, kind))
    return Problem(reason)
