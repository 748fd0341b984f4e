"""The process's log as its readers get it, and that whoever writes to it does not notice."""

import logging
import os
import pty
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog
from logs.pipes import Pipe, piped

from gateway.config.schema import Log
from gateway.logs import Logs


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with piped() as made:
        yield made


def log(**settings: object) -> Log:
    return Log.model_validate(settings)


def test_a_line_of_json(pipe: Pipe) -> None:
    with Logs(pipe.end) as logs:
        logs.configure(log(format="json"))
        structlog.get_logger("a").info("said", route="product")
    (said,) = pipe.events()
    assert list(said) == ["timestamp", "level", "event", "route"]
    assert (said["event"], said["level"], said["route"]) == ("said", "info", "product")
    assert said["timestamp"].endswith("Z")


def test_json_where_nobody_looks_and_words_on_a_terminal(pipe: Pipe) -> None:
    with Logs(pipe.end) as logs:
        logs.configure(log())
        structlog.get_logger("a").info("said")
    assert pipe.events()[0]["event"] == "said"
    master, terminal = pty.openpty()
    with Logs(terminal) as logs:
        logs.configure(log())
        structlog.get_logger("a").info("said")
    shown = os.read(master, 4096)
    assert b"\x1b[" in shown
    assert b"said" in shown
    os.close(master)
    os.close(terminal)


def test_the_form_changes_for_loggers_made_before(pipe: Pipe) -> None:
    with Logs(pipe.end) as logs:
        before = structlog.get_logger("a").bind()
        before.info("first")
        logs.configure(log(format="console"))
        before.info("second")
    first, second = pipe.rest().splitlines()
    assert (first[:1], second[:1]) == (b"{", b"2")


def test_the_level_changes_for_loggers_made_before(pipe: Pipe) -> None:
    with Logs(pipe.end) as logs:
        before = structlog.get_logger("a").bind()
        before.info("used")
        for level in ("warning", "debug", "error", "info"):
            logs.level = level
            enabled = [before.is_enabled_for(number) for number in (10, 20, 30, 40)]
            assert (logs.level, before.get_effective_level()) == (level, logs.severity)
            for name, says in zip(("debug", "info", "warning", "error"), enabled, strict=True):
                getattr(before, name)("said", at=level, name=name, enabled=says)
    events = [event for event in pipe.events() if event["event"] == "said"]
    assert all(event["enabled"] for event in events)
    assert [(event["at"], event["name"]) for event in events] == [
        ("warning", "warning"),
        ("warning", "error"),
        ("debug", "debug"),
        ("debug", "info"),
        ("debug", "warning"),
        ("debug", "error"),
        ("error", "error"),
        ("info", "info"),
        ("info", "warning"),
        ("info", "error"),
    ]


def test_a_level_set_meanwhile_stays_until_the_configs_own_changes(pipe: Pipe) -> None:
    with Logs(pipe.end) as logs:
        levels = [logs.level]
        logs.configure(log(level="warning"))
        levels.append(logs.level)
        logs.level = "debug"
        logs.configure(log(level="warning", format="console"))
        levels.append(logs.level)
        logs.configure(log(level="error"))
        levels.append(logs.level)
    assert levels == ["info", "warning", "debug", "error"]


def test_what_was_lost_is_a_line_of_its_own(pipe: Pipe) -> None:
    with Logs(pipe.end) as logs:
        logs._writer._refused = 7
        structlog.get_logger("a").info("said")
        assert logs.dropped == 7
    lost, said = pipe.events()
    assert (lost["level"], lost["event"], lost["lines"], said["event"]) == ("warning", "log lines dropped", 7, "said")


def test_a_process_without_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Logs() as logs:
        logs.configure(log())
        structlog.get_logger("a").info("said")
    assert logs.dropped == 1


def test_it_is_standard_error_unless_told_otherwise(capfd: pytest.CaptureFixture[str]) -> None:
    with Logs():
        structlog.get_logger("a").info("said")
    assert '"event":"said"' in capfd.readouterr().err


def test_an_error_ends_it_with_all_lines_written(pipe: Pipe) -> None:
    def failing() -> None:
        with Logs(pipe.end):
            structlog.get_logger("a").info("said")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert [event["event"] for event in pipe.events()] == ["said"]


def test_logging_is_left_as_it_was_found(pipe: Pipe) -> None:
    def found() -> tuple[object, ...]:
        root = logging.getLogger()
        hooks = (threading.excepthook, sys.unraisablehook, warnings.showwarning)
        return (structlog.get_config(), root.level, root.handlers, *hooks)

    before = found()
    with Logs(pipe.end):
        assert all(now != then for now, then in zip(found(), before, strict=True) if then != logging.WARNING)
    assert found() == before
