"""Why there is no answer, from everything that redis-py, the system and a script may raise."""

import socket
import ssl
from collections.abc import Callable

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser

from gateway.fleet.failures import HOPELESS, unable, why


def _from(error: Exception, cause: Exception) -> Exception:
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (_from(exceptions.ConnectionError("x"), socket.gaierror(-2, "x")), "its name does not resolve"),
        (_from(exceptions.ConnectionError("x"), ConnectionRefusedError()), "it refuses connections"),
        (_from(exceptions.ConnectionError("x"), FileNotFoundError()), "a file that its URL names does not exist"),
        (_from(exceptions.ConnectionError("x"), PermissionError()), "a file that its URL names may not be used"),
        (_from(exceptions.ConnectionError("x"), ssl.SSLCertVerificationError()), "its certificate is not trusted"),
        (_from(exceptions.ConnectionError("x"), ssl.SSLError()), "TLS failed"),
        (_from(exceptions.ConnectionError("x"), ConnectionResetError()), "it closed the connection"),
        (exceptions.ConnectionError("max number of clients reached"), "it has too many clients"),
        (exceptions.TimeoutError("x"), "no answer in time"),
        (TimeoutError(), "no answer in time"),
        (BrokenPipeError(), "it closed the connection"),
        (exceptions.InvalidResponse("x"), "it does not speak Redis's protocol"),
        (exceptions.AuthenticationError("x"), "it does not accept the user and password"),
        (exceptions.BusyLoadingError("x"), "it is loading its data"),
        (exceptions.NoPermissionError("x"), "its user lacks a permission"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_a_connection_raises(error: Exception, words: str) -> None:
    assert why(error) == words


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("LOADING Redis is loading the dataset in memory", "it is loading its data"),
        ("READONLY You can't write against a read only replica.", "it is read-only"),
        ("NOREPLICAS Not enough good replicas to write.", "it has too few replicas"),
        ("MISCONF Redis is configured to save RDB snapshots, but", "it cannot save its data"),
        ("MASTERDOWN Link with MASTER is down and", "it is a replica without its primary"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "it is out of memory"),
        ("BUSY Redis is busy running a script.", "it is busy with a script"),
        ("UNKILLABLE Sorry the script already executed", "it is busy with a script"),
        ("NOAUTH Authentication required.", "it does not accept the user and password"),
        ("WRONGPASS invalid username-password pair", "it does not accept the user and password"),
        ("NOPERM this user has no permissions", "its user lacks a permission"),
        ("MOVED 3999 127.0.0.1:6381", "it is a Redis Cluster, which is not supported"),
        ("ASK 3999 127.0.0.1:6381", "it is a Redis Cluster, which is not supported"),
        ("CROSSSLOT Keys in request don't hash", "it is a Redis Cluster, which is not supported"),
        ("CLUSTERDOWN The cluster is down", "it is a Redis Cluster, which is not supported"),
        ("TRYAGAIN Multiple keys request", "it is a Redis Cluster, which is not supported"),
        ("UNBLOCKED force unblock from blocking operation, instance state changed", "it has become a replica"),
        (
            "ERR Error running script (call to f_1): @user_script:3: @user_script: 3: -OOM command not allowed",
            "it is out of memory",
        ),
        (
            "ERR Error running script (call to f_1): @user_script:3: @user_script: 3: -READONLY You can't",
            "it is read-only",
        ),
        ("OOM command not allowed. script: 1, on @user_script:3.", "it is out of memory"),
        ("ERR wrong number of arguments for 'get' command", None),
        ("ERR user_script:1: attempt to index nil. script: 1, on @user_script:1.", None),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", None),
        ("NOSCRIPT No matching script.", None),
        ("OVERTAKEN by a script's own word", None),
    ],
    ids=lambda given: given.split()[0] if isinstance(given, str) else "",
)
def test_what_redis_answers(reply: str, words: str | None) -> None:
    parse: Callable[[str], exceptions.RedisError] = BaseParser.parse_error
    assert unable(parse(reply)) == words


def test_what_does_not_pass_by_itself() -> None:
    assert "it is loading its data" not in HOPELESS
    assert "it does not accept the user and password" in HOPELESS
