"""The Dockerfile, read: its stages and what each of them says."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its keyword in capitals, and the rest, its lines joined."""

    keyword: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest in words, or the list of a JSON form."""
        listed: list[str] = json.loads(self.rest) if self.rest.startswith("[") else self.rest.split()
        return listed


@dataclass(slots=True)
class Stage:
    """What follows one FROM."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, keyword: str) -> list[Instruction]:
        """The instructions with that keyword."""
        return [one for one in self.instructions if one.keyword == keyword]

    def only(self, keyword: str) -> Instruction:
        """The one instruction with that keyword."""
        (one,) = self.all(keyword)
        return one


def stages(path: Path) -> list[Stage]:
    """The stages of the Dockerfile at `path`, in order."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    found = list[Stage]()
    for line in re.sub(r"\\\n", " ", text).splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif keyword:
            found[-1].instructions.append(Instruction(keyword, rest.strip()))
    return found
