"""traceparent (W3C Trace Context, §3.2)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.admission.trace import trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "value",
    [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-ff", f"01-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01-later"],
    ids=["sampled", "unknown flags", "a later version", "a later version with more"],
)
def test_the_id(value: str) -> None:
    assert trace_id(CIMultiDict({"Traceparent": value})) == TRACE


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        (f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01"),
        (f"00-{TRACE}-{PARENT}-01-more",),
        (f"00-{TRACE}-{PARENT}-01-",),
        (f"01-{TRACE}-{PARENT}-01more",),
        (f"ff-{TRACE}-{PARENT}-01",),
        (f"00-{'0' * 32}-{PARENT}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (f"00-{TRACE.upper()}-{PARENT}-01",),
        (f"00-{TRACE[1:]}-{PARENT}-01",),
        (f"00-{TRACE}-{PARENT}",),
        (f"0-{TRACE}-{PARENT}-01",),
        (f"00-{TRACE}-{PARENT}-01\n",),
        (f"{TRACE}",),
    ],
    ids=[
        "none",
        "empty",
        "two",
        "more in the first version",
        "a dash more",
        "more without a dash",
        "no version",
        "a trace of zeros",
        "a parent of zeros",
        "capitals",
        "short",
        "no flags",
        "half a version",
        "another line",
        "nothing else",
    ],
)
def test_what_is_none(values: tuple[str, ...]) -> None:
    assert trace_id(CIMultiDict([("traceparent", value) for value in values])) is None


@given(st.text(max_size=80))
def test_nothing_but_hexadecimal_digits_comes_of_it(value: str) -> None:
    for given_value in (value, f"00-{value}-{PARENT}-01", f"01-{TRACE}-{PARENT}-01-{value}"):
        found = trace_id(CIMultiDict({"traceparent": given_value}))
        assert found is None or re.fullmatch("[0-9a-f]{32}", found)
