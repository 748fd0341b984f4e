"""`python -m gateway.workers CHANNEL LISTENING`: one worker, started by the supervisor with these two descriptors."""

import os
import signal
import sys


def main() -> None:
    """As `gateway serve`: a worker that has yet to load its libraries has nothing open."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # Here, as it takes a moment.
    from gateway.exiting import end_with
    from gateway.workers.worker import work

    channel, listening = map(int, sys.argv[1:])
    end_with(lambda: work(channel, listening))


if __name__ == "__main__":
    main()
