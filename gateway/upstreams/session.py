"""aiohttp's client session, held to what a proxy needs of it."""

import asyncio
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler

from gateway.admission.snapshot import UpstreamPolicy
from gateway.upstreams.connection import UpstreamConnection

MAX_FIELD = 64 * 1024
"""Bytes of a status line or a field, at most."""


def session(policy: UpstreamPolicy) -> tuple[aiohttp.ClientSession, aiohttp.BaseConnector]:
    """One upstream's session, and what makes its connections; made within the event loop."""
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=10)
    kind: type[ResponseHandler] = UpstreamConnection
    connector._factory = partial(kind, loop=asyncio.get_running_loop())  # noqa: SLF001 - there is no public way
    made = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=policy.connect_timeout, sock_read=policy.first_byte_timeout, ceil_threshold=3600
        ),
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        auto_decompress=False,
        trust_env=False,
        requote_redirect_url=False,
        max_line_size=MAX_FIELD,
        max_field_size=MAX_FIELD,
    )
    # aiohttp repeats GET and PUT by itself when a kept-alive connection dies: that would be an uncounted, unpaid call.
    made._retry_connection = False  # noqa: SLF001 - there is no public way
    return made, connector
