"""A page as its reader uses it: its blocks in order, their lines typed into a shell, and what it says they show."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from support.pages import FENCED
from support.polling import PATIENCE, eventually

_ENDED = re.compile(r"\n=ended (\d+)=\n\Z")


class Block(NamedTuple):
    """One fenced block, and the `text` block after it, which tells what it shows: "" where there is none."""

    language: str
    text: str
    shown: str

    @property
    def lines(self) -> list[str]:
        """What is typed, line by line."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def blocks(page: str) -> list[Block]:
    """The page's blocks in their order, each with what it shows."""
    found: list[Block] = []
    for language, text in FENCED.findall(page):
        if language == "text" and found:
            found[-1] = found[-1]._replace(shown=found[-1].shown + text)
        else:
            found.append(Block(language, text, ""))
    return found


def not_shown(shown: str, printed: str) -> str | None:
    """The first part of what is `shown` that was not printed after the parts before it; None where all of it was.

    Parts are lines, and what stands on either side of a `…`.
    """
    at = 0
    for part in _parts(shown):
        at = printed.find(part, at)
        if at < 0:
            return part
        at += len(part)
    return None


def _parts(shown: str) -> Iterator[str]:
    return (part.strip() for part in re.split("[…\n]", shown) if part.strip())


def _hears_ctrl_c() -> None:
    """Whoever runs the tests in the background has said that it is not to matter."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A shell into which lines are typed; folder and variables stay from one to the next. `log` has all it prints."""

    def __init__(self, folder: Path, environ: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._left_to_make = False
        with log.open("wb") as output:
            self._shell = subprocess.Popen(
                ["sh"],
                cwd=folder,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_hears_ctrl_c,
            )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        """Closing it ends what it was left to."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        if self._shell.poll() is None:
            os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.wait(PATIENCE)

    @property
    def printed(self) -> str:
        """Everything so far; line ends are newlines alone."""
        return self._printed_since(0)

    def type(self, line: str, within: float = PATIENCE) -> str:
        """What `line` prints. It must end with 0, in as many seconds."""
        begun = self._log.stat().st_size
        self._send(f"{{ {line}\n}} </dev/null; printf '\\n=ended %d=\\n' $?\n")
        ended = eventually(lambda: _ENDED.search(self._printed_since(begun)) or self._is_over, within)
        printed = self._printed_since(begun)
        assert isinstance(ended, re.Match), f"{line}\n{printed}"
        assert ended[1] == "0", f"{line}\n{printed}"
        return printed[: ended.start()]

    def leave(self, line: str, until: str, within: float = PATIENCE) -> None:
        """Type a line that does not end by itself, and wait until it has printed `until`."""
        self._left_to_make = line.startswith("make ")
        self._send(f"{{ exec {line}\n}} </dev/null\n")
        eventually(lambda: until in self.printed or self._is_over, within)
        assert not self._is_over, self.printed

    def interrupt(self) -> None:
        """Ctrl-C at what it was left to, which must end with 0 and no traceback."""
        number = self._shell.pid
        if self._left_to_make:
            # A terminal's SIGINT ends make too, whatever its recipe says; it is the recipe's own status that counts.
            number = int(Path(f"/proc/{number}/task/{number}/children").read_text().split()[0])
        os.kill(number, signal.SIGINT)
        assert self._shell.wait(PATIENCE) == 0, self.printed
        assert "Traceback" not in self.printed

    @property
    def _is_over(self) -> bool:
        return self._shell.poll() is not None

    def _send(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def _printed_since(self, begun: int) -> str:
        return self._log.read_bytes()[begun:].decode(errors="replace").replace("\r\n", "\n")
