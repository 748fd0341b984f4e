"""What an upstream's head must be to be believed: framed in one way, asked for, and fit to be sent on."""

import aiohttp
from aiohttp.http import HttpVersion10, HttpVersion11

from gateway.errors import Problem, Reason
from gateway.messages import Outgoing


def refuse_ambiguous(response: aiohttp.ClientResponse, outgoing: Outgoing) -> None:
    """Raises Problem(upstream_invalid), and closes, for what two parsers may read differently or nobody asked for."""
    # aiohttp's parser lets NUL pass in a reason phrase.
    unsendable = not 200 <= response.status <= 999 or "\0" in (response.reason or "")
    if unsendable or _is_ambiguous(response) or _is_unasked(response, outgoing):
        response.close()
        raise Problem(Reason.upstream_invalid)


def is_delimited(response: aiohttp.ClientResponse) -> bool:
    """Whether the content's end is told by the framing, not by the connection's close (RFC 9112 §6.3)."""
    chunked = "Transfer-Encoding" in response.headers
    bodiless = response.method == "HEAD" or response.status in (204, 304)
    return chunked or bodiless or response.content_length is not None


def _is_ambiguous(response: aiohttp.ClientResponse) -> bool:
    """RFC 9112 §6.1 to §6.3; no transfer coding but chunked was asked for, and none could be taken off."""
    codings = [coding.strip(" \t").lower() for coding in response.headers.getall("Transfer-Encoding", ())]
    lengths = set(response.headers.getall("Content-Length", ()))
    if response.version not in (HttpVersion10, HttpVersion11) or len(lengths) > 1:
        return True
    if response.status == 204:
        return bool(codings) or not lengths <= {"0"}
    return bool(codings) and (codings != ["chunked"] or bool(lengths) or response.version == HttpVersion10)


def _is_unasked(response: aiohttp.ClientResponse, outgoing: Outgoing) -> bool:
    """A part or a confirmation, to a request that had asked for neither."""
    if response.status == 206:
        return "Range" not in outgoing.fields
    validated = "If-None-Match" in outgoing.fields or "If-Modified-Since" in outgoing.fields
    return response.status == 304 and not validated
