"""Orders to a gateway that runs on the store, through its admin API."""

from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import ip_address
from json import dumps, loads
from typing import Any
from urllib.parse import quote

from gateway.config.schema import Config
from gateway.config.units import Address
from gateway.errors import BadStart

# Seconds for each step; the gateway waits for its disk.
_PATIENCE = 10.0
_MOST_CONTENT = 4 << 20


@dataclass(slots=True, frozen=True)
class Call:
    """One call of the admin API: `segments` of the path below `/-/`, and its JSON object, None for no content."""

    method: str
    segments: tuple[str, ...]
    content: dict[str, object] | None = None

    @property
    def path(self) -> str:
        """The request target; a segment may hold any text."""
        return "/-/" + "/".join([quote(segment, safe="") for segment in self.segments])


def ask(config: Config, call: Call) -> dict[str, Any]:
    """The JSON object that the config's admin API answers. Raises BadStart for a refusal, and where nobody answers."""
    address = config.admin.listen
    connection = HTTPConnection(_reached(address.host), address.port, timeout=_PATIENCE)
    with closing(connection):
        try:
            connection.connect()
        except OSError as error:
            raise BadStart(_unreachable(config, address, error)) from error
        try:
            return _exchanged(connection, call, config.admin.token)
        except (OSError, HTTPException, ValueError) as error:
            message = f"the gateway's admin API on {address} broke off, and may have done it: look before you repeat it"
            raise BadStart(message) from error


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
    connection.request(call.method, call.path, None if call.content is None else dumps(call.content), fields)
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


def _unreachable(config: Config, address: Address, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"a gateway runs on {config.store.path}, and its admin API on {address} cannot be reached: {reason}"
