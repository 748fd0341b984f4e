import pytest

from gateway.ledger.doubt import PATIENCE, Doubt

HOUR = 3600.0
YEAR = 365 * 86400.0
NOW = 1_768_478_400.0

# Looks at the clocks in turn: seconds that have passed, by how much the wall clock is set then, whether that counts.
Look = tuple[float, float, bool]
CASES: dict[str, list[Look]] = {
    "nobody sets it": [(0, 0, True), (60, 0, True), (86400, 0, True)],
    "set back": [(0, 0, True), (60, -HOUR, True), (60, -HOUR, True)],
    "adjusted bit by bit": [(0, 0, True), (60, 50, True), (60, 100, True), (60, 150, True)],
    "a year ahead for a moment": [(0, 0, True), (60, YEAR, False), (60, YEAR, False), (60, 0, True)],
    "ahead for good": [(0, 0, True), (60, HOUR, False), (PATIENCE - 1, HOUR, False), (1, HOUR, True), (60, HOUR, True)],
    "ahead twice": [(0, 0, True), (60, HOUR, False), (PATIENCE - 1, 0, True), (60, HOUR, False), (60, HOUR, False)],
    "further ahead meanwhile": [(0, 0, True), (60, HOUR, False), (PATIENCE, YEAR, True)],
    "and back to where it was": [(0, 0, True), (60, -HOUR, True), (60, 0, False), (PATIENCE, 0, True)],
}


@pytest.mark.parametrize("looks", CASES.values(), ids=CASES)
def test_a_jump_ahead_counts_once_it_has_lasted(looks: list[Look]) -> None:
    doubt, steady, believed_ahead = Doubt(), NOW, 0.0
    for passed, ahead, counts in looks:
        steady += passed
        believed_ahead = ahead if counts else believed_ahead
        assert doubt.believed(steady + ahead, steady) == steady + believed_ahead
