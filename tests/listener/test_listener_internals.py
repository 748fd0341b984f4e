"""What the listener leans on inside of aiohttp is still there, and still means what it did: say so before clients do.

docs/decisions/aiohttp-internals.md has a row for each; whoever upgrades reads the new source there first.
"""

import inspect

import aiohttp
import pytest
from aiohttp import base_protocol, web, web_protocol
from aiohttp.http_parser import RawRequestMessage

ATTRIBUTES = (
    "_buffer_paused",
    "_current_request",
    "_force_close",
    "_keepalive_timeout",
    "_loop",
    "_messages",
    "_next_keepalive_close_time",
    "_paused",
    "_request_count",
    "_request_in_progress",
    "_task_handler",
    "_upgraded",
    "_waiter",
    "transport",
)
# By whom they are called: what is overridden here and called by nobody there has no effect any more.
METHODS = {
    "_drain_helper": None,
    "_pause_reading_for_buffer": "data_received",
    "_process_keepalive": "connection_made",
    "_resume_reading_for_buffer": "_resume_reading_if_drained",
    "force_close": "_process_keepalive",
    "handle_error": "_make_error_handler",
    "log_exception": "start",
}
MESSAGE = ("method", "path", "version", "headers", "should_close", "upgrade", "chunked")
# What a waiter is, that only these change it, and that the time to idle is asked for by nothing but the look at it.
STATEMENTS = [
    ("start", "self._waiter = loop.create_future()"),
    ("start", "await self._waiter"),
    ("start", "self._waiter = None"),
    ("start", "while not self._force_close:"),
    ("data_received", "self._messages.append((msg, payload))"),
    ("data_received", "self._request_count += 1"),
    ("data_received", "waiter.set_result(None)"),
    ("data_received", "self._upgraded = upgraded"),
    ("_handle_request", "self._request_in_progress = True"),
    ("force_close", "self._waiter.cancel()"),
    ("force_close", "self._force_close = True"),
    ("_process_keepalive", "close_time = self._next_keepalive_close_time"),
]
TIMES = [("_waiter.cancel", 2), ("waiter.set_result", 2), ("self._waiter =", 2), ("self._request_count += 1", 2)]


def changed(what: str) -> str:
    return (
        f"aiohttp {aiohttp.__version__} has no {what}, which the listener leans on: "
        "docs/decisions/aiohttp-internals.md says what for"
    )


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_request_handler_has_the_attribute(name: str) -> None:
    slots = {slot for kind in web.RequestHandler.__mro__ for slot in getattr(kind, "__slots__", ())}
    assert name in slots, changed(f"RequestHandler.{name}")


@pytest.mark.parametrize(("name", "caller"), METHODS.items(), ids=METHODS)
def test_the_request_handler_has_the_method_and_calls_it(name: str, caller: str | None) -> None:
    assert callable(getattr(web.RequestHandler, name, None)), changed(f"RequestHandler.{name}()")
    if caller is not None:
        source = inspect.getsource(getattr(web.RequestHandler, caller))
        assert f"self.{name}" in source, changed(f"call of {name}() in RequestHandler.{caller}()")


@pytest.mark.parametrize("name", MESSAGE)
def test_what_the_parser_makes_has_the_part(name: str) -> None:
    assert hasattr(RawRequestMessage, name), changed(f"RawRequestMessage.{name}")


@pytest.mark.parametrize(("method", "statement"), STATEMENTS)
def test_the_statement_is_where_it_was(method: str, statement: str) -> None:
    source = inspect.getsource(getattr(web.RequestHandler, method))
    assert statement in source, changed(f"`{statement}` in RequestHandler.{method}()")


@pytest.mark.parametrize(("statement", "times"), TIMES)
def test_the_statement_is_nowhere_else(statement: str, times: int) -> None:
    """The lane is shut out before each of these; another would let two answers cross."""
    found = inspect.getsource(web_protocol).count(statement)
    assert found == times, changed(f"{times} times `{statement}` in its web_protocol but {found} times")


def test_a_hold_of_the_reading_stands_until_it_is_released() -> None:
    """Reading is resumed for flow control only where no buffer holds it."""
    source = inspect.getsource(base_protocol.BaseProtocol.resume_reading)
    assert "not self._buffer_paused" in source, changed("`_buffer_paused` that stops resume_reading()")
