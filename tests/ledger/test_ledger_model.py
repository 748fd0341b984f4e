"""The ledger under a hypothesis machine: 1,000 examples of 50 steps, in shares that run side by side.

`make test` plays the same ones each time; `make model` looks for others.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from ledger.model_machine import LedgerMachine
from ledger.model_process import GatedTables, Os

SHARES = 4
ASKED_FOR = os.environ.get("MODEL_EXAMPLES")
EXAMPLES = int(ASKED_FOR or "1000")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + EXAMPLES // 10)]


@pytest.mark.no_cover
@pytest.mark.parametrize("share", range(SHARES))
def test_whatever_is_done_the_ledger_adds_up(share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.recovery.Tables", GatedTables)
    monkeypatch.setattr("gateway.ledger.journal.os", Os())
    machine = type("Share", (LedgerMachine,), {})
    run_state_machine_as_test(
        machine if ASKED_FOR else seed(share)(machine),
        settings=settings(
            max_examples=EXAMPLES // SHARES,
            stateful_step_count=50,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=[phase for phase in Phase if phase is not Phase.explain],
            suppress_health_check=list(HealthCheck),
        ),
    )
