"""Which of many alike are logged."""

from collections.abc import Sequence

import pytest

from gateway.logs.sampling import Sampling


def weights(sampling: Sampling[str], kind: str, count: int) -> list[int]:
    return [sampling.weight(kind) for _ in range(count)]


@pytest.mark.parametrize(
    ("share", "drawn", "weighed"),
    [
        (1, [], [1, 1, 1, 1, 1, 1]),
        (0, [], [0, 0, 0, 0, 0, 0]),
        (3, [0, 0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]),
        (3, [4, 0, 1, 2], [0, 0, 0, 0, 3, 3]),
        (3, [2, 2, 2], [0, 0, 3, 0, 0, 3]),
    ],
    ids=["all", "none", "the nearest", "the furthest first", "the average"],
)
def test_one_in_so_many(share: int, drawn: Sequence[int], weighed: list[int]) -> None:
    drawing = iter(drawn)
    assert weights(Sampling({"hit": share}, lambda _: next(drawing)), "hit", 6) == weighed


def test_each_kind_counts_by_itself() -> None:
    sampling = Sampling({"hit": 2, "stale": 2}, lambda _: 1)
    assert [sampling.weight(kind) for kind in ("hit", "stale", "miss", "hit", "stale")] == [0, 0, 1, 2, 2]


def test_what_stands_for_so_many_adds_up_to_them() -> None:
    counted = sum(weights(Sampling({"hit": 10}), "hit", 100_000))
    # 10,000 draws of a uniform distance: ten standard deviations to either side.
    assert 94_000 < counted < 106_000


def test_what_comes_by_turns_does_not_hide() -> None:
    sampling = Sampling({"hit": 4})
    logged = {turn % 4 for turn in range(10_000) if sampling.weight("hit")}
    assert logged == {0, 1, 2, 3}
