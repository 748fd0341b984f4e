"""`cache.refresh_ahead` and `cache.ttl_jitter`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.snapshot import AheadPolicy, Rate
from gateway.config.compile import snapshot
from gateway.config.errors import ConfigInvalid
from gateway.config.load import load
from gateway.config.units import format_share, parse_share

FILE = """\
upstreams: {{api: {{url: http://api.example}}}}
keys: [{{id: me, key: a-long-enough-key}}]
routes: [{{cache: {cache}, price: 1}}]
"""


def written(folder: Path, cache: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(FILE.format(cache=cache))
    return path


@pytest.mark.parametrize(
    ("cache", "ahead", "jitter"),
    [
        pytest.param("15m", None, 0.0, id="left out"),
        pytest.param("{ttl: 15m, refresh_ahead: false}", None, 0.0, id="off"),
        pytest.param("{ttl: 15m, refresh_ahead: true}", AheadPolicy(10, 0.2, Rate(60, 60.0)), 0.0, id="defaults"),
        pytest.param(
            "{ttl: 15m, ttl_jitter: 12.5%, refresh_ahead: {hits: 3, last: 50%, rate: 1/s}}",
            AheadPolicy(3, 0.5, Rate(1, 1.0)),
            0.125,
            id="all of it",
        ),
    ],
)
def test_compiled(tmp_path: Path, cache: str, ahead: AheadPolicy | None, jitter: float) -> None:
    compiled = snapshot(load(written(tmp_path, cache))).routes[0].cache
    assert compiled is not None
    assert (compiled.ahead, compiled.policy.ttl_jitter) == (ahead, jitter)


@pytest.mark.parametrize(
    ("cache", "message"),
    [
        ("{ttl_jitter: 51%}", "must be 50% at most"),
        ("{ttl_jitter: 0.1}", "must be a share such as 10%, from 0% to 100%"),
        ("{ttl_jitter: 101%}", "must be a share such as 10%, from 0% to 100%"),
        ("{refresh_ahead: {last: 0%}}", "must be more than 0%"),
        ("{refresh_ahead: {hits: 0}}", "must be at least 1"),
        ("{refresh_ahead: {rate: none}}", "must be a rate"),
    ],
)
def test_refused(tmp_path: Path, cache: str, message: str) -> None:
    with pytest.raises(ConfigInvalid, match=message):
        load(written(tmp_path, cache))


@given(hundredths=st.integers(0, 10_000))
def test_a_share_is_spelled_as_it_was_read(hundredths: int) -> None:
    text = f"{hundredths / 100:g}%"
    assert format_share(parse_share(text)) == text
