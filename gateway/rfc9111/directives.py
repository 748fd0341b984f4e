"""Cache-Control directives (RFC 9111 §5.2) and the list syntax they are written in (RFC 9110 §5.6.1)."""

import re
from collections.abc import Iterable, Mapping, Sequence

Directives = Mapping[str, str | None]

_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME = re.compile(_TCHARS)
_DIRECTIVE = re.compile(rf"({_TCHARS})(.*)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# Possessive on purpose: a list that a client made up must not cost more than one pass.
_MEMBER = re.compile(r'((?:[^",]|"(?:[^"\\]|\\.)*+")*+)(,|\Z)', re.DOTALL)

QUALIFIABLE = ("no-cache", "private")
"""The directives that may concern some fields of a response only (§5.2.2.4, §5.2.2.7)."""

_NO_NAMES = frozenset[str]()
_DELTA_LIMIT = 2**31
_LONGEST_NAMES = 4096


def members(value: str) -> list[str]:
    """Split one field line into its list members; commas inside quoted strings do not split, empty members go."""
    parts = _split(value) if '"' in value else value.split(",")
    return [member for part in parts if (member := part.strip(" \t"))]


def _split(value: str) -> list[str]:
    parts: list[str] = []
    position = 0
    while match := _MEMBER.match(value, position):
        parts.append(match[1])
        position = match.end()
        if not match[2]:
            break
    else:
        # A quote that never closes quotes nothing: it must not swallow a `no-store` behind it.
        parts.extend(value[position:].split(","))
    return parts


def directives(lines: Iterable[str]) -> dict[str, str | None]:
    """Read Cache-Control field lines as lower-case directive names and their arguments, unquoted; None without one.

    Of a repeated directive the first counts: §4.2.1 leaves that or staleness, and a repetition is mostly an
    intermediary's copy. `no-cache` and `private` instead add up to the most restrictive reading, as conflicts must.
    Text that is not of the grammar stays in the argument, where no reader takes it for a number or a field name.
    """
    found: dict[str, str | None] = {}
    repeated: dict[str, list[str | None]] = {}
    for line in lines:
        for member in members(line):
            if match := _DIRECTIVE.match(member):
                name, argument = match[1].lower(), _argument(match[2])
                if name not in found:
                    found[name] = argument
                elif name in QUALIFIABLE:
                    repeated.setdefault(name, [found[name]]).append(argument)
    return found | {name: _joined(arguments) for name, arguments in repeated.items()} if repeated else found


def _argument(rest: str) -> str | None:
    if not rest:
        return None
    argument = rest.removeprefix("=")
    if quoted := _QUOTED.fullmatch(argument):
        return _ESCAPED.sub(r"\1", quoted[1])
    return argument


def _joined(arguments: Sequence[str | None]) -> str | None:
    named = [argument for argument in arguments if argument and field_names(argument)]
    return ", ".join(named) if len(named) == len(arguments) else None


def field_names(argument: str | None) -> frozenset[str]:
    """The lower-case field names of a qualified `no-cache` or `private` (§5.2.2.4, §5.2.2.7).

    Empty for the unqualified form, which is also how an argument that is no list of names is read, and one that is
    longer than 4 KiB.
    """
    names = members(argument or "") if len(argument or "") <= _LONGEST_NAMES else []
    if not all(_NAME.fullmatch(name) for name in names):
        return frozenset()
    return frozenset(name.lower() for name in names)


def unqualified(found: Directives, name: str) -> bool:
    """Whether `name` concerns the whole response rather than some of its fields."""
    return name in found and not field_names(found[name])


def withheld(found: Directives) -> frozenset[str]:
    """Lower-case names of the fields that qualified directives keep out of a shared cache."""
    named = [field_names(found[name]) for name in QUALIFIABLE if name in found]
    return _NO_NAMES.union(*named) if named else _NO_NAMES


def delta_seconds(argument: str | None) -> float | None:
    """Seconds of a delta-seconds value (§1.2.2), at most 2**31; None where it is none."""
    if argument is None or not (argument.isascii() and argument.isdigit()):
        return None
    digits = argument.lstrip("0")
    return float(_DELTA_LIMIT if len(digits) > 10 else min(int(digits or "0"), _DELTA_LIMIT))
