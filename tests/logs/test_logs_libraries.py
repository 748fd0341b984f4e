"""What libraries and the interpreter complain of reaches the log, and nothing that they quote."""

import asyncio
import gc
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from logs.pipes import piped

from gateway.logs import Logs

SECRET = "rk_live_secret"


def logged(complain: Callable[[], None]) -> list[dict[str, Any]]:
    """The lines that it makes; none of them tells the secret."""
    with piped() as pipe:
        with Logs(pipe.end):
            complain()
        lines = pipe.events()
    assert SECRET not in repr(lines)
    return lines


@pytest.mark.parametrize(
    ("message", "args", "said"),
    [
        (f"Authorization: Bearer {SECRET}", (), "library warning"),
        ("Error handling request from %s", (SECRET,), "Error handling request from %s"),
        (f"Exception in callback handle({SECRET!r})", (), "Exception in callback"),
        (f"Task was destroyed but it is pending!\ntask: <{SECRET}>", (), "Task was destroyed but it is pending"),
    ],
    ids=["put together already", "with arguments", "a callback's", "a task's"],
)
def test_of_a_message_only_what_no_request_wrote(message: str, args: tuple[str, ...], said: str) -> None:
    (line,) = logged(lambda: logging.getLogger("aiohttp.server").error(message, *args))
    assert (line["level"], line["event"], line["logger"]) == ("error", said, "aiohttp.server")
    assert line["place"].startswith("test_logs_libraries.<lambda>:")


@pytest.mark.parametrize(
    ("level", "told"),
    [(logging.DEBUG, []), (logging.INFO, []), (logging.WARNING, ["warning"]), (35, ["warning"]), (50, ["error"])],
)
def test_warnings_and_worse(level: int, told: list[str]) -> None:
    assert [line["level"] for line in logged(lambda: logging.getLogger("a").log(level, "said %s", 1))] == told


def test_an_exception_is_one_line_without_its_words() -> None:
    def complain() -> None:
        try:
            raise ValueError(SECRET)
        except ValueError:
            logging.getLogger("a").exception(SECRET)

    (line,) = logged(complain)
    assert line["exception"].splitlines()[-1] == "ValueError"


def test_a_task_that_nobody_asked_how_it_went() -> None:
    async def failing() -> None:
        raise ValueError(SECRET)

    async def forgetful() -> None:
        task = asyncio.create_task(failing())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()

    (line,) = logged(lambda: asyncio.run(forgetful()))
    assert (line["event"], line["logger"]) == ("Task exception was never retrieved", "asyncio")
    assert "in test_a_task_that_nobody_asked_how_it_went.<locals>.failing" in line["exception"]


def test_a_thread_that_failed() -> None:
    def failing() -> None:
        raise ValueError(SECRET)

    def complain() -> None:
        thread = threading.Thread(target=failing, name="book")
        thread.start()
        thread.join()

    (line,) = logged(complain)
    assert (line["event"], line["thread"], line["exception"].splitlines()[-1]) == (
        "thread failed",
        "book",
        "ValueError",
    )


def test_what_a_destructor_raises() -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    (line,) = logged(lambda: (Broken(), None)[1])
    assert (line["event"], line["exception"].splitlines()[-1]) == ("exception ignored", "ValueError")


def test_a_warning_of_pythons() -> None:
    def complain() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(SECRET, RuntimeWarning, stacklevel=1)

    (line,) = logged(complain)
    assert (line["level"], line["category"]) == ("warning", "RuntimeWarning")
    assert line["place"].startswith("test_logs_libraries:")
