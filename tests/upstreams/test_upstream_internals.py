"""What the upstreams lean on inside of aiohttp is still there, and still means what it did.

docs/decisions/aiohttp-internals.md has a row for each; whoever upgrades reads the new source there first.
"""

import inspect
from types import FunctionType

import aiohttp
import pytest
from aiohttp import ClientResponse, ClientSession, streams
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import BaseConnector, Connection, TCPConnector

# By whom they are called: what is overridden here and called by nobody there has no effect any more.
METHODS = {
    "_drop_timeout": "set_exception",
    "_on_read_timeout": "_reschedule_timeout",
    "_reschedule_timeout": "data_received",
    "connection_lost": None,
    "data_received": "_drain_tail",
    "feed_data": "data_received",
    "is_connected": None,
    "read": None,
    "set_exception": "connection_lost",
    "set_response_params": None,
    "start_timeout": None,
}
STATEMENTS = [
    (ResponseHandler.__init__, "self._payload: StreamReader | None = None"),
    (ResponseHandler.set_response_params, "self._read_timeout = read_timeout"),
    (ResponseHandler.data_received, "self._payload = payload"),
    (ResponseHandler.data_received, "self._should_close = True"),
    (ResponseHandler.data_received, "payload.on_eof(self._drop_timeout)"),
    (ResponseHandler._on_read_timeout, "self.set_exception(exc)"),
    # A waiter that is served by feed_data and by set_exception, and by nothing that comes later.
    (streams.DataQueue.read, "self._waiter = self._loop.create_future()"),
    # Content as it came, and the amount from which on the connection waits.
    (streams.StreamReader.__init__, "self._buffer: collections.deque[bytes]"),
    (streams.StreamReader.__init__, "self._high_water = limit * 2"),
    (streams.StreamReader.feed_data, "self._buffer.append(data)"),
    # What the connector asks of the request that it connects for: nothing that differs between two of one URL.
    (BaseConnector.connect, "key = req.connection_key"),
    (TCPConnector._create_direct_connection, "host = req.url.raw_host"),
    (BaseConnector._release, "or should_close or protocol.should_close"),
    (Connection.close, "self._connector._release(self._key, self._protocol, should_close=True)"),
    # Interim answers are passed over here as there.
    (ClientResponse.start, "if message.code < 100 or message.code > 199 or message.code == 101"),
    (ClientRequest.update_host, "self.auth = "),
    (ClientSession._request, "self._retry_connection and method in IDEMPOTENT_METHODS"),
]


def changed(what: str) -> str:
    return (
        f"aiohttp {aiohttp.__version__} has no {what}, which the upstreams lean on: "
        "docs/decisions/aiohttp-internals.md says what for"
    )


@pytest.mark.parametrize(("name", "caller"), METHODS.items(), ids=METHODS)
def test_the_response_handler_has_the_method_and_calls_it(name: str, caller: str | None) -> None:
    assert callable(getattr(ResponseHandler, name, None)), changed(f"ResponseHandler.{name}()")
    if caller is not None:
        source = inspect.getsource(getattr(ResponseHandler, caller))
        assert f"self.{name}" in source, changed(f"`self.{name}` in ResponseHandler.{caller}()")


@pytest.mark.parametrize(("method", "statement"), STATEMENTS, ids=[method.__qualname__ for method, _ in STATEMENTS])
def test_the_statement_is_where_it_was(method: FunctionType, statement: str) -> None:
    source = inspect.getsource(method)
    assert statement in source, changed(f"`{statement}` in {method.__qualname__}()")


def test_the_timer_is_set_by_what_is_overridden_alone() -> None:
    """Another that sets it would end an exchange under a time of its own."""
    found = inspect.getsource(ResponseHandler).count("self._read_timeout_handle =")
    assert found == 3, changed(f"3 times `_read_timeout_handle =` but {found} times")
