import pytest
from ledger.samples import CHARGE, FORCED, GRANT

from gateway.ledger.records import Correction, Lapse, Record, Refund, Release, Reserve, Sale, Settle, Spend
from gateway.ledger.tally import Tally

LINES = (("base", 1), ("offers", 3), ("reviews", 2), ("force_refresh", 3))
FULL = Reserve(1, "ci", "acme", "acme", "p", "api", 7, 9, LINES, "a-request", 0.0)
HOUSE = FULL._replace(account="house")


@pytest.mark.parametrize(
    ("record", "count", "charged", "released"),
    [
        pytest.param(CHARGE._replace(tokens=1), 2, {"lookup": 2}, 0, id="plain lookups"),
        pytest.param(
            Settle(FULL, 9, False, "refresh", 0.0), 1, {"lookup": 1, "options": 5, "force_refresh": 3}, 0, id="full"
        ),
        pytest.param(Settle(FULL, 6, False, "stale", 0.0), 1, {"lookup": 1, "options": 5}, 3, id="without surcharge"),
        pytest.param(Settle(FULL, 0, False, "miss", 0.0), 1, {}, 9, id="free"),
        pytest.param(Settle(FULL._replace(lines=()), 4, False, "miss", 0.0), 1, {"lookup": 4}, 5, id="no lines"),
        pytest.param(Sale(FULL._replace(tokens=6), "hit"), 1, {"lookup": 1, "options": 5}, 0, id="sale"),
        pytest.param(Release(FULL, False, "failed", 0.0), 1, {}, 9, id="release"),
        pytest.param(Refund(FULL, 6, False, "broken", 0.0), 1, {}, 6, id="refund"),
        pytest.param(Settle(HOUSE, 9, False, "revalidated", 0.0), 1, {}, 0, id="house charge"),
        pytest.param(Release(HOUSE, False, "failed", 0.0), 1, {}, 0, id="house release"),
        pytest.param(Refund(HOUSE, 9, False, "broken", 0.0), 1, {}, 0, id="house refund"),
        pytest.param(FULL, 1, {}, 0, id="reserve"),
        pytest.param(GRANT, 1, {}, 0, id="grant"),
        pytest.param(Lapse("acme", 5, 0.0), 1, {}, 0, id="lapse"),
        pytest.param(Correction("acme", -5, "billed twice", 0.0), 1, {}, 0, id="correction"),
        pytest.param(Spend("ci", "acme", "p", "api", 4, 0), 1, {}, 0, id="spend"),
        pytest.param(FORCED, 1, {}, 0, id="forced"),
    ],
)
def test_count(record: Record, count: int, charged: dict[str, int], released: int) -> None:
    tally = Tally(free="house")
    tally.count(record, count)
    assert {reason: tokens for (_, reason), tokens in tally.charged.items() if tokens} == charged
    assert tally.released.total() == released
