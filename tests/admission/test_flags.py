"""Query flags: on, off, and refused with the parameter's name."""

import pytest

from gateway.admission.flags import flags_on
from gateway.admission.target import canonical
from gateway.errors import Problem, Reason

NAMES = {"a": "a", "b%5B%5D": "b[]"}


@pytest.mark.parametrize("spelling", ["a", "a=", "a=1", "a=true", "a=TRUE", "a=Yes", "a=on", "%61=%31", "a&a=yes"])
def test_on(spelling: str) -> None:
    assert flags_on(canonical(f"/?{spelling}").query, NAMES) == {"a"}


@pytest.mark.parametrize("spelling", ["", "a=0", "a=False", "a=no", "a=OFF", "a=0&a=no", "A=1", "other=maybe", "b=1"])
def test_off(spelling: str) -> None:
    assert flags_on(canonical(f"/?{spelling}").query, NAMES) == frozenset()


def test_names_are_given_back_as_configured() -> None:
    assert flags_on(canonical("/?b[]=1&a").query, NAMES) == {"a", "b[]"}


@pytest.mark.parametrize(
    ("spelling", "name"), [("a=2", "a"), ("a=+", "a"), ("b[]=x", "b[]"), ("a=1&a=0", "a"), ("a=off&a", "a")]
)
def test_neither_or_both_is_refused_by_name(spelling: str, name: str) -> None:
    with pytest.raises(Problem) as caught:
        flags_on(canonical(f"/?{spelling}").query, NAMES)
    assert caught.value.reason is Reason.bad_flag
    assert caught.value.detail is not None
    assert f"`{name}`" in caught.value.detail
