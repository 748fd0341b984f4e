"""Asks the gateway of this machine whether it is ready, as a health check does: `python -m gateway.ready`.

It finds the admin port by GATEWAY_ADMIN, and loads nothing else of the gateway: it is run every few seconds.
"""

import os
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException

# Seconds for each step.
_PATIENCE = 2.0
# Bytes.
_MOST_CONTENT = 64 << 10
_LEFT_OUT = "127.0.0.1:9180"
# Who listens everywhere listens on loopback too.
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here


def main() -> None:
    """Exits with 0 where the gateway is ready; else with 1, and says why."""
    sys.exit(unready(*address(os.environ.get("GATEWAY_ADMIN") or _LEFT_OUT)))


def address(listen: str) -> tuple[str, int]:
    """Host and port to reach an `admin.listen` by. Raises ValueError where it has no port."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return _EVERYWHERE.get(host, host), int(port)


def unready(host: str, port: int) -> str | None:
    """Why the gateway there is not ready, in lines; None where it is."""
    with closing(HTTPConnection(host, port, timeout=_PATIENCE)) as connection:
        try:
            connection.request("GET", "/readyz?verbose")
            reply = connection.getresponse()
            content = reply.read(_MOST_CONTENT)
        except (OSError, HTTPException) as error:
            return f"{host} port {port}: {error}"
    return None if reply.status == 200 else content.decode(errors="replace").rstrip()


if __name__ == "__main__":
    main()
