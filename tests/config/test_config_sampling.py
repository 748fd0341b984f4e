"""`log.sample`: shares as the config spells them."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.config.sampling import Sampled, format_share, parse_share
from gateway.config.schema import Log
from gateway.metrics import CacheLabel


@pytest.mark.parametrize(("text", "share"), [("all", 1), ("none", 0), ("1/1", 1), ("1/100", 100)])
def test_a_share(text: str, share: int) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize(
    "value", ["", "1", "2/3", "1/0", "1/-2", "1/2.5", "100", "ALL", 1, None, True, "1/" + "9" * 10]
)
def test_what_is_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"must be all, none, or a share such as 1/100"):
        parse_share(value)


@given(st.integers(0, 10**9 - 1))
def test_spelled_and_read_again(share: int) -> None:
    assert parse_share(format_share(share)) == share


@pytest.mark.parametrize(
    ("given", "sample"),
    [
        ({}, {"hit": 100}),
        ({"sample": {}}, {"hit": 100}),
        ({"sample": {"hit": "all"}}, {"hit": 1}),
        ({"sample": {"pass": "none", "miss": "1/10"}}, {"hit": 100, "pass": 0, "miss": 10}),
    ],
)
def test_hits_are_sampled_where_nothing_is_said_of_them(given: dict[str, object], sample: dict[str, int]) -> None:
    assert Log.model_validate(given).sample == sample


def test_it_names_what_the_metrics_do() -> None:
    assert get_args(Sampled) == get_args(CacheLabel)
    with pytest.raises(ValidationError):
        Log.model_validate({"sample": {"hits": "all"}})
