import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.sheet import as_csv

CELLS = {
    "text": ("plain", "plain"),
    "a comma": ("a,b", '"a,b"'),
    "a quote": ('a"b', '"a""b"'),
    "a formula": ("=1+1", "'=1+1"),
    "plus": ("+1", "'+1"),
    "minus": ("-x", "'-x"),
    "at": ("@SUM(A1)", "'@SUM(A1)"),
    "a tab": ("\t=1", "'\t=1"),
    "a line's end": ("\r=1", '"\'\r=1"'),
    "a number below zero": (-9, "-9"),
    "nothing": (None, ""),
    "yes": (True, "true"),
    "no": (False, "false"),
}


@pytest.mark.parametrize(("cell", "written"), CELLS.values(), ids=CELLS)
def test_cells(cell: str | int | bool | None, written: str) -> None:
    assert as_csv([["x", cell]]) == f"x,{written}\n"


@given(st.lists(st.text(), min_size=2, max_size=4))
def test_any_text_is_read_back_and_begins_no_formula(row: list[str]) -> None:
    (read,) = csv.reader(io.StringIO(as_csv([row]), newline=""))
    assert [cell.removeprefix("'") for cell in read] == [cell.removeprefix("'") for cell in row]
    assert not [cell for cell in read if cell.startswith(("=", "+", "-", "@"))]
