"""Where a command that changes nothing looks: at the gateway that holds the store, else at its files."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from keys.rings import loaded

from gateway.cli.looking import looked
from gateway.cli.remote import Unreachable
from gateway.errors import BadStart
from gateway.ledger.recovery import lock


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    file = lock(folder)
    try:
        yield
    finally:
        os.close(file)


def raising(error: Exception) -> Callable[[], str]:
    def call() -> str:
        raise error

    return call


def told() -> str:
    return "told"


def read() -> str:
    return "read"


UNREACHABLE = Unreachable("nobody there", "refused")
OTHERWISE = ValueError("another version")
REFUSED = BadStart("the token is wrong")
UNREAD = BadStart("it cannot be read")

LOOKS: dict[str, tuple[Callable[[], str], Callable[[], str], str]] = {
    "the gateway tells": (told, raising(UNREAD), "told"),
    "nobody is there": (raising(UNREACHABLE), read, "read"),
    "it tells otherwise": (raising(OTHERWISE), read, "read"),
    "it refuses": (raising(REFUSED), read, "read"),
}


@pytest.mark.parametrize(("ask", "files", "found"), LOOKS.values(), ids=LOOKS)
def test_a_store_that_is_held(tmp_path: Path, ask: Callable[[], str], files: Callable[[], str], found: str) -> None:
    with holding(tmp_path / "var"):
        assert looked(loaded(tmp_path), ask, files) == found


@pytest.mark.parametrize(
    ("error", "words"),
    [(UNREACHABLE, "cannot be read"), (OTHERWISE, "cannot be read"), (REFUSED, "token is wrong")],
    ids=["nobody", "otherwise", "refused"],
)
def test_what_is_said_where_neither_helps(tmp_path: Path, error: Exception, words: str) -> None:
    with holding(tmp_path / "var"), pytest.raises(BadStart, match=words):
        looked(loaded(tmp_path), raising(error), raising(UNREAD))


def test_a_store_that_nobody_holds_is_read_and_nobody_asked(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    assert looked(loaded(tmp_path), raising(REFUSED), read) == "read"
    assert list((tmp_path / "var").iterdir()) == []
