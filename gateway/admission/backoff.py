"""How long to wait before a call that failed is tried again."""

from gateway.admission.background import RetryPolicy

# Enough to come from a millisecond to years.
_MOST_DOUBLINGS = 40


def pause(retry: RetryPolicy, attempts: int, share: float) -> float:
    """Seconds from the last of `attempts` (at least 1) failures to the next try, by a draw `share` in [0, 1).

    It doubles from `first` up to `longest`, and half of it is drawn ("equal jitter"): what failed together does not
    come back together, and an upstream in trouble is left alone for a while in any case. With all of it drawn
    ("full jitter") many would come spread wider, but some at once; here only the few of a pace wait at a time.
    """
    whole = min(retry.longest, retry.first * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS))
    return whole * (1.0 + share) / 2.0
