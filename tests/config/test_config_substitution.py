"""`${...}` in scalars."""

from pathlib import Path

import pytest

from gateway.config.sources import Files
from gateway.config.substitution import substitution

ENVIRON = {"VAR": "value", "EMPTY": "", "NESTED": "${VAR}"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain $VAR $$ {}", "plain $VAR $$ {}"),
        ("${VAR}", "value"),
        ("Bearer ${VAR}, ${VAR}", "Bearer value, value"),
        ("${UNSET:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${UNSET:-http://127.0.0.1:80}", "http://127.0.0.1:80"),
        ("${NESTED}", "${VAR}"),
        ("$${VAR}", "${VAR}"),
        ("$$${VAR}", "$${VAR}"),
    ],
)
def test_variables(text: str, value: str) -> None:
    assert substitution(ENVIRON, Path(), Files())(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${UNSET}", "the environment variable UNSET is not set"),
        ("${}", "a substitution is"),
        ("${1X}", "a substitution is"),
        ("${VAR:?no}", "a substitution is"),
        ("${VAR", "a \\${ needs its }"),
        ("${VAR:-${VAR}}", "a \\${ needs its }"),
        ("${file:none}", "none cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_substituted(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        substitution(ENVIRON, Path(), Files())(text)


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"secret\n", "secret"), (b"secret\r\n", "secret"), (b"secret", "secret"), (b"two\nlines\n\n", "two\nlines\n")],
    ids=["newline", "CRLF", "none", "only the last"],
)
def test_files_lose_their_last_newline(tmp_path: Path, content: bytes, value: str) -> None:
    (tmp_path / "key").write_bytes(content)
    assert substitution({}, tmp_path, Files())("<${file:key}>") == f"<{value}>"


def test_files_may_be_absolute(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    assert substitution({}, Path("elsewhere"), Files())(f"${{file:{tmp_path / 'key'}}}") == "secret"


def test_a_file_that_is_no_text_is_named_but_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xffsecret")
    with pytest.raises(ValueError, match="is not UTF-8 text") as told:
        substitution({}, tmp_path, Files())("${file:key}")
    assert "secret" not in str(told.value)
