"""What the benchmark checks before it believes a figure: answers, their sizes, their charges, and the books."""

import gzip
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
METERED = {
    "Age": "0",
    "Cache-Status": "gateway; hit; ttl=9",
    "Content-Type": "application/json",
    "Date": "now",
    "Via": "1.1 gateway",
    "X-Request-Id": "1",
    "X-Tokens-Consumed": "1",
    "X-Tokens-Remaining": "7",
    "RateLimit-Policy": "p",
    "RateLimit": "r",
    "X-RateLimit-Tokens-Remaining": "7",
    "X-RateLimit-Throttle-Limit": "9",
    "X-RateLimit-Throttle-Remaining": "8",
    "X-RateLimit-Reset": "later",
}
TOKENS = b'{"id": 1, "tokens_consumed": 1, "tokens_remaining": 7}'


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def _part(name: str) -> Any:
    return importlib.import_module(f"bench.{name}")


def _answer(changed: Mapping[str, str | None], body: bytes = TOKENS) -> Any:
    told = {name.lower(): value for name, value in {**METERED, **changed}.items() if value is not None}
    return _part("processes").Answer(200, told, body)


class Fixed:
    """A server that gives one answer to everything."""

    name = "nginx"

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def get(self, *_: object, **__: object) -> Any:
        return self._answer


@pytest.mark.parametrize(
    ("fields", "body"),
    [({}, TOKENS), ({"Content-Encoding": "gzip"}, gzip.compress(TOKENS))],
    ids=["plain", "gzip"],
)
def test_a_whole_hit_passes(fields: dict[str, str], body: bytes) -> None:
    _part("checks").check_hit(_answer(fields, body))


@pytest.mark.parametrize("name", sorted(METERED))
def test_a_hit_without_a_field_ends_the_run(name: str) -> None:
    with pytest.raises(AssertionError, match=name.lower()):
        _part("checks").check_hit(_answer({name: None}))


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"Cache-Status": "gateway; fwd=uri-miss; stored"}, TOKENS),
        ({}, b'{"id": 1, "tokens_consumed": 1, "tokens_remaining": 8}'),
        ({}, b'{"id": 1, "tokens_consumed": 0, "tokens_remaining": 7}'),
    ],
    ids=["no hit", "another remainder", "another charge"],
)
def test_what_is_no_metered_hit_ends_the_run(fields: dict[str, str], body: bytes) -> None:
    with pytest.raises(AssertionError):
        _part("checks").check_hit(_answer(fields, body))


@pytest.mark.parametrize("changed", [b"", b" "], ids=["as it is", "a byte more"])
@pytest.mark.parametrize("tokens", [b"", b', "tokens_consumed": 1, "tokens_remaining": 999'], ids=["bare", "tokens"])
def test_a_body_is_the_upstreams_byte_for_byte(tokens: bytes, changed: bytes) -> None:
    load, checks = _part("load"), _part("checks")
    body = _part("upstream").product(load.target(3).rpartition("/")[2])[:-1] + tokens + b"}" + changed
    server = Fixed(_part("processes").Answer(200, {}, body))

    if changed:
        with pytest.raises(AssertionError, match="another body"):
            checks.ask(server, load.Asked(first=3))
    else:
        assert checks.ask(server, load.Asked(first=3)).body == body


@pytest.mark.parametrize(
    ("size", "passes"),
    [(2_000, True), (2_030, True), (2_600, False), (1_500, False)],
    ids=["same", "near", "more", "less"],
)
def test_wrk_must_have_got_whole_answers(size: float, passes: bool) -> None:
    measured = _part("load").Measured(10_000, size, 1.0, 1.0, 1.0, 1.0)

    if passes:
        _part("checks").check_sizes(Fixed(None), 2_000, [measured], 32)
    else:
        with pytest.raises(SystemExit, match="bytes for an answer of 2000"):
            _part("checks").check_sizes(Fixed(None), 2_000, [measured], 32)


@pytest.mark.parametrize(
    ("tokens", "passes"),
    [(99, False), (100, True), (132, True), (133, False)],
    ids=["less", "each", "under way", "more"],
)
def test_each_hit_costs_a_token(tokens: int, passes: bool) -> None:
    counted = _part("parts.arena").Counted()

    if passes:
        counted.add(100, tokens, 32)
        counted.add(100, tokens, 32)
        assert (counted.answers, counted.tokens) == (200, 2 * tokens)
    else:
        with pytest.raises(SystemExit, match="tokens were charged for 100 answers"):
            counted.add(100, tokens, 32)


def test_a_gateway_that_is_killed_lacks_what_it_charged(tmp_path: Path) -> None:
    arena, own = _part("parts.arena"), _part("peers.own")
    peers, settings = _part("peers"), _part("settings")
    with peers.source() as source, peers.placed(source, arena.KEYS) as place, own.gateway(place) as server:
        _part("checks").check(peers.PEERS["gateway"], server, source)

        table = _part("parts.books").books(arena.Arena(settings.Settings(), source, {"gateway": server}))

    # Three calls of the first key and one of the poor one.
    assert table.rows[0][-2:] == ("4", "4")
    assert [goal.reached for goal in table.goals] == [True]


def test_what_a_full_gateway_begins_with_is_as_if_fetched() -> None:
    peers, settings = _part("peers"), _part("settings").Settings(stored=500, keys=3)
    with peers.source() as source, _part("parts.full").filled(settings, source) as full:
        memory = _part("parts.full").memory(full)

    assert [row[0] for row in memory.rows] == ["as it came", "packed as well"]
    assert full.packed > full.fetched > _part("parts.full").BODY
    assert json.loads(memory.rows[0][3].replace(",", "")) == pytest.approx(full.fetched, abs=1)
