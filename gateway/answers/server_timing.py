"""The Server-Timing field (W3C Server Timing, §2): how the request was handled, and how long that took."""

from functools import lru_cache


@lru_cache(maxsize=1024)
def timing_line(cache: str, hundredths: int) -> bytes:
    """The field line where nothing was waited for: `cache` is the metrics' label, the time in 10 µs.

    Most hits take one of few times, as counted so; making the text would take longer than all else about it.
    """
    return f"Server-Timing: cache;desc={cache}, total;dur={hundredths / 100:.2f}\r\n".encode("ascii")


def timings_line(cache: str, total: float, upstream: float | None, waited: float) -> bytes:
    """The field line of what had to wait; seconds, which become milliseconds.

    `total` is the gateway's time until the answer is made, `upstream` that of the exchange it waited for, `waited` what
    it did for a fetch that another had begun. What an upstream said of itself is on lines of its own before it.
    """
    line = b"Server-Timing: cache;desc=%b" % cache.encode("ascii")
    if upstream is not None:
        line += b", upstream;dur=%.2f" % (upstream * 1000)
    if waited:
        line += b", waited;dur=%.2f" % (waited * 1000)
    return line + b", total;dur=%.2f\r\n" % (total * 1000)
