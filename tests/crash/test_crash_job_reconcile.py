"""Orders, ledger, register and imports held against each other: each difference is found, and no other."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from crash.books import Posted, Reading
from crash.job_books import JobRow, Register
from crash.job_load import Ordered
from crash.job_reconcile import differences

ORDER = Ordered("a", "a-1", "/stores/refreshstore", 5, "1")
SINGLE = Ordered("a", "a-1", "/v1/products/1/refresh", 9, single=True)
ROW = JobRow("j", "background", "a", "done", None, "1", 1, 2, None)
ONE = JobRow("j", "single", "a", "done", None, None, 1, 0, 9)


def ordered(**seen: Any) -> Ordered:
    return replace(ORDER, **seen)


def posted(*operations: int, tokens: int = 5) -> Reading:
    return Reading(requests={"a-1": Posted(Counter(operations), ["accepted"], tokens * len(operations))})


def kept(*rows: JobRow, **rest: Any) -> Register:
    return Register(jobs={row.id: row for row in rows}, since={("a", "1"): 1.0}, **rest)


ANSWERED = ordered(status=200, consumed=5, job="j")
CANCELLED = replace(ROW, state="cancelled")
NOTHING = Reading()
BEGUN = {"a-1": 1}

EXPLAINED = {
    "acknowledged and done": (ANSWERED, posted(1), kept(ROW), BEGUN),
    "its import not known to have begun": (ANSWERED, posted(1), kept(ROW), {}),
    "failed for a reason": (ANSWERED, posted(1), kept(replace(ROW, state="failed", reason="x")), BEGUN),
    "cancelled by its client": (
        ordered(status=200, consumed=5, job="j", cancelled=True),
        posted(1),
        kept(CANCELLED),
        {},
    ),
    "lost and charged": (ordered(), posted(1), kept(ROW), BEGUN),
    "lost and free": (ordered(), NOTHING, kept(ROW), BEGUN),
    "lost without a trace": (ordered(), NOTHING, kept(), {}),
    "refused": (ordered(status=503), NOTHING, kept(), {}),
    "a single one": (replace(SINGLE, status=202, job="j"), posted(1, tokens=9), kept(ONE), {}),
    "a single one that was resumed": (replace(SINGLE, status=202, job="j"), NOTHING, kept(ONE), {}),
}
UNEXPLAINED = {
    "acknowledged and not charged": (ANSWERED, NOTHING, kept(ROW), BEGUN),
    "acknowledged and charged twice": (ANSWERED, posted(1, 2), kept(ROW), BEGUN),
    "acknowledged for another price": (ordered(status=200, consumed=2, job="j"), posted(1, tokens=2), kept(ROW), BEGUN),
    "acknowledged without a job": (ANSWERED, posted(1), kept(replace(ROW, id="other")), BEGUN),
    "another account's job": (ANSWERED, posted(1), kept(replace(ROW, account="b"), replace(ROW, id="k")), BEGUN),
    "done without a refreshDate": (ANSWERED, posted(1), replace(kept(ROW), since={}), BEGUN),
    "still under way": (ANSWERED, posted(1), kept(replace(ROW, state="running")), BEGUN),
    "cancelled by nobody": (ANSWERED, posted(1), kept(CANCELLED), {}),
    "two imports": (ANSWERED, posted(1), kept(ROW), {"a-1": 2}),
    "an import that nobody ordered": (ANSWERED, posted(1), kept(ROW), {"b-1": 1}),
    "an import that was refused": (ordered(status=503), NOTHING, kept(), BEGUN),
    "refused and charged": (ordered(status=503), posted(1), kept(ROW), {}),
    "lost and charged twice": (ordered(), posted(1, 2), kept(replace(ROW, orders=2)), BEGUN),
    "charged without a job": (ordered(), posted(1), kept(), {}),
    "a job that nobody ordered": (ordered(), NOTHING, kept(ROW, replace(ROW, id="k")), {}),
    "a single one charged twice": (replace(SINGLE, status=202, job="j"), posted(1, 2, tokens=9), kept(ONE), {}),
    "a reservation that stays": (ANSWERED, replace(posted(1), reserved=1), kept(ROW), BEGUN),
    "a ledger that does not add up": (ANSWERED, replace(posted(1), unsound=["x"]), kept(ROW), BEGUN),
    "a register that does not add up": (ANSWERED, posted(1), kept(ROW, unsound=["x"]), BEGUN),
    "work that stays": (ANSWERED, posted(1), kept(ROW, under_way=1), BEGUN),
}


@pytest.mark.parametrize(("order", "reading", "register", "begun"), EXPLAINED.values(), ids=EXPLAINED.keys())
def test_explained(order: Ordered, reading: Reading, register: Register, begun: dict[str, int]) -> None:
    assert differences([order], reading, register, begun) == []


@pytest.mark.parametrize(("order", "reading", "register", "begun"), UNEXPLAINED.values(), ids=UNEXPLAINED.keys())
def test_unexplained(order: Ordered, reading: Reading, register: Register, begun: dict[str, int]) -> None:
    assert differences([order], reading, register, begun) != []
