"""Path patterns: `/v1/products/{id}`, with `{rest:.*}` for any rest.

Literal text is held in canonical form and parameters keep the canonical spelling of the path they come from.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from string import printable
from typing import NamedTuple
from urllib.parse import quote

from gateway.admission.target import canonical_path
from gateway.errors import Problem

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:\.\*)?\}")


class Text(NamedTuple):
    """Text with parameters: `names` stand between the `literals`, which are one more. `rest`: one takes any rest."""

    literals: tuple[str, ...]
    names: tuple[str, ...]
    rest: bool

    def fill(self, params: Mapping[str, str]) -> str:
        first, *others = self.literals
        return first + "".join([params[name] + text for name, text in zip(self.names, others, strict=True)])


@dataclass(slots=True, frozen=True)
class PathPattern:
    """A parsed path pattern. `prefix` holds the first of its `segments`, as far as they are wholly literal.

    `{x}` takes one or more characters within a segment; before another parameter of that segment as few as possible.
    `{x:.*}` takes any rest, slashes included. Empty in the middle, it takes its slash with it, so that
    `/{path:.*}/refresh` matches `/refresh` as what stands for `/`.
    """

    text: str
    names: tuple[str, ...] = field(compare=False, repr=False)
    prefix: tuple[str, ...] = field(compare=False, repr=False)
    segments: tuple[Text, ...] = field(compare=False, repr=False)
    _expression: str = field(compare=False, repr=False)
    _compiled: list[re.Pattern[str]] = field(default_factory=list, compare=False, repr=False)

    @staticmethod
    def parse(text: str) -> "PathPattern":
        """Raises ValueError saying what is wrong with the pattern."""
        return _pattern(text)

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters by name, where a canonical path matches as a whole."""
        if not self._compiled:
            self.compile()
        found = self._compiled[0].fullmatch(path)
        return None if found is None else dict(zip(self.names, found.groups(""), strict=True))

    def compile(self) -> None:
        """Get ready to match; the first `match` does it else, and takes a hundred times as long."""
        # Not when parsed: who only checks a config never needs it, and it takes most of the time.
        if not self._compiled:
            self._compiled.append(re.compile(self._expression))

    def fill(self, params: Mapping[str, str]) -> str:
        """The path that matches with these parameters. Raises KeyError for one that is missing."""
        path = "".join(["/" + segment.fill(params) for segment in self.segments])
        # A canonical path has no empty segment, so this is the slash of a rest that is empty.
        return path.replace("//", "/")


# A config's patterns are read when it is validated, checked and compiled, and most of them at each reload again.
@lru_cache(maxsize=8192)
def _pattern(text: str) -> PathPattern:
    if text[:1] != "/":
        raise ValueError("a path begins with /")
    segments = tuple([_segment(part) for part in text[1:].split("/")])
    names = tuple([name for segment in segments for name in segment.names])
    if len(set(names)) != len(names):
        raise ValueError("a parameter's name is used twice")
    if sum(segment.rest for segment in segments) > 1:
        raise ValueError("only one parameter can take any rest")
    _require_possible(segments)
    prefix = tuple([segment.literals[0] for segment in takewhile(lambda segment: not segment.names, segments)])
    return PathPattern(text, names, prefix, segments, _expression(segments))


def _parsed(text: str) -> Text:
    parts = _PARAMETER.split(text)
    literals = tuple(parts[::3])
    if any("{" in literal or "}" in literal for literal in literals):
        raise ValueError("a parameter is {name}, or {name:.*} for any rest; braces have no other use here")
    return Text(literals, tuple(parts[1::3]), any(parts[2::3]))


def _segment(text: str) -> Text:
    literals, names, rest = _parsed(text)
    if rest and len(names) > 1:
        raise ValueError("{name:.*} cannot share its segment with another parameter")
    if "" in literals[1:-1]:
        raise ValueError("two parameters need literal text between them")
    return Text(tuple([_spelled(literal) for literal in literals]), names, rest)


def _spelled(literal: str) -> str:
    """The literal as a canonical path spells it."""
    if "?" in literal:
        raise ValueError("a path has no query")
    try:
        # Read behind a letter: a lone dot is only wrong as a whole segment.
        return canonical_path("/x" + quote(literal, safe=printable))[2:]
    except Problem as problem:
        raise ValueError(f"no request can have this path: {problem.detail}") from None


def _require_possible(segments: tuple[Text, ...]) -> None:
    try:
        canonical_path("".join(["/" + "x".join(segment.literals) for segment in segments]))
    except Problem as problem:
        raise ValueError(f"no request can have this path: {problem.detail}") from None


def _expression(segments: tuple[Text, ...]) -> str:
    *others, last = segments
    return "/" + "".join([_before_slash(segment) for segment in others]) + _within(last)


def _before_slash(segment: Text) -> str:
    alone = segment.rest and not any(segment.literals)
    return "(?:(.+)/)?" if alone else _within(segment) + "/"


def _within(segment: Text) -> str:
    """One segment's expression, linear in the path's length, for the path is a stranger's: what stands before another
    parameter takes the first chance and never gives back (possessive), and only one parameter in all takes any rest.
    """
    first, *others = [re.escape(literal) for literal in segment.literals]
    if not others:
        return first
    *between, last = others
    taken = "".join([f"([^/](?:(?!{literal})[^/])*+){literal}" for literal in between])
    return first + taken + ("(.*)" if segment.rest else "([^/]+)") + last
