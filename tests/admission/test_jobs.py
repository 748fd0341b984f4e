"""What the register keeps."""

import pytest

from gateway.admission.jobs import State


@pytest.mark.parametrize(
    ("state", "final"),
    [
        (State.pending, False),
        (State.running, False),
        (State.done, True),
        (State.failed, True),
        (State.cancelled, True),
    ],
)
def test_final(state: State, final: bool) -> None:
    assert state.final is final
