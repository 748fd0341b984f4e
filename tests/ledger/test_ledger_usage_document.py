"""The document of a month's usage: what it holds, and that it is read back as it was."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.usage import By, Sums, Usage
from gateway.ledger.usage_document import usage_document, usage_told

AMOUNT = st.integers(-(2**63), 2**63 - 1)
SUMS = st.builds(Sums, st.text(), AMOUNT, AMOUNT, AMOUNT, AMOUNT)
USAGES = st.builds(
    lambda by, closed, rows, total, rest: Usage(
        "2026-11", "UTC", by, closed, tuple(rows), total._replace(name="total"), rest and rest._replace(name="rest")
    ),
    st.sampled_from(By),
    st.booleans(),
    st.lists(SUMS, max_size=5),
    SUMS,
    st.none() | SUMS,
)


def document() -> dict[str, Any]:
    return usage_document(Usage("2026-11", "UTC", By.outcome, True, (Sums("", 0, 0, 0, 6),), Sums("total", 0, 0, 0, 6)))


def test_what_belongs_to_no_group_is_null() -> None:
    assert document() == {
        "month": "2026-11",
        "timezone": "UTC",
        "by": "outcome",
        "closed": True,
        "rows": [{"outcome": None, "requests": 0, "tokens": 0, "refunded": 0, "vendor_tokens": 6}],
        "total": {"requests": 0, "tokens": 0, "refunded": 0, "vendor_tokens": 6},
    }


@given(USAGES)
def test_it_is_read_back_as_it_was(told: Usage) -> None:
    assert usage_told(orjson.loads(orjson.dumps(usage_document(told)))) == told


def test_a_later_version_may_tell_more() -> None:
    assert usage_document(usage_told(document() | {"more": 1})) == document()


ROW = {"outcome": "hit", "requests": 1, "tokens": 1, "refunded": 0, "vendor_tokens": 0}
OTHER: dict[str, dict[str, Any]] = {
    "a grouping": {"by": "colour"},
    "rows of another grouping": {"by": "key"},
    "no rows": {"rows": None},
    "a row": {"rows": ["hit"]},
    "a row without an amount": {"rows": [{"outcome": "hit"}]},
    "a name": {"rows": [ROW | {"outcome": 7}]},
    "an amount": {"rows": [ROW | {"tokens": "7"}]},
    "a total": {"total": []},
    "a rest": {"rest": []},
    "whether it is closed": {"closed": 1},
    "a month": {"month": 11},
}


@pytest.mark.parametrize("changed", OTHER.values(), ids=OTHER)
def test_any_other_document_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"usage|Usage|By"):
        usage_told(document() | changed)


def test_nothing_is_no_usage() -> None:
    with pytest.raises(ValueError, match="no month's usage"):
        usage_told({})
