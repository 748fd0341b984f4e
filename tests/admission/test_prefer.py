"""Prefer as clients send it (RFC 7240): which requests would rather have a 202 at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.admission.prefer import responds_async

PREFERS: dict[str, tuple[list[str], bool]] = {
    "none": ([], False),
    "alone": (["respond-async"], True),
    "any case (2)": (["Respond-ASYNC"], True),
    "among others (2)": (["return=minimal, respond-async, wait=10"], True),
    "in a second field (2)": (["wait=10", "respond-async"], True),
    "with wait, which is not heeded (4.3)": (["respond-async, wait=100"], True),
    "with parameters (2)": (['respond-async; a=1; b="x, y" ;c'], True),
    "an empty parameter (2)": (["respond-async;"], True),
    "an empty value is none (2)": (['respond-async=""'], True),
    "blanks around an empty value": (['respond-async = ""'], True),
    "a value makes another of it": (["respond-async=no"], False),
    "a quoted value too": (['respond-async="yes"'], False),
    "the first counts (2)": (["respond-async=no, respond-async"], False),
    "the first counts, over fields": (["respond-async", "respond-async=no"], True),
    "empty members": ([", ,respond-async,"], True),
    "empty field": ([""], False),
    "part of another name": (["respond-asynchronously"], False),
    "a value of another": (["return=respond-async"], False),
    "in another's string": (['foo="respond-async, respond-async"'], False),
    "behind another's string": (['foo="a, \\" b", respond-async'], True),
    "no preference at all": (["respond async"], False),
    "no preference, and then one": (["=x, respond-async"], True),
    "a string that never ends": (['foo="bar, respond-async'], True),
}


@pytest.mark.parametrize(("lines", "prefers"), PREFERS.values(), ids=PREFERS)
def test_whether_it_would_rather_not_wait(lines: list[str], prefers: bool) -> None:
    assert responds_async(CIMultiDict([("Prefer", line) for line in lines])) is prefers


NAMES = st.text("abcdefghijklmnop-", min_size=1, max_size=12).filter(lambda name: name != "respond-async")
STRINGS = st.text('abc ,;="\\', max_size=10).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
PREFERENCES = st.one_of(NAMES, st.builds("{}={}".format, NAMES, st.one_of(NAMES, STRINGS)))


@given(st.lists(PREFERENCES, max_size=5), st.lists(PREFERENCES, max_size=5), st.booleans())
def test_other_preferences_change_nothing(before: list[str], after: list[str], prefers: bool) -> None:
    line = ", ".join([*before, *(["respond-async"] if prefers else []), *after])
    assert responds_async(CIMultiDict({"Prefer": line})) is prefers


@given(st.text(max_size=60))
def test_nothing_that_is_sent_is_a_fault(line: str) -> None:
    assert responds_async(CIMultiDict({"Prefer": line})) in (True, False)
