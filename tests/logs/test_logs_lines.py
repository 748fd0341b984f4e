"""One event, one line, for machines and for people; exceptions without what they say."""

import json
from typing import Any

import pytest

from gateway.logs.lines import PeoplesLines, exception_of, json_line, told

SECRET = "rk_live_secret"


@pytest.mark.parametrize(
    "value",
    ["plain", "ü", "\ud800", "a\nb", 1 << 70, None, True, 1.5, ["a"], {"a": 1}],
    ids=[
        "text",
        "beyond ASCII",
        "a lone surrogate",
        "lines",
        "beyond 64 bits",
        "null",
        "flag",
        "float",
        "list",
        "dict",
    ],
)
def test_json_is_one_line_whatever_is_in_it(value: object) -> None:
    line = json_line({"event": "said", "value": value})
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert json.loads(line) == {"event": "said", "value": value}


def test_what_json_has_no_word_for_is_shown() -> None:
    assert json.loads(json_line({"value": {1}})) == {"value": "{1}"}


@pytest.mark.parametrize("forged", ["a\n2026-01-01 [error] forged", "\x1b[2J", "\r", "\u2028", "\ud800"])
def test_nothing_begins_a_line_of_peoples_or_moves_the_cursor(forged: str) -> None:
    line = PeoplesLines(colors=False)({"timestamp": "t", "level": "info", "event": "said", "value": forged})
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert line.decode("ascii")[:-1].isprintable()


def test_colors_where_they_are_wanted() -> None:
    event = {"timestamp": "t", "level": "info", "event": "said"}
    assert [b"\x1b[" in PeoplesLines(colors=colors)(event) for colors in (True, False)] == [True, False]


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        return caught


def test_an_exception_is_told_by_type_and_place() -> None:
    lines = told(raised(ValueError(SECRET))).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError"
    assert any(line.endswith("in raised") and "test_logs_lines.py:" in line for line in lines)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OSError(28, SECRET), "OSError (ENOSPC)"),
        (OSError(SECRET), "OSError"),
        (OSError(9999, SECRET), "OSError (9999)"),
        (json.JSONDecodeError(SECRET, SECRET, 0), "json.decoder.JSONDecodeError"),
    ],
)
def test_its_name_and_the_systems_number(error: BaseException, name: str) -> None:
    assert told(error).splitlines()[-1] == name


def test_its_causes_are_told_and_its_words_are_not() -> None:
    shown = told(raised(ValueError(SECRET), raised(KeyError(SECRET), OSError(SECRET))))
    assert [line for line in shown.splitlines() if line[0] != " " and line[0] != "T"] == [
        "ValueError",
        "which came of",
        "KeyError",
        "which came of",
        "OSError",
    ]
    assert SECRET not in shown


def deep(left: int) -> None:
    if not left:
        raise ValueError
    deep(left - 1)


def test_neither_depth_nor_causes_make_it_long() -> None:
    error: BaseException | None = None
    for _ in range(9):
        error = raised(ValueError(), error)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it has no message
        deep(500)
    assert error is not None
    assert told(error).count("Traceback") == 5
    assert told(caught.value).count("\n") == 26


def handled() -> Any:
    error = KeyError()
    try:
        raise error
    except KeyError:
        return error, exception_of(True)


def test_what_is_given_as_exception() -> None:
    error = ValueError()
    assert exception_of(error) is error
    assert exception_of((ValueError, error, None)) is error
    assert [exception_of(given) for given in (None, False, True, (None, None, None))] == [None] * 4
    given, found = handled()
    assert given is found
