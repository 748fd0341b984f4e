"""The socket that clients connect to, before anyone listens on it."""

import socket

from gateway.errors import BadStart


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket bound to the address; raises BadStart with the fix where it is taken.

    A `shared` one lets others be bound there: the kernel spreads connections over those that are listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise BadStart(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listening
