"""How long an upstream took."""

from gateway.exchange import Exchange


def test_a_whole_answer() -> None:
    exchange = Exchange(10.0)
    assert (exchange.head, exchange.seconds) == (None, None)
    exchange.answered(10.5)
    assert (exchange.head, exchange.seconds) == (0.5, 0.5)
    exchange.ended(12.0)
    exchange.ended(13.0)
    assert (exchange.head, exchange.seconds) == (0.5, 2.0)


def test_no_answer() -> None:
    exchange = Exchange(10.0)
    exchange.ended(13.0)
    assert (exchange.head, exchange.seconds) == (None, 3.0)


def test_a_second_exchange_for_the_same_counts_on() -> None:
    exchange = Exchange(10.0)
    exchange.answered(10.5)
    exchange.answered(11.0)
    assert exchange.head == 1.0


def test_a_clock_that_stands_behind_makes_it_no_less_than_nothing() -> None:
    exchange = Exchange(10.0)
    exchange.answered(9.0)
    exchange.ended(9.0)
    assert (exchange.head, exchange.seconds) == (0.0, 0.0)
