"""The order API's rate limit on a time of the test's."""

from gateway.demo.window import Window


def test_so_many_calls_and_then_none_until_the_next_window() -> None:
    window = Window(limit=2, seconds=60.0)
    assert window.left(900.0) == (2, 60)
    assert [window.take(now) for now in (1000.0, 1001.0, 1002.0)] == [True, True, False]
    assert window.left(1002.0) == (0, 58)
    assert not window.take(1059.9)
    assert window.left(1059.9) == (0, 1)
    assert window.take(1060.0)
    assert window.left(1060.0) == (1, 60)
    assert window.left(1120.0) == (2, 60)
