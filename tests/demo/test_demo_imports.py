"""The order API's imports on a time of the test's."""

import pytest

from gateway.demo.imports import Imports, Status

STORE = 12345


@pytest.fixture
def imports() -> Imports:
    return Imports(lasts=10.0)


def test_a_store_that_never_was_refreshed(imports: Imports) -> None:
    assert imports.status(STORE, 0.0) is Status.none
    assert imports.dates(STORE, 0.0) == (None, None)
    assert imports.done(STORE, 0.0) == 0


@pytest.mark.parametrize(
    ("now", "status", "done"), [(100.0, Status.running, 0), (109.9, Status.running, 0), (110.0, Status.done, 1)]
)
def test_an_import_takes_its_time(imports: Imports, now: float, status: Status, done: int) -> None:
    imports.begin(STORE, None, 100.0)
    assert (imports.status(STORE, now), imports.done(STORE, now)) == (status, done)


def test_its_date_is_what_was_told_and_then_when_it_began(imports: Imports) -> None:
    imports.begin(STORE, 5.0, 100.0)
    assert imports.dates(STORE, 109.0) == (100.0, 5.0)
    assert imports.dates(STORE, 110.0) == (100.0, 100.0)
    imports.begin(STORE, None, 120.0)
    assert imports.dates(STORE, 121.0) == (120.0, 100.0)


def test_one_that_is_asked_for_meanwhile_is_the_one_under_way(imports: Imports) -> None:
    imports.begin(STORE, None, 100.0)
    imports.begin(STORE, 7.0, 105.0)
    assert imports.begun[STORE] == 1
    assert imports.dates(STORE, 106.0) == (105.0, 7.0)
    assert imports.status(STORE, 110.0) is Status.done
    imports.begin(STORE, None, 111.0)
    assert imports.begun[STORE] == 2


def test_stores_import_apart(imports: Imports) -> None:
    imports.begin(STORE, None, 100.0)
    assert imports.status(STORE + 1, 101.0) is Status.none
