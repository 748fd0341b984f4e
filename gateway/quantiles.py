"""A quantile of what a histogram observed, as Prometheus' `histogram_quantile` reckons it (pure)."""

from collections.abc import Sequence


def quantile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """The value that `share` (0 to 1) of all observations do not exceed, as near as buckets tell; None without any.

    `counts` are observations per bucket, not cumulated: one for each of the rising upper `bounds`, and one for what is
    past the last. Within a bucket they are taken to lie evenly from the bound before, the first one's being 0; of what
    is past the last bound it says that bound, as nothing more is known (Prometheus docs, "histogram_quantile()").
    """
    total = sum(counts)
    if not total:
        return None
    rank, reached, lower = share * total, 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and reached + count >= rank:
            return lower + (bound - lower) * (rank - reached) / count
        reached, lower = reached + count, bound
    return lower
