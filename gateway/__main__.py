"""The `gateway` command's entry, and `python -m gateway`."""

import signal
import sys


def main() -> None:
    """Runs the command. What has the config read again must not end a gateway that has yet to load its libraries."""
    if sys.argv[1:2] == ["serve"]:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Here, as it takes a moment.
    from gateway.cli import app

    app()


if __name__ == "__main__":
    main()
