"""What is told once, as long as it is remembered."""

from gateway.background.firsts import Firsts


def test_it_is_told_once() -> None:
    firsts = Firsts()
    asked = [("a",), ("a", 1), ("a",), ("b", 1), ("a", 1)]
    assert [firsts.is_first(*what) for what in asked] == [True, True, False, True, False]


def test_of_very_many_that_is_forgotten_which_was_not_asked_for_longest() -> None:
    firsts = Firsts(most=2)
    assert [firsts.is_first(what) for what in "abaca"] == [True, True, False, True, False]
    assert [firsts.is_first(what) for what in "bca"] == [True, True, True]
