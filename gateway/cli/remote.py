"""Orders to a gateway that runs, through its admin API."""

from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import ip_address
from json import dumps, loads
from typing import Any
from urllib.parse import quote, urlencode

from gateway.config.schema import Config
from gateway.config.units import Address
from gateway.errors import BadStart

# Seconds for each step; the gateway waits for its disk.
_PATIENCE = 10.0
# Bytes: a month's usage has a row for each account.
_MOST_CONTENT = 64 << 20


@dataclass(slots=True, frozen=True)
class Call:
    """One call of the admin API: `segments` of the path below `/-/`, the JSON object sent, None for none, the query."""

    method: str
    segments: tuple[str, ...]
    content: dict[str, object] | None = None
    query: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> str:
        """The request target; a segment may hold any text."""
        path = "/-/" + "/".join([quote(segment, safe="") for segment in self.segments])
        return f"{path}?{urlencode(self.query)}" if self.query else path


class Unreachable(BadStart):
    """Nobody takes connections where the admin API should be; `reason` is the system's word for it."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class BrokenOff(BadStart):
    """The admin API gave no answer that is one, and may have done what it was asked."""


def ask(config: Config, call: Call, patience: float = _PATIENCE) -> dict[str, Any]:
    """The JSON object that the config's admin API answers; `patience` is in seconds, for each step.

    Raises Unreachable where nobody is there, BrokenOff where no answer comes, BadStart for a refusal.
    """
    address = config.admin.listen
    connection = HTTPConnection(_reached(address.host), address.port, timeout=patience)
    with closing(connection):
        try:
            connection.connect()
        except OSError as error:
            raise _unreachable(config, address, error) from error
        try:
            return _exchanged(connection, call, config.admin.token)
        except (OSError, HTTPException, ValueError) as error:
            message = f"the gateway's admin API on {address} broke off, and may have done it: look before you repeat it"
            raise BrokenOff(message) from error


def _reached(host: str) -> str:
    """Where to connect to; who listens everywhere listens on loopback too."""
    try:
        everywhere = not host or ip_address(host).is_unspecified
    except ValueError:
        return host
    return host if not everywhere else "::1" if ":" in host else "127.0.0.1"


def _exchanged(connection: HTTPConnection, call: Call, token: str) -> dict[str, Any]:
    fields: dict[str, str | bytes] = {"Accept": "application/json"}
    if token:
        fields["Authorization"] = b"Bearer " + token.encode("utf-8")
    if call.content is not None:
        fields["Content-Type"] = "application/json"
    connection.request(call.method, call.target, None if call.content is None else dumps(call.content), fields)
    reply = connection.getresponse()
    document = _document(reply)
    if reply.status >= 400:
        raise BadStart(str(document.get("detail", f"the admin API answered {reply.status}")))
    return document


def _document(reply: HTTPResponse) -> dict[str, Any]:
    document = loads(reply.read(_MOST_CONTENT))
    if not isinstance(document, dict):
        raise ValueError("the answer is no JSON object")
    return document


def _unreachable(config: Config, address: Address, error: OSError) -> Unreachable:
    reason = error.strerror or str(error)
    message = f"a gateway runs on {config.store.path}, and its admin API on {address} cannot be reached: {reason}"
    return Unreachable(message, reason)
