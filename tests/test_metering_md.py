"""docs/metering.md: its table of outcomes is the code's, and every test that it names exists."""

import re
from pathlib import Path

import pytest

from gateway.admission.outcomes import Outcome
from gateway.errors import Reason

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "metering.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:\w+/)*test_\w+\.py)`", PAGE)))


def test_the_table_of_outcomes_is_the_codes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", PAGE.partition("## Plans")[0], re.MULTILINE)
    assert rows == [(outcome.name, outcome.pays.value, outcome.meaning) for outcome in Outcome]


@pytest.mark.parametrize("name", NAMED)
def test_every_test_named_exists(name: str) -> None:
    assert (TESTS / name).is_file()


def test_every_promise_names_its_tests() -> None:
    promises = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert rows
    assert [row for row in rows if "test_" not in row] == []


def test_every_reason_named_is_one() -> None:
    named = set(re.findall(r"(?:401|402|403|404|409|422|503) `(\w+)`", PAGE))
    named |= set(re.findall(r"(?:401|402|403|404)\s+\(`(\w+)`\)", PAGE))
    assert {"over_max_tokens", "request_in_progress", "ledger_unavailable", "expired_key"} <= named
    assert named <= set(Reason.__members__)
