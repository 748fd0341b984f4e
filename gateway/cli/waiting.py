"""A refresh under way, from the shell: how far it is, told on a terminal by a bar and elsewhere in lines."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import sleep
from typing import Any

import typer

from gateway.cli.remote import BrokenOff, Call, Unreachable, ask
from gateway.config.schema import Config
from gateway.errors import BadStart

Told = dict[str, Any]
"""A refresh as the admin API tells it (`admin.refreshes.RefreshTold`)."""

Show = Callable[[Told], None]

_ENDED = ("done", "failed", "cancelled")

# Seconds between two looks, which grow; and how often in a row the gateway may be away, as when it is started anew.
_FIRST, _LONGEST = 0.1, 2.0
_PATIENCE = 30


def awaited(config: Config, told: Told, pause: Callable[[float], None] = sleep) -> Told:
    """The refresh at its end. `pause` waits for so many seconds between two looks.

    Raises BadStart where the gateway is gone for good, or tells nothing of it any more; the refresh goes on all the
    same, once it runs.
    """
    with _shown() as show:
        looks = _Looks(config, told["id"], pause)
        show(told)
        while told["state"] not in _ENDED:
            told = looks.next()
            show(told)
    return told


def measure(told: Told) -> str:
    """How far it is, in words."""
    words = [_share(told["progress"], "response")]
    if told["subjects"] is not None:
        words.append(_share(told["subjects"], "subject"))
    return ", ".join(words)


class _Looks:
    """One look after another, each a while after the one before."""

    def __init__(self, config: Config, id_: str, pause: Callable[[float], None]) -> None:
        self._config = config
        self._call = Call("GET", ("refreshes", id_))
        self._pause = pause
        self._seconds = _FIRST
        self._id = id_

    def next(self) -> Told:
        away = 0
        while True:
            self._pause(self._seconds)
            self._seconds = min(self._seconds * 2, _LONGEST)
            try:
                return ask(self._config, self._call)
            except (Unreachable, BrokenOff) as gone:
                away += 1
                if away == _PATIENCE:
                    raise BadStart(f"the gateway is gone; refresh {self._id} goes on once it runs again") from gone
            except BadStart as refused:
                raise BadStart(f"{refused}; refresh {self._id} goes on all the same") from refused


def _shown() -> AbstractContextManager[Show]:
    return _bar() if _is_terminal() else _lines()


def _is_terminal() -> bool:
    return sys.stderr.isatty()


@contextmanager
def _lines() -> Iterator[Show]:
    """A line whenever it has come further."""
    last = ""

    def show(told: Told) -> None:
        nonlocal last
        line = f"{told['state']}: {measure(told)}"
        if line != last:
            typer.echo(line, err=True)
        last = line

    yield show


@contextmanager
def _bar() -> Iterator[Show]:
    # Here, as no other command needs it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    with Progress(BarColumn(), TimeElapsedColumn(), text, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)

        def show(told: Told) -> None:
            of = told["progress"]
            ended = of["done"] + of["failed"]
            # Without a total it only says that something is going on.
            total = of["total"] or None
            progress.update(task, total=total, completed=ended, description=f"{told['state']}: {measure(told)}")

        yield show


def _share(of: dict[str, int], what: str) -> str:
    number = of["total"]
    words = f"{of['done']} of {number} {what}{'' if number == 1 else 's'}"
    return f"{words} ({of['failed']} failed)" if of["failed"] else words
