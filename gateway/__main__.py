"""The `gateway` command's entry, and `python -m gateway`."""

import os
import signal
import sys


def main() -> None:
    """Runs the command. What has the config read again must not end a gateway that has yet to load its libraries."""
    if sys.argv[1:2] == ["serve"]:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # Until it serves, nothing is open. Left out, a container's first process would not hear of it.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # Here, as it takes a moment.
    from gateway.cli import app

    app()


if __name__ == "__main__":
    main()
