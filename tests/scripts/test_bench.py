"""The benchmark's own parts: its upstream, what it makes of wrk's words, how it fills a server, and its tables."""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.scripts import answer
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

WRK = """#!/bin/sh
echo "$@" >>"$ASKED"
cat <<END
Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   300.31us  412.10us   9.71ms   97.56%
  Latency Distribution
     50%  234.00us
     75%  300.00us
     90%    1.50ms
     99%    2.10s{space}
  {answers} requests in 1.00s, 18.00MB read
{trouble}
Requests/sec:  {answers}.50
Transfer/sec:     18.00MB
END
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def source() -> Iterator[Any]:
    """The bench's upstream as a process of its own."""
    with _part("peers").source() as server:
        yield server


class Wrk:
    """A `wrk` that measures nothing, and says what it was asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = folder / "wrk"
        self._asked = folder / "asked"
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.setenv("ASKED", str(self._asked))

    def says(self, answers: int = 1200, trouble: str = "") -> None:
        """What it prints from now on."""
        self._path.write_text(WRK.format(answers=answers, trouble=trouble, space=" "))
        self._path.chmod(0o755)

    @property
    def asked(self) -> list[list[str]]:
        return [line.split() for line in self._asked.read_text().splitlines()]


@pytest.fixture
def wrk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wrk:
    found = Wrk(tmp_path, monkeypatch)
    found.says()
    return found


def _part(name: str) -> Any:
    return importlib.import_module(f"bench.{name}")


@pytest.mark.parametrize("size", [1_024, 1_700, 16_000])
def test_a_product_is_json_of_the_size_asked_for(source: Any, size: int) -> None:
    answer = source.get(f"/v1/products/10000000042?size={size}")

    assert answer.status == 200
    assert len(answer.body) == size
    assert json.loads(answer.body)["item_id"] == "10000000042"


def test_the_upstream_counts_products_alone(source: Any) -> None:
    load = _part("load")

    assert load.calls(source) == 0
    source.get(load.target(1))
    source.get(load.target(1))

    assert load.calls(source) == 2


def test_a_server_that_ends_at_once_says_why() -> None:
    processes = _part("processes")
    command = [sys.executable, "-c", "raise SystemExit('the config is wrong')"]

    with pytest.raises(SystemExit, match="the config is wrong"), processes.running(command, processes.free_port()):
        pass


def test_wrk_is_understood(source: Any, wrk: Wrk) -> None:
    load = _part("load")

    measured = load.measure(source, load.Asked(), 1)

    assert (measured.answers, measured.rate) == (1200, 1200.5)
    assert (measured.p50, measured.p99) == (pytest.approx(0.234), pytest.approx(2_100))
    assert measured.size == 18 * 2**20 / 1200
    assert wrk.asked[0][-1].endswith(load.target(0))


@pytest.mark.parametrize(
    "trouble", ["  Non-2xx or 3xx responses: 3", "  Socket errors: connect 0, read 1, write 0, timeout 0"]
)
def test_a_round_with_a_wrong_answer_ends_the_run(source: Any, wrk: Wrk, trouble: str) -> None:
    load = _part("load")
    wrk.says(trouble=trouble)

    with pytest.raises(SystemExit, match="did not answer everything"):
        load.measure(source, load.Asked(), 1)


def test_filling_goes_on_where_the_last_round_ended(source: Any, wrk: Wrk) -> None:
    load = _part("load")

    load.fill(source, load.Asked(urls=2_000, first=70), 60)

    # Of 1,200 answers the last 64 are asked for again: they may have been under way when the round ended.
    named = [asked[asked.index("--") + 1 :] for asked in wrk.asked]
    assert named == [["sequence", "1", "2000", "70"], ["sequence", "1", "864", "1206"]]


def test_filling_that_takes_too_long_ends(source: Any, wrk: Wrk) -> None:
    load = _part("load")

    with pytest.raises(AssertionError, match="takes too long"):
        load.fill(source, load.Asked(urls=2_000), 0)


def test_every_request_carries_what_is_asked_with(source: Any, wrk: Wrk) -> None:
    load = _part("load")

    load.measure(source, load.Asked(further=(("Accept-Encoding", "gzip"),)), 1)

    told = " ".join(wrk.asked[0])
    assert "-H Authorization: Bearer rk_bench_000000 -H Accept: */*" in told
    assert "-H Accept-Encoding: gzip" in told


def test_hits_must_be_hits(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load = _part("load")
    measured = load.Measured(1, 1.0, 1.0, 1.0, 1.0, 1.0)

    def ask(*_: object) -> object:
        source.get(load.target(1))
        return measured

    monkeypatch.setattr(load, "measure", ask)
    with pytest.raises(SystemExit, match="these are not hits"):
        load.measure_hits(source, source, load.Asked(), 1)


def test_every_mix_of_keys_starts_with_the_book_up_to_date(source: Any, upstream: ScriptedUpstream, wrk: Wrk) -> None:
    """A book that is behind would be paid for by the round after."""
    server = _part("processes").Server("gateway", upstream.port, os.getpid())
    receipt = "/-/receipts/rcpt_7fffffffffff"
    upstream.then(receipt, answer("behind", 503))
    upstream.script(receipt, answer("none", 404))
    settings = _part("settings").Settings(rounds=2, seconds=1)

    table = _part("parts.keys").keys(_part("parts.arena").Arena(settings, source, {"gateway": server}))

    assert [row[0] for row in table.rows] == [
        "one key",
        "1,000 keys, the same URLs",
        "1,000 keys, 1,000 URLs",
        "one key, a receipt each",
    ]
    assert {row[3] for row in table.rows} == {"1.00"}
    assert [(goal.wanted.rpartition(" ")[2], goal.reached) for goal in table.goals] == [("0.80", True)] * 2
    assert len(upstream.calls(receipt)) == 2 + 2 * len(table.rows)
    asked = [words[words.index("--") + 1 :] for words in wrk.asked]
    assert asked[0][:3] == ["sequence", "1", "1000"]
    mixes = [["1", "10"], ["1000", "10"], ["1000", "1000"], ["1", "10"]]
    assert [words[1:3] for words in asked[1:]] == mixes * 2


def test_a_table_is_markdown_with_its_goals() -> None:
    report = _part("report")
    goals = [report.at_least("hits ÷ nginx", 1.5, 1.3), report.at_most("added ms", 0.5, 0.4)]

    text = report.Table("Hits", "One key.", ("", "hits/s"), [("gateway", "9"), ("nginx", "1,000")], goals).text()

    assert text.splitlines() == [
        "## Hits",
        "",
        "One key.",
        "",
        "|         | hits/s |",
        "| ------- | ------ |",
        "| gateway |      9 |",
        "| nginx   |  1,000 |",
        "",
        "- reached: hits ÷ nginx at least 1.30 (1.50)",
        "- MISSED: added ms at most 0.40 (0.50)",
    ]


def test_the_environment_sets_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_STORED", "1000000")
    settings = _part("settings").Settings

    assert settings.read(quick=True).stored == 1_000_000
    assert settings.read(quick=True).keys < settings.read(quick=False).keys
