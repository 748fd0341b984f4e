"""What an upstream's head must be to be believed: framed in one way, asked for, and fit to be sent on."""

import aiohttp
from aiohttp.http import HttpVersion10, HttpVersion11

from gateway.errors import Problem, Reason
from gateway.messages import Outgoing
from gateway.upstreams.bare import Reply

_VERSIONS = (HttpVersion10, HttpVersion11)


def refuse_ambiguous(response: Reply | aiohttp.ClientResponse, outgoing: Outgoing) -> None:
    """Raises Problem(upstream_invalid), and closes, for what two parsers may read differently or nobody asked for."""
    # aiohttp's parser lets NUL pass in a reason phrase.
    unsendable = not 200 <= response.status <= 999 or "\0" in (response.reason or "")
    if unsendable or _is_ambiguous(response) or _is_unasked(response, outgoing):
        response.close()
        raise Problem(Reason.upstream_invalid)


def is_delimited(response: Reply | aiohttp.ClientResponse) -> bool:
    """Whether the content's end is told by the framing, not by the connection's close (RFC 9112 §6.3)."""
    if "Content-Length" in response.headers or "Transfer-Encoding" in response.headers:
        return True
    return response.method == "HEAD" or response.status in (204, 304)


def _is_ambiguous(response: Reply | aiohttp.ClientResponse) -> bool:
    """RFC 9112 §6.1 to §6.3; no transfer coding but chunked was asked for, and none could be taken off."""
    codings = [coding.strip(" \t").lower() for coding in response.headers.getall("Transfer-Encoding", ())]
    lengths = response.headers.getall("Content-Length", ())
    if response.version not in _VERSIONS or (len(lengths) > 1 and len(set(lengths)) > 1):
        return True
    if response.status == 204:
        return bool(codings) or any(length != "0" for length in lengths)
    return bool(codings) and (codings != ["chunked"] or bool(lengths) or response.version == HttpVersion10)


def _is_unasked(response: Reply | aiohttp.ClientResponse, outgoing: Outgoing) -> bool:
    """A part or a confirmation, to a request that had asked for neither."""
    if response.status == 206:
        return "Range" not in outgoing.fields
    if response.status != 304:
        return False
    return "If-None-Match" not in outgoing.fields and "If-Modified-Since" not in outgoing.fields
