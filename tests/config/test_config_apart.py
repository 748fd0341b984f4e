"""A module that answers from a process of its own: whatever it does, the caller gets an answer or a reason."""

import asyncio
import os
from pathlib import Path
from typing import Protocol

import pytest

from gateway.config.apart import Unanswered, answer_of

pytestmark = pytest.mark.slow

ANSWER = "from gateway.config.apart import answer\n"


class Write(Protocol):
    """Gives the module `answering` its text."""

    def __call__(self, text: str) -> None: ...


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> None:
        (tmp_path / "answering.py").write_text(text)

    return write


async def test_it_is_asked_and_answers(module: Write) -> None:
    module(f"{ANSWER}answer(lambda question: (question, None), 60)\n")
    assert await answer_of("answering", {"a": [1]}, 60) == ({"a": [1]}, None)


async def test_large_questions_and_answers(module: Write) -> None:
    module(f"{ANSWER}answer(lambda question: question * 2, 60)\n")
    assert await answer_of("answering", b"x" * 3_000_000, 60) == b"x" * 6_000_000


async def test_what_it_prints_is_no_part_of_the_answer(module: Write, capfd: pytest.CaptureFixture[str]) -> None:
    module(f"{ANSWER}print('before', flush=True)\nanswer(lambda q: print('within') or 1, 60)\nprint('after')")
    assert await answer_of("answering", None, 60) == 1
    told = capfd.readouterr()
    assert (told.out, told.err.split()) == ("", ["before", "within", "after"])


async def test_it_yields_to_others_and_stands_alone(module: Write) -> None:
    module(f"{ANSWER}import os\nanswer(lambda q: (os.nice(0), os.getsid(0), os.getpid(), os.getcwd()), 60)\n")
    nice, session, process, folder = await answer_of("answering", None, 60)
    assert nice > os.nice(0)
    assert (session, folder) == (process, str(Path.cwd()))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "ended by signal 9"),
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("", "ended without an answer"),
        (f"{ANSWER}answer(lambda q: 1 / 0, 60)", "ended with exit code 1"),
        (f"{ANSWER}answer(lambda q: lambda: 1, 60)", "ended with exit code 1"),
        (f"{ANSWER}import time\nanswer(lambda q: time.sleep(60), 0.1)", "ended by signal 14"),
    ],
    ids=["killed", "exit", "silent", "exception", "unspeakable", "out of its own time"],
)
async def test_it_dies(module: Write, text: str, told: str) -> None:
    module(text)
    with pytest.raises(Unanswered, match=told):
        await answer_of("answering", b"x" * 1_000_000, 60)


async def test_it_hangs(module: Write) -> None:
    module("import time\ntime.sleep(600)\n")
    with pytest.raises(Unanswered, match=r"took more than 0\.2 s"):
        await answer_of("answering", None, 0.2)


async def test_it_is_killed_when_nobody_waits_any_more(module: Write, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    # The pipe is at its end once the process is gone.
    module(f"import time\nalive = open({str(tmp_path / 'alive')!r}, 'w')\ntime.sleep(600)\n")
    asked = asyncio.create_task(answer_of("answering", None, 600))
    alive = await asyncio.to_thread((tmp_path / "alive").open)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await asyncio.to_thread(alive.read) == ""
    alive.close()
