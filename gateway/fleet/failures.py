"""Why Redis gives no answer, in a few words each and never in its own, which may quote anything."""

import re
import socket
import ssl
from collections.abc import Iterator

from redis import exceptions


class Unreachable(Exception):
    """No answer: none in time, the connection lost or refused, or Redis says that it cannot serve for now.

    Whether a command that was sent has been executed is not known. The message says why, and holds no secret.
    """


class Refused(Exception):
    """Redis calls a command wrong, or a script raised an error of its own; the message is its text, not to be shown."""


SILENT = "no answer in time"
CLOSED = "it closed the connection"
STRANGE = "it does not speak Redis's protocol"
CLUSTER = "it is a Redis Cluster, which is not supported"
LOADING = "it is loading its data"

NOT_LET_IN = "it does not accept the user and password"
UNTRUSTED = "its certificate is not trusted"
LACKING = "its user lacks a permission"

HOPELESS = frozenset({CLUSTER, LACKING, NOT_LET_IN, UNTRUSTED})
"""What does not pass while a gateway starts."""

_BUSY = "it is busy with a script"

_SAID: tuple[tuple[type[exceptions.RedisError], str], ...] = (
    (exceptions.AuthenticationError, NOT_LET_IN),
    (exceptions.AuthenticationWrongNumberOfArgsError, NOT_LET_IN),
    (exceptions.BusyLoadingError, LOADING),
    (exceptions.MasterDownError, "it is a replica without its primary"),
    (exceptions.AskError, CLUSTER),
    (exceptions.ClusterCrossSlotError, CLUSTER),
    (exceptions.ClusterError, CLUSTER),
    (exceptions.TryAgainError, CLUSTER),
    (exceptions.NoPermissionError, LACKING),
    (exceptions.OutOfMemoryError, "it is out of memory"),
    (exceptions.ReadOnlyError, "it is read-only"),
)

_WORDS = {
    "ASK": CLUSTER,
    "BUSY": _BUSY,
    "CLUSTERDOWN": CLUSTER,
    "CROSSSLOT": CLUSTER,
    "MISCONF": "it cannot save its data",
    "MOVED": CLUSTER,
    "NOREPLICAS": "it has too few replicas",
    "UNKILLABLE": _BUSY,
    "LOADING": LOADING,
    "MASTERDOWN": "it is a replica without its primary",
    "NOAUTH": NOT_LET_IN,
    "NOPERM": LACKING,
    "OOM": "it is out of memory",
    "READONLY": "it is read-only",
    "TRYAGAIN": CLUSTER,
    "UNBLOCKED": "it has become a replica",
}
"""First words of error replies that redis-py, or one of its versions, has no class for, or that a script hands on."""

# What a command within a script was answered: Redis 6 quotes it, later ones say it as if it were the script's answer.
_WITHIN = re.compile(r"@user_script: ?\d+: (?:@user_script: \d+: )?-?([A-Z]+) ")

_BENEATH: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, UNTRUSTED),
    (ssl.SSLError, "TLS failed"),
    (socket.gaierror, "its name does not resolve"),
    (ConnectionRefusedError, "it refuses connections"),
    (FileNotFoundError, "a file that its URL names does not exist"),
    (PermissionError, "a file that its URL names may not be used"),
    (TimeoutError, SILENT),
    (exceptions.TimeoutError, SILENT),
    (exceptions.InvalidResponse, STRANGE),
)


def why(error: BaseException) -> str:
    """What is wrong, from what opening, writing to or reading from a connection raised."""
    for cause in _causes(error):
        for kind, words in _BENEATH:
            if isinstance(cause, kind):
                return words
    if isinstance(error, exceptions.RedisError) and (said := unable(error)) is not None:
        return said
    return "it has too many clients" if "max number of clients" in str(error) else CLOSED


def unable(reply: exceptions.RedisError) -> str | None:
    """What an error reply says is wrong with Redis, or with what the gateway is there; None where it is the command."""
    for kind, words in _SAID:
        if isinstance(reply, kind):
            return words
    text = str(reply)
    within = _WITHIN.search(text)
    return _WORDS.get(within[1] if within else text.partition(" ")[0])


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
