"""What is wrong with a config, and where."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.config.sources import Sources
from gateway.errors import BadStart


@dataclass(slots=True, frozen=True, order=True)
class ConfigError:
    """One mistake at a place in a file; lines and columns count from 1, 0 where there is no place. Holds no secret."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class ConfigInvalid(BadStart):
    """A config that cannot be used; `errors` are all that were found, in the order of the files' names and lines.

    `sources` is what was read, so that it can be told when that has changed; None where nobody knows.
    """

    def __init__(self, errors: Iterable[ConfigError], sources: Sources | None = None) -> None:
        self.errors = sorted(set(errors))
        self.sources = sources
        super().__init__("\n".join(map(str, self.errors)))
