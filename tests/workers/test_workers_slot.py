"""A worker's place between two processes: how soon there is another one, and who waits for it."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.addresses import HOST
from support.polling import PATIENCE

from gateway.config.units import Address
from gateway.workers.slot import Slot, pause_before


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0.0), (1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (6, 8.0), (7, 10.0), (10_000, 10.0)],
)
def test_the_pause_grows_to_a_bound(failures: int, seconds: float) -> None:
    assert pause_before(failures) == seconds


@pytest.fixture
def slot() -> Iterator[Slot]:
    made = Slot(0, Address(HOST, 0), ("false",))
    yield made
    made.close()


def connected(slot: Slot) -> socket.socket:
    return socket.create_connection(slot.listening.getsockname(), PATIENCE)


def is_reset(client: socket.socket) -> bool:
    """Whether it hears of its end by now."""
    poll = select.poll()
    poll.register(client, select.POLLIN)
    return bool(poll.poll(0))


def test_whoever_connects_to_one_that_dies_waits_for_the_next(slot: Slot) -> None:
    slot.listening.listen()
    slot.serves(0.0)
    with connected(slot) as client:
        slot.ended(1.0)
        assert (slot.held, slot.failures, slot.ready) == (True, 1, False)
        taken, _ = slot.listening.accept()
        with taken:
            taken.send(b"x")
            assert client.recv(1) == b"x"


@pytest.mark.parametrize("lives", [2, 5], ids=["the second in a row", "many in a row"])
def test_but_not_for_one_that_dies_again_and_again(slot: Slot, lives: int) -> None:
    for _ in range(lives - 1):
        slot.serves(0.0)
        slot.ended(9.9)
    slot.listening.listen()
    with connected(slot) as client:
        slot.serves(0.0)
        slot.ended(9.9)
        assert (slot.held, slot.failures) == (False, lives)
        assert is_reset(client)
    # One that has served well for a while is as the first one.
    slot.listening.listen()
    slot.serves(0.0)
    slot.ended(10.0)
    assert (slot.held, slot.failures) == (True, 1)


def test_nor_for_one_that_never_served(slot: Slot) -> None:
    slot.listening.listen()
    slot.serves(0.0)
    slot.ended(10.0)
    with connected(slot) as client:
        slot.ended(11.0)
        assert (slot.held, slot.failures, slot.began) == (False, 2, True)
        assert is_reset(client)


def test_one_that_has_drained_leaves_a_socket_that_nobody_reaches(slot: Slot) -> None:
    slot.listening.listen()
    slot.serves(0.0)
    slot.listening.shutdown(socket.SHUT_RD)
    before = slot.listening
    slot.ended(60.0)
    assert (slot.held, slot.listening is before) == (False, False)


def test_one_that_lets_go_gives_way_to_the_others_and_keeps_the_port(slot: Slot) -> None:
    with ExitStack() as stack:
        host, port = slot.listening.getsockname()
        other = Slot(1, Address(host, port), ("false",))
        stack.callback(other.close)
        other.listening.listen()
        slot.listening.listen()
        slot.renew()
        assert slot.listening.getsockname() == (host, port)
        clients = [stack.enter_context(connected(other)) for _ in range(20)]
        for _ in clients:
            stack.enter_context(other.listening.accept()[0])


def test_nothing_is_sent_where_there_is_no_process(slot: Slot) -> None:
    slot.signal(15)
    slot.replace()
    assert not slot.replaced
