"""Sentences about what the config names; what is said of several alike is said once."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.config.differences.changed import listed


@dataclass(slots=True, frozen=True)
class Told:
    """What is said of the `kind` called `name`, from the space or colon on; `many`: of several, if in other words."""

    kind: str
    name: str
    text: str
    many: str = ""


def sentences(told: Iterable[Told]) -> tuple[str, ...]:
    """In the order in which each was first said."""
    names: dict[tuple[str, str, str], list[str]] = {}
    for one in told:
        names.setdefault((one.kind, one.text, one.many), []).append(one.name)
    return tuple([_sentence(*key, named) for key, named in names.items()])


def _sentence(kind: str, text: str, many: str, names: list[str]) -> str:
    if not kind:
        return text
    quoted = listed(f"`{name}`" for name in names)
    return f"{kind} {quoted}{text}" if len(names) == 1 else f"{_several(kind)} {quoted}{many or text}"


def _several(kind: str) -> str:
    return f"{kind}es" if kind.endswith("sh") else f"{kind}s"
