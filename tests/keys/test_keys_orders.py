"""Orders: what is understood, and what is refused with every reason at once."""

import pytest
from keys.rings import create

from gateway.admission.snapshot import Rate, Scope
from gateway.config.section import Section
from gateway.keys.orders import Creation, Fault, Grant, Refused, Rotation, ordered


def test_what_is_left_out_has_its_default() -> None:
    order = create(id="shop", plan=None, scopes=None)
    assert (order.plan, order.throttle, order.test, order.scopes) == (None, None, False, tuple(Scope))
    assert not order.describes
    assert not create(id="shop", test=True).describes
    assert ordered(Rotation, {}).overlap == 86400.0


def test_settings_are_spelled_as_in_the_config() -> None:
    order = create(id="shop", throttle="10/s", scopes=["lookup", "refresh"])
    assert (order.throttle, order.scopes) == (Rate(10, 1.0), (Scope.lookup, Scope.refresh))
    assert order.describes
    assert ordered(Rotation, {"overlap": "0s"}).overlap == 0


WRONG: dict[str, tuple[type[Section], dict[str, object], str]] = {
    "no id": (Creation, {}, "id: "),
    "an id with a slash": (Creation, {"id": "a/b"}, "id: must be a name"),
    "an id that is no text": (Creation, {"id": 5}, "id: must be a name"),
    "a throttle": (Creation, {"id": "a", "throttle": "10"}, "throttle: must be a rate"),
    "no scope": (Creation, {"id": "a", "scopes": []}, "scopes: must not be empty"),
    "another scope": (Creation, {"id": "a", "scopes": ["admin"]}, "scopes.0: "),
    "a date": (Creation, {"id": "a", "expires": "2027-02-30"}, "expires: must be a date"),
    "unknown": (Creation, {"id": "a", "key": "mine"}, "key: "),
    "several": (Creation, {"plan": "", "test": "maybe"}, "test: .*"),
    "an overlap": (Rotation, {"overlap": "-1s"}, "overlap: must be a duration"),
    "no reason": (Grant, {"tokens": 5}, "reason: "),
    "an empty reason": (Grant, {"tokens": 5, "reason": ""}, "reason: "),
    "a reason of lines": (Grant, {"tokens": 5, "reason": "a\nb"}, "reason: "),
    "a long reason": (Grant, {"tokens": 5, "reason": "a" * 501}, "reason: "),
    "tokens as text": (Grant, {"tokens": "5", "reason": "a"}, "tokens: "),
    "a part of a token": (Grant, {"tokens": 0.5, "reason": "a"}, "tokens: "),
    "a truth for tokens": (Grant, {"tokens": True, "reason": "a"}, "tokens: "),
    "too many tokens": (Grant, {"tokens": 10**15 + 1, "reason": "a"}, "tokens: "),
    "too many tokens back": (Grant, {"tokens": -(10**15) - 1, "reason": "a"}, "tokens: "),
}


@pytest.mark.parametrize(("kind", "values", "words"), WRONG.values(), ids=WRONG)
def test_wrong_orders(kind: type[Section], values: dict[str, object], words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        ordered(kind, values)
    assert caught.value.fault is Fault.invalid
    assert "mine" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(Refused, match=r"plan: .*; test: .*"):
        create(id="a", plan="/", test="maybe")
