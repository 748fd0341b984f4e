"""What the tests of a slow second tier begin with."""

import pytest
from stores.fetches import StillClock
from stores.gated import Gated


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def tier() -> Gated:
    return Gated()
