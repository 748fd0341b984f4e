"""The reader whom the pages' tests send: what would have to be noticed is noticed."""

import os
from pathlib import Path

import pytest
from support.typed import Block, Terminal, blocks, not_shown

PAGE = """\
```sh
make run

curl \\
  -i
```

It prints:

```text
one
```

```yaml
a: 1
```
"""


def test_a_block_has_its_lines_and_what_it_shows() -> None:
    first, second = blocks(PAGE)
    assert (first.lines, first.shown) == (["make run", "curl    -i"], "one\n")
    assert second == Block("yaml", "a: 1\n", "")


@pytest.mark.parametrize(
    ("shown", "lacking"),
    [
        pytest.param("one\ntwo", None, id="in its order"),
        pytest.param("one … three", None, id="with something left out"),
        pytest.param("two\none", "one", id="in another order"),
        pytest.param("ttl=… four", "ttl=", id="not at all"),
        pytest.param("two\ntwo", "two", id="less often"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_what_is_shown_was_printed(shown: str, lacking: str | None) -> None:
    assert not_shown(shown, "one and\ntwo, three\n") == lacking


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, {"PATH": os.environ["PATH"]}, tmp_path / "log")


def test_folder_and_variables_stay(terminal: Terminal, tmp_path: Path) -> None:
    with terminal:
        terminal.type('mkdir inside && cd inside && NAME="a b"   # both stay')
        assert terminal.type('echo "$NAME"; pwd') == f"a b\n{tmp_path}/inside\n"


@pytest.mark.parametrize("line", ["false", "echo told >&2; (exit 3)", "exit 0"])
def test_a_line_that_does_not_end_with_0_fails(terminal: Terminal, line: str) -> None:
    with terminal, pytest.raises(AssertionError, match=r"false|told|exit"):
        terminal.type(line)


def test_what_stays_is_interrupted_and_must_end_with_0(terminal: Terminal) -> None:
    with terminal:
        terminal.leave("sh -c 'trap \"exit 0\" INT; echo there; while :; do sleep 0.05; done'", "there")
        terminal.interrupt()


def test_what_should_stay_and_ends_fails(terminal: Terminal) -> None:
    with terminal, pytest.raises(AssertionError, match="cannot"):
        terminal.leave("sh -c 'echo cannot; exit 2'", "there")
