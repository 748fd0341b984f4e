"""Liveness and readiness."""

import pytest

from gateway.health import Health
from gateway.messages import Answer


def ready(health: Health) -> Answer:
    answer = health.answer("/-/readyz")
    assert answer is not None
    return answer


def test_alive_whatever_else() -> None:
    answer = Health({"ledger": lambda: False}).answer("/livez")
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.parametrize(
    ("serving", "ledger", "status", "body"),
    [
        (True, True, 200, b"ok\n"),
        (False, True, 503, b"not ready: serving\n"),
        (True, False, 503, b"not ready: ledger\n"),
        (False, False, 503, b"not ready: serving, ledger\n"),
    ],
)
def test_ready_while_serving_and_every_check_holds(serving: bool, ledger: bool, status: int, body: bytes) -> None:
    health = Health({"ledger": lambda: ledger})
    health.serving = serving
    assert (ready(health).status, ready(health).body) == (status, body)


@pytest.mark.parametrize("path", ["/", "/-/", "/-/livez/more", "/readyz2"])
def test_nothing_else_is_answered(path: str) -> None:
    assert Health({}).answer(path) is None
